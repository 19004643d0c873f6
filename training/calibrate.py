"""How sure a model may be: a scale of its logits by type of token, fitted on pieces kept from training.

python -m training.calibrate --checkpoint DIR|shipped [--write]

A scale below 1 makes a model less sure (temperature scaling by type: Guo et al. 2017, "On Calibration of
Modern Neural Networks"). It is kept in the config as `logit_scale` and applied inside the model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax

from tokenization.interruption import errors_in_one_line
from tokenization.midi_writer import write_whole
from tokenization.vocabulary import TYPE_INDEX, TYPE_OF_ID

from .crops import TERMS, Piece
from .errors import TrainingError
from .evaluation import passes
from .units import bootstrap
from .validate import add_data_arguments, data_arguments, write_json

_TYPES = np.stack([np.equal(TYPE_OF_ID, TYPE_INDEX[name]) for name in TERMS])  # (4, vocab)
_LEAST, _MOST = 0.25, 4.0
_ROUNDS, _NEAR = 50, 1e-9
DRAWS = 10_000


@dataclass(frozen=True)
class Places:
    """Every counted token of some pieces, with what the model said of it.

    Attributes:
        logits (`np.ndarray` of `float64`, shape `(tokens, vocab)`): before any scale.
        target (`np.ndarray`, shape `(tokens,)`): the token that came.
        term (`np.ndarray`, shape `(tokens,)`): 0 NOTE, 1 VOICE, 2 DUR, 3 TIME.
        piece (`np.ndarray`, shape `(tokens,)`): the number of its piece.
    """

    logits: np.ndarray
    target: np.ndarray
    term: np.ndarray
    piece: np.ndarray

    def of(self, pieces: Sequence[int]) -> Places:
        """Those of some of the pieces."""
        keep = np.isin(self.piece, pieces)
        return Places(self.logits[keep], self.target[keep], self.term[keep], self.piece[keep])

    def losses(self, scale: np.ndarray) -> np.ndarray:
        """Nats of every token, `(tokens,)`, under a scale of each of the four types, `(4,)`."""
        scaled = self.logits * (scale @ _TYPES + ~_TYPES.any(axis=0))
        return logsumexp(scaled, axis=1) - scaled[np.arange(len(scaled)), self.target]


def collect(
    model: Any, pieces: Sequence[Piece], context: int | None = None, progress: bool = False
) -> Places:
    """What a model without a scale says of whole pieces.

    Args:
        model: as `evaluation.evaluate` takes it.
        context (`int`, *optional*): tokens a window; all that the model can hold when not given.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    for batch, ids, logits in passes(model, pieces, context, progress=progress):
        for row, window in enumerate(batch):
            places = np.flatnonzero(window.terms >= 0)
            said = logits[row, places - 1].numpy().astype(np.float64)
            number = np.full(len(places), window.piece)
            parts.append((said, ids[row, places].numpy(), window.terms[places], number))
    return Places(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def fit(places: Places) -> np.ndarray:
    """The scale of each type, `(4,)`, at which the tokens cost least.

    The loss is convex in the scales (a log-sum-exp of linear functions less a linear one), so Newton's method
    finds the one minimum; steps that make it worse are halved.

    Raises:
        TrainingError: if it lies outside 0.25 to 4: such a model is not calibrated but broken.
    """
    # A type's own logits are the derivatives of the scaled ones by its scale; those of two types never meet.
    chosen = places.logits[np.arange(len(places.target)), places.target]
    came = _TYPES[:, places.target].T * chosen[:, None]  # (tokens, 4)
    scale, loss = np.ones(len(TERMS)), places.losses(np.ones(len(TERMS))).mean()
    for _ in range(_ROUNDS):
        scaled = places.logits * (scale @ _TYPES + ~_TYPES.any(axis=0))
        p = softmax(scaled, axis=1)
        mean = (places.logits * p) @ _TYPES.T  # (tokens, 4)
        gradient = (mean - came).mean(axis=0)
        second = np.diag(((places.logits**2 * p) @ _TYPES.T).sum(axis=0)) - mean.T @ mean
        step = np.linalg.solve(second / len(p) + 1e-12 * np.eye(len(TERMS)), gradient)
        while (new := places.losses(scale - step).mean()) > loss and np.abs(step).max() > _NEAR:
            step /= 2
        if new > loss or np.abs(step).max() <= _NEAR:
            break
        scale, loss = scale - step, new
    if not ((scale >= _LEAST) & (scale <= _MOST)).all():
        raise TrainingError(
            f"The best scales are {', '.join(f'{t} {s:.2f}' for t, s in zip(TERMS, scale, strict=True))}, not"
            f" between {_LEAST} and {_MOST}: this model has learnt too little, or its pieces are too few."
        )
    return scale


@dataclass(frozen=True)
class Calibration:
    """What a fit found.

    Attributes:
        scale (`dict`): of each type, fitted on all pieces.
        by_unit (`dict`): for each key number, the scale that the others gave, by type.
        before, after (`np.ndarray` of shape `(4,)`): nats a note by term, without a scale, and each key
            number by the scale of the others.
        gain (`float`): nats a note that this saves. interval (`tuple`): 95 % of it over resampled pieces.
        notes (`int`): how many.
    """

    scale: dict[str, float]
    by_unit: dict[str, dict[str, float]]
    before: np.ndarray
    after: np.ndarray
    gain: float
    interval: tuple[float, float]
    notes: int

    def told(self) -> str:
        """As text."""
        low, high = self.interval
        lines = [f"{'nats a note':<34}{'total':>8}" + "".join(f"{term:>9}" for term in TERMS)]
        for name, terms in (("as it is", self.before), ("each key number by the others' fit", self.after)):
            lines.append(f"{name:<34}{terms.sum():>8.4f}" + "".join(f"{value:>9.4f}" for value in terms))
        lines.append(
            f"saved: {self.gain:.4f} nats a note ({low:.4f} to {high:.4f}, bootstrap over pieces,"
            f" {DRAWS:,} draws; {self.notes} notes)"
        )
        for name, scale in (*self.by_unit.items(), ("all", self.scale)):
            told = "all pieces" if name == "all" else f"all but key number {name}"
            lines.append(f"scale by {told}: " + ", ".join(f"{t} {s:.3f}" for t, s in scale.items()))
        return "\n".join(lines)


def calibrate(places: Places, pieces: Sequence[Piece]) -> Calibration:
    """Fit on all pieces, and measure what a fit is worth: each key number by the scale that the others give.

    Raises:
        TrainingError: if there is only one key number, or see `fit`.
    """
    units = sorted({piece.unit for piece in pieces})
    if len(units) < 2:
        raise TrainingError(
            f"A fit is measured on another key number, and these pieces have one, {units[0]}."
        )
    ones = np.ones(len(TERMS))
    after, by_unit = np.zeros(len(places.term)), {}
    for unit in units:
        own = [number for number, piece in enumerate(pieces) if piece.unit == unit]
        scale = fit(places.of([number for number in range(len(pieces)) if number not in own]))
        here = np.isin(places.piece, own)
        after[here] = places.of(own).losses(scale)
        by_unit[unit] = dict(zip(TERMS, scale.tolist(), strict=True))
    before = places.losses(ones)
    notes = np.bincount(places.piece[places.term == 0], minlength=len(pieces)).astype(float)
    saved = np.bincount(places.piece, weights=before - after, minlength=len(pieces))
    return Calibration(
        scale={t: round(s, 4) for t, s in zip(TERMS, fit(places).tolist(), strict=True)},
        by_unit=by_unit,
        before=np.bincount(places.term, weights=before, minlength=len(TERMS)) / notes.sum(),
        after=np.bincount(places.term, weights=after, minlength=len(TERMS)) / notes.sum(),
        gain=float(saved.sum() / notes.sum()),
        interval=bootstrap(saved, notes, range(len(pieces)), DRAWS),
        notes=int(notes.sum()),
    )


def write_scale(folder: Path, scale: dict[str, float]) -> None:
    """Put a scale into the config of a model's folder; the weights stay as they are."""
    path = folder / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    text = json.dumps({**values, "logit_scale": scale}, indent=2, sort_keys=True)
    write_whole(path, f"{text}\n".encode())


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.calibrate",
        description=(
            "A scale of the logits by type of token, fitted on pieces that training did not see; what it is"
            " worth is measured on each key number by the fit on the others."
        ),
    )
    parser.add_argument(
        "--checkpoint", default="shipped", help="folder, a run's folder, Hub id, or `shipped` (default)"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the scale of all pieces into the config of the folder"
    )
    parser.add_argument("--json", help="also write all figures to this file")
    add_data_arguments(parser)
    given = parser.parse_args(argv)
    found = _calibrate_checkpoint(given)
    if given.write:
        from .models import resolve

        write_scale(Path(resolve(given.checkpoint)), found.scale)
    print(found.told())
    if given.json:
        values = {name: getattr(found, name) for name in ("scale", "by_unit", "gain", "interval", "notes")}
        write_json(given.json, {**values, "before": found.before.tolist(), "after": found.after.tolist()})
    return 0


def _calibrate_checkpoint(given: argparse.Namespace) -> Calibration:
    from .models import context_of, load_model
    from .sources import load_pieces

    model = load_model(given.checkpoint)
    pieces = load_pieces(data_arguments(given), (given.split,))[given.split]
    return calibrate(collect(model, pieces, context_of(given.checkpoint, model), progress=True), pieces)


if __name__ == "__main__":
    sys.exit(main())
