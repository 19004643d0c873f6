"""MusicGPT: keyboard music in the style of Bach's Well-Tempered Clavier.

`Composer` composes, `Settings` says what; names are imported when they are first used, so that importing this
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .version import __version__

# What the package needs beside itself, under names that a script's folder may have, too.
_BESIDE = ("tokenization", "modeling_musicgpt")

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


class ShadowedError(ImportError):
    """Another file has the name of a package that MusicGPT needs, and Python finds it first."""


def _refuse_shadows() -> None:
    """Say which file stands in the way, in place of a failure somewhere in the dark."""
    for name in _BESIDE:
        try:
            spec = find_spec(name)
        except ValueError:  # a module that was put together by hand, without a spec
            continue
        found = Path(spec.origin or "") if spec else None
        ours = Path(__file__).resolve().parent.parent / name
        if found is not None and found.resolve().parent != ours:
            raise ShadowedError(
                f"{found} has the name of a package that MusicGPT needs, {name} in {ours.parent}, and is"
                " found before it: rename that file, or start Python in another folder.",
                name=name,
                path=str(found),
            )


_refuse_shadows()


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value
