"""Reader of MusicXML, plain (`.musicxml`, `.xml`) and packed (`.mxl`), through music21."""

from __future__ import annotations

import io
import re
import zipfile
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

from .errors import ScoreReadError
from .key import Key
from .parts import MAX_BYTES, MAX_NOTES, RawScore, check_size, merge_meters, plural
from .score import Meter
from .vocabulary import TICKS_PER_QUARTER

OUR_SOFTWARE = "MusicGPT"  # files that name it carry true voices; all others carry layers of the notation
