"""The settings of hypothesis for these tests: no deadline on a busy machine, the same examples every time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("tokenization", deadline=None, derandomize=True)
settings.load_profile("tokenization")
