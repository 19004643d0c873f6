"""The published units: nats and bits a note, their four terms, pooled and by piece, with bootstrap intervals
over key numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .crops import TERMS

BITS = 1 / math.log(2)


@dataclass
class PieceLoss:
    """What one piece costs.

    Attributes:
        name, unit (`str`): the piece, and what the bootstrap draws (its key number).
        notes, tokens (`int`): how many notes and how many of their tokens were counted.
        quarters (`float`): from the first onset to the end.
        nats, masked (`np.ndarray` of shape `(4,)`): sums for NOTE, VOICE, DUR and TIME, over all tokens and
            renormalised over the legal ones.
    """

    name: str
    unit: str
    notes: int = 0
    tokens: int = 0
    quarters: float = 0.0
    nats: np.ndarray = field(default_factory=lambda: np.zeros(len(TERMS)))
    masked: np.ndarray = field(default_factory=lambda: np.zeros(len(TERMS)))


@dataclass
class Figures:
    """A loss in every unit.

    Attributes:
        nats_per_note, bits_per_note, nats_per_token, bits_per_quarter: pooled, that is, sums over all pieces
            divided by their counts.
        terms (`dict`): nats a note by type; they add up to `nats_per_note`.
        interval (`tuple`): 95 % of `nats_per_note` over resampled key numbers.
        piece_mean, piece_median: of the pieces' own nats a note.
    """

    nats_per_note: float
    bits_per_note: float
    nats_per_token: float
    bits_per_quarter: float
    terms: dict[str, float]
    interval: tuple[float, float]
    piece_mean: float
    piece_median: float


@dataclass
class Report:
    """The loss of a model on one split."""

    pieces: list[PieceLoss]
    unmasked: Figures
    masked: Figures
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def nats_per_note(self) -> float:
        """The published figure: pooled, unmasked."""
        return self.unmasked.nats_per_note

    def figures(self) -> dict[str, float]:
        """What stands beside a model, and in the log of a run."""
        return {
            "nats_per_note": self.nats_per_note,
            "masked_nats_per_note": self.masked.nats_per_note,
            "bits_per_note": self.unmasked.bits_per_note,
            **self.unmasked.terms,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        rows = [
            {
                "name": p.name,
                "unit": p.unit,
                "notes": p.notes,
                "tokens": p.tokens,
                "quarters": p.quarters,
                "nats_per_note": float(p.nats.sum() / p.notes),
                "masked_nats_per_note": float(p.masked.sum() / p.notes),
                "terms": dict(zip(TERMS, (p.nats / p.notes).tolist(), strict=True)),
            }
            for p in self.pieces
        ]
        return {
            "about": self.about,
            "unmasked": asdict(self.unmasked),
            "masked": asdict(self.masked),
            "pieces": rows,
        }


def report(pieces: Sequence[PieceLoss], about: dict[str, Any] | None = None, draws: int = 10_000) -> Report:
    """Sums of pieces put into units. The bootstrap draws key numbers with a fixed seed."""
    units = sorted({piece.unit for piece in pieces})
    about = {
        "pieces": len(pieces),
        "notes": sum(p.notes for p in pieces),
        "units": len(units),
        **(about or {}),
    }
    unmasked, masked = (
        _figures(pieces, [getattr(p, name) for p in pieces], units, draws) for name in ("nats", "masked")
    )
    return Report(list(pieces), unmasked, masked, about=about)


def _figures(
    pieces: Sequence[PieceLoss], sums: Sequence[np.ndarray], units: Sequence[str], draws: int
) -> Figures:
    nats = np.stack(sums)  # (pieces, 4)
    notes = np.array([piece.notes for piece in pieces], dtype=float)
    total = float(nats.sum())
    own = nats.sum(axis=1) / notes
    return Figures(
        nats_per_note=total / notes.sum(),
        bits_per_note=total / notes.sum() * BITS,
        nats_per_token=total / sum(piece.tokens for piece in pieces),
        bits_per_quarter=total * BITS / max(1e-9, sum(piece.quarters for piece in pieces)),
        terms=dict(zip(TERMS, (nats.sum(axis=0) / notes.sum()).tolist(), strict=True)),
        interval=bootstrap(nats.sum(axis=1), notes, [units.index(piece.unit) for piece in pieces], draws),
        piece_mean=float(own.mean()),
        piece_median=float(np.median(own)),
    )


def bootstrap(sums: np.ndarray, counts: np.ndarray, units: Sequence[int], draws: int) -> tuple[float, float]:
    """95 % percentile interval of sum / count when whole units are drawn with replacement (seed 0).

    Args:
        sums, counts (`np.ndarray` of shape `(pieces,)`): nats and notes of each piece.
        units (sequence of `int`, `pieces` long): the unit of each piece, numbered from 0.
        draws (`int`): resamples.
    """
    number = max(units) + 1
    # (2, units)
    by_unit = np.stack([np.bincount(units, weights=values, minlength=number) for values in (sums, counts)])
    drawn = np.random.default_rng(0).integers(0, number, size=(draws, number))
    totals = by_unit[:, drawn].sum(axis=2)  # (2, draws)
    low, high = np.percentile(totals[0] / totals[1], [2.5, 97.5])
    return float(low), float(high)


def table(result: Report, per_piece: bool = True) -> str:
    """The report as text."""
    about = ", ".join(f"{key} {value}" for key, value in result.about.items())
    lines = [
        about,
        "",
        f"{'nats a note':<14}{'total':>8}{'95 % interval':>18}" + "".join(f"{term:>8}" for term in TERMS),
    ]
    lines[-1] += f"{'bits/note':>11}{'nats/token':>12}{'bits/quarter':>14}{'piece mean':>12}{'median':>8}"
    for name, figures in (("all tokens", result.unmasked), ("legal tokens", result.masked)):
        low, high = figures.interval
        line = f"{name:<14}{figures.nats_per_note:>8.4f}{f'{low:.3f} - {high:.3f}':>18}"
        line += "".join(f"{figures.terms[term]:>8.4f}" for term in TERMS)
        line += (
            f"{figures.bits_per_note:>11.4f}{figures.nats_per_token:>12.4f}{figures.bits_per_quarter:>14.3f}"
        )
        lines.append(line + f"{figures.piece_mean:>12.4f}{figures.piece_median:>8.4f}")
    lines.append(
        f"Interval: bootstrap over {result.about['units']} key numbers (10,000 draws); with few of them it is"
        " only a range."
    )
    if per_piece:
        lines += ["", f"{'piece':<28}{'key number':>11}{'notes':>7}{'nats/note':>11}{'legal':>8}"]
        for piece in sorted(result.pieces, key=lambda p: p.name):
            own = f"{piece.nats.sum() / piece.notes:>11.4f}{piece.masked.sum() / piece.notes:>8.4f}"
            lines.append(f"{piece.name:<28}{piece.unit:>11}{piece.notes:>7}{own}")
    return "\n".join(lines)
