"""What steers a piece: rules, one file each, applied in the order of a list (docs/rules.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..settings import SettingsError

# The rules of the composer by name, the most important first. They are imported when they are asked for, as
# they bring torch.
DEFAULT = (
    "beginning",
    "tonal_plan",
    "opening",
    "close",
    "budget",
    "ending",
    "length",
    "pedal",
    "prelude_type",
    "returns",
    "sequences",
    "fugue",
    "keyboard",
    "cadences",
    "harmony",
    "rhythm",
    "motion",
    "idiom",
    "figure",
    "counterpoint",
    "thorough_bass",
    "lines",
    "quotation",
    "entries",
)
_HOME = {"Brief": "base", "Rule": "base", "RuleProcessor": "base", "build": "base", "rule": "base"}


def chosen(rules: Sequence[Any] | bool | None) -> list[Any]:
    """What `Composer(rules=...)` is given as a list of classes and functions.

    Args:
        rules: a list of names of `DEFAULT`, classes derived from `Rule`, and functions of state and scores;
            `True` or `None`: all of `DEFAULT`; `False`: none.

    Raises:
        SettingsError: for a name that is no rule.
    """
    asked = list(DEFAULT) if rules is True or rules is None else [] if rules is False else list(rules)
    return [_by_name(item) if isinstance(item, str) else item for item in asked]


def _by_name(name: str) -> Any:
    from importlib import import_module

    if name not in DEFAULT:
        raise SettingsError(f"Unknown rule {name!r}: the rules are {', '.join(DEFAULT)}.")
    return getattr(import_module(f"{__name__}.{name}"), name.title().replace("_", ""))


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


__all__ = ["DEFAULT", "Brief", "Rule", "RuleProcessor", "build", "chosen", "rule"]
