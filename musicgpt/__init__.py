"""MusicGPT: keyboard music in the style of Bach's Well-Tempered Clavier.

`Composer` composes, `Settings` says what; names are imported when they are first used, so that importing this
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

_HOME_OF = {
    "Composer": "composer",
    "Stream": "composer",
    "Composition": "composition",
    "Given": "given",
    "GivenError": "given",
    "parse_melody": "given",
    "Settings": "settings",
    "SettingsError": "settings",
    "MOODS": "moods",
}
__all__ = [*_HOME_OF, "__version__"]

if TYPE_CHECKING:
    from .composer import Composer, Stream
    from .composition import Composition
    from .given import Given, GivenError, parse_melody
    from .moods import MOODS
    from .settings import Settings, SettingsError


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value
