"""The soundfont as the browser gets it: the same file with the samples of other instruments emptied, packed.

TimGM6mb holds 128 instruments in 6 MB. The page plays three of them; with zeros in place of the samples of
the others the file keeps its form, and packed it is a fraction of that.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Iterable

import numpy as np

from tokenization import MusicGPTError

from .audio import INSTRUMENTS, soundfont

# Records of the soundfont format 2.04, section 7: only what is followed from a preset to its samples.
_PRESET = np.dtype([("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")])
_BAG = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_GENERATOR = np.dtype([("kind", "<u2"), ("amount", "<u2")])
_INSTRUMENT = np.dtype([("name", "S20"), ("bag", "<u2")])
_SAMPLE = np.dtype([("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("rest", "V18")])
_TABLES = {
    b"phdr": _PRESET,
    b"pbag": _BAG,
    b"pgen": _GENERATOR,
    b"inst": _INSTRUMENT,
    b"ibag": _BAG,
    b"igen": _GENERATOR,
    b"shdr": _SAMPLE,
}
_INSTRUMENT_OF, _SAMPLE_OF = 41, 53  # generators that name an instrument and a sample
_PACKED = 6


def _chunks(data: bytes) -> dict[bytes, slice]:
    """Where the chunks inside the lists of a RIFF file lie."""
    if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
        raise MusicGPTError("The soundfont is no RIFF file of the kind sfbk; pretty_midi may be damaged.")
    found, at = {}, 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"LIST":
            at += 12
            continue
        found[name] = slice(at + 8, at + 8 + size)
        at += 8 + size + size % 2
    return found


def _named(tables: dict[bytes, np.ndarray], rows: Iterable[int], of: str, kind: int) -> set[int]:
    """What the generators of some presets (`of="p"`) or instruments (`"i"`) name."""
    heads = tables[b"phdr" if of == "p" else b"inst"]["bag"]
    bags, generators = tables[of.encode() + b"bag"]["generator"], tables[of.encode() + b"gen"]
    named: set[int] = set()
    for row in rows:
        part = generators[bags[heads[row]] : bags[heads[row + 1]]]
        named |= set(part["amount"][part["kind"] == kind].tolist())
    return named


def only(data: bytes, programs: Iterable[int]) -> bytes:
    """A soundfont in which only some programs of bank 0 sound.

    Args:
        data (`bytes`): a file in the format SF2.
        programs (`int`s): General MIDI programs, counted from 0.

    Returns:
        `bytes`: a file of the same length, in which the samples that no kept program uses are zeros.

    Raises:
        MusicGPTError: if it is no soundfont.
    """
    places = _chunks(data)
    tables = {name: np.frombuffer(data[places[name]], kind) for name, kind in _TABLES.items()}
    heads, wanted = tables[b"phdr"][:-1], list(programs)  # the last record only ends the table
    rows = np.flatnonzero((heads["bank"] == 0) & np.isin(heads["program"], wanted)).tolist()
    samples = _named(tables, _named(tables, rows, "p", _INSTRUMENT_OF), "i", _SAMPLE_OF)
    words = np.frombuffer(data[places[b"smpl"]], "<i2")
    kept = np.zeros_like(words)
    for sample in samples:
        entry = tables[b"shdr"][sample]
        kept[entry["start"] : entry["end"] + 46] = words[entry["start"] : entry["end"] + 46]  # and its gap
    place = places[b"smpl"]
    return data[: place.start] + kept.tobytes() + data[place.stop :]


@functools.lru_cache(1)
def browser_font() -> bytes:
    """The soundfont of the page's instruments, packed by gzip."""
    return gzip.compress(only(soundfont(), INSTRUMENTS.values()), _PACKED, mtime=0)
