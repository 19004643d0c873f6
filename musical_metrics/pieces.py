"""From what a user has (a path, token ids, a dict) to `Score`s, and from a set of pieces to one dictionary of results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenization.errors import ScoreError
from tokenization.score import Score

from .compare import compare
from .originality import nearest_passage
from .score import musical_score
from .view import View


def as_score(piece: Any, key: str | None = None, form: str | None = None) -> Score:
    """A piece in any form as a `Score`.

    Args:
        piece (`Score`, `dict`, path, sequence of token ids, or the JSON text of a dict or of ids): the piece.
        key (`str`, *optional*), form (`str`, *optional*): what it is meant to be, instead of what it declares.

    Raises:
        ScoreError: if it is none of these.
    """
    if isinstance(piece, str) and piece.lstrip()[:1] in ("{", "["):
        try:
            piece = json.loads(piece)
        except json.JSONDecodeError as error:
            raise ScoreError(f"Not a piece: {piece[:40]!r} begins like JSON but is none ({error}).") from error
    if isinstance(piece, str | os.PathLike):
        from tokenization import read_score

        return read_score(Path(piece), key=key, form=form)
    if isinstance(piece, Mapping):
        piece = Score.from_dict(dict(piece))
    elif not isinstance(piece, Score):
        piece = _from_ids(piece)
    changes = {name: value for name, value in (("key", key), ("form", form)) if value is not None}
    return piece.replace(**changes) if changes else piece


def _from_ids(ids: Sequence[int]) -> Score:
    """Token ids as a score; what breaks the grammar is left out, with a notice."""
    from tokenization import decode

    try:
        numbers = [int(i) for i in ids]
    except (TypeError, ValueError) as error:
        raise ScoreError(f"Not a piece: {type(ids).__name__}; give a path, token ids or a score's dict.") from error
    decoded = decode(numbers, strict=False)
    notices = [f"{decoded.dropped} illegal tokens left out"] if decoded.dropped else []
    return decoded.score.replace(notices=(*decoded.score.notices, *notices))


def describe(view: View) -> dict[str, Any]:
    """Everything there is to say about one piece, as plain data."""
    score = view.score
    passage = nearest_passage(view)
    found = musical_score(view).to_dict()
    return {
        "title": score.title,
        "key": str(score.key) if score.key else None,
        "form": score.form,
        "notices": list(score.notices),
        **found,
        "nearest_passage": passage if isinstance(passage, str) else str(passage),
    }


def report(
    predictions: Sequence[Any], references: Sequence[Any] | None = None, key: str | None = None, form: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """All results of a set of pieces; what `evaluate`'s `compute` returns (see its description)."""
    views = [View(as_score(piece, key, form)) for piece in predictions]
    others = None if references is None else [View(as_score(piece)) for piece in references]
    comparison = compare(views, others, seed=seed)
    return {
        "musical_score": comparison.score,
        "musical_scores": comparison.scores,
        "reference_score": comparison.reference_score,
        "reference": comparison.reference,
        "two_sample_auc": comparison.two_sample_auc,
        "two_sample_reason": comparison.two_sample_reason,
        **{name: metric.median for name, metric in comparison.metrics.items()},
        "comparison": comparison.to_dict()["metrics"],
        "pieces": [describe(view) for view in views],
    }


__all__ = ["as_score", "describe", "report"]
