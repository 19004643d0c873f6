"""The shipped reference: Bach's values of every metric. Loads in well under a second.

`reference_data/values.json` holds the value of every metric for every movement of the train and validation
splits, each measured with an n-gram and an index that have not seen its key number (prelude and fugue, both
books), for the whole movement and for its first 128, 256 and 512 notes. Made by `python -m
musical_metrics.build_reference` (which needs the scores).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .catalogue import BY_NAME

DATA = Path(__file__).parent / "reference_data"
LENGTHS = (128, 256, 512)  # notes of the openings; whole movements beside them
WHOLE = "whole"
BAND = (0.05, 0.95)
MIN_PIECES = 8  # a band from fewer movements is none


class Band(NamedTuple):
    """Where held-out Bach lies: 5 %, 50 % and 95 % of the movements, and how many there are."""

    low: float
    median: float
    high: float
    n: int

    def distance(self, value: float, resolution: float) -> float:
        """Distance from the median in units of the band's half on that side: 1 at its edge."""
        half = self.high - self.median if value > self.median else self.median - self.low
        return abs(value - self.median) / max(half, resolution)


class Table:
    """Values of held-out Bach.

    Args:
        ids (sequence of `str`), forms (sequence of `str`), numbers (sequence of `int`), splits (sequence of
            `str`): of the movements.
        names (sequence of `str`): of the metrics.
        values (dict of arrays of shape `(movements, metrics)`): by length (`"128"`, ..., `"whole"`); NaN
            where a metric has no value.
    """

    def __init__(
        self,
        ids: Sequence[str],
        forms: Sequence[str],
        numbers: Sequence[int],
        splits: Sequence[str],
        names: Sequence[str],
        values: dict[str, np.ndarray],
    ):
        self.ids, self.names, self.values = tuple(ids), tuple(names), values
        self.forms, self.numbers, self.splits = np.array(forms), np.array(numbers), np.array(splits)

    def select(self, form: str | None, without: Sequence[int] = ()) -> np.ndarray:
        """Which movements: of the form (all when `None`), except some key numbers; bool of shape
        `(movements,)`.
        """
        keep = ~np.isin(self.numbers, list(without))
        return keep & (self.forms == form) if form else keep

    def rows(self, length: str) -> np.ndarray:
        """The values at a length; of the metrics that look at the end of a piece those of the whole
        movements, `(movements, metrics)`.
        """
        ends = np.array([BY_NAME[name].whole for name in self.names])
        return np.where(
            ends & ~np.isnan(self.values[length]).all(axis=1)[:, None],
            self.values[WHOLE],
            self.values[length],
        )

    def bands(self, form: str | None, length: str, without: Sequence[int] = ()) -> dict[str, Band]:
        """The band of each metric that enough movements have a value of."""
        found = {}
        for name, column in zip(self.names, self.rows(length)[self.select(form, without)].T, strict=True):
            column = column[~np.isnan(column)]
            if len(column) >= MIN_PIECES:
                low, high = np.quantile(column, BAND)
                found[name] = Band(float(low), float(np.median(column)), float(high), len(column))
        return found

    def to_json(self) -> str:
        """As text; NaN becomes null."""
        values = {
            k: [[None if np.isnan(x) else round(float(x), 5) for x in row] for row in v]
            for k, v in self.values.items()
        }
        columns = (self.ids, self.forms.tolist(), self.numbers.tolist(), self.splits.tolist())
        movements = list(zip(*columns, strict=True))
        return json.dumps({"names": self.names, "movements": movements, "values": values})

    @classmethod
    def from_json(cls, text: str) -> Table:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        values = {
            k: np.array([[np.nan if x is None else x for x in row] for row in v])
            for k, v in data["values"].items()
        }
        ids, forms, numbers, splits = zip(*data["movements"], strict=True)
        return cls(ids, forms, numbers, splits, data["names"], values)


def length_class(notes: int) -> str:
    """Which of Bach's lengths a piece is measured against: the nearest opening by ratio, or whole movements
    from 725 notes up.
    """
    longer = [length for length in LENGTHS if notes < length * 2**0.5]
    return str(longer[0]) if longer else WHOLE


@lru_cache(maxsize=1)
def table() -> Table:
    """The shipped values."""
    return Table.from_json((DATA / "values.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def _bands(form: str | None, length: str) -> dict[str, Band]:
    return table().bands(form, length)


def bands(form: str | None = None, notes: int | None = None) -> dict[str, Band]:
    """Bach's band of each metric.

    Args:
        form (`str`, *optional*): `"prelude"` or `"fugue"`; both together when not given.
        notes (`int`, *optional*): length of the piece to compare; whole movements when not given.
    """
    return _bands(form, WHOLE if notes is None else length_class(notes))
