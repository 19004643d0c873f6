"""Fast decoding on a CPU: the model's forward pass and the choice of a token in C++ (`src/`), loaded by
ctypes.

`generate()` of a MusicGPT model finds it here and gives the same tokens as without it; `Rows` is for loops of
one's own. It is optional: where the library could not be built or does not run, everything takes the stock
loop of transformers.
"""

from __future__ import annotations

from .library import EngineError, load
from .rows import Rows

__all__ = ["EngineError", "Rows", "load"]
