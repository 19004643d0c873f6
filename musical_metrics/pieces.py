"""From what a user has (a path, token ids, a dict) to `Score`s, and from a set of pieces to one dictionary of
results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenization.analysis.view import View
from tokenization.errors import ScoreError
from tokenization.score import Score
from tokenization.vocabulary import VOCAB_SIZE

from .compare import compare
from .originality import nearest_passage
from .score import musical_score

ACCEPTED = (
    "a piece is the path of a MIDI, MusicXML or note-table file, the token ids of a piece (a list of whole"
    f" numbers from 0 to {VOCAB_SIZE - 1}), a Score, or the dict that Score.to_dict() gives"
)


class PredictionError(ScoreError):
    """What was given as a piece, or as a set of pieces, is none; the text says what is accepted."""


def as_score(piece: Any, key: str | None = None, form: str | None = None) -> Score:
    """A piece in any form as a `Score`.

    Args:
        piece (`Score`, `dict`, path, sequence of token ids, or the JSON text of a dict or of ids): the piece.
        key (`str`, *optional*), form (`str`, *optional*): what it is meant to be, instead of what it
            declares.

    Raises:
        PredictionError: if it is none of these.
        ScoreReadError: if there is no score at that path.
        ScoreError: for an unknown key or form.
    """
    piece = _parsed(piece)
    if isinstance(piece, str | os.PathLike):
        from tokenization import read_score

        return read_score(Path(piece), key=key, form=form)
    if isinstance(piece, Mapping):
        piece = _from_dict(piece)
    elif not _is_score(piece):
        piece = _from_ids(piece)
    changes = {name: value for name, value in (("key", key), ("form", form)) if value is not None}
    return piece.replace(**changes) if changes else piece


def as_text(piece: Any) -> str:
    """A piece as a string that `as_score` reads: a path as it is, all else as JSON. `evaluate` keeps strings.

    Raises:
        PredictionError: if it is no piece.
    """
    piece = _parsed(piece)
    if isinstance(piece, str | os.PathLike):
        return os.fspath(piece)
    if _is_score(piece):
        return json.dumps(piece.to_dict())
    try:
        return json.dumps(piece if isinstance(piece, Mapping) else _ids(piece))
    except PredictionError:
        raise
    except (TypeError, ValueError) as error:
        raise PredictionError(f"Not a score's dict ({error}); {ACCEPTED}.") from error


def as_texts(pieces: Any, what: str = "predictions") -> list[str]:
    """A set of pieces as strings; one path, dict or `Score` alone is a set of one.

    Args:
        pieces (sequence of pieces, or one): see `as_score`.
        what (`str`): what the caller calls them.

    Raises:
        PredictionError: naming the first that is no piece, or if there is none at all.
    """
    if isinstance(pieces, str | os.PathLike | Mapping) or _is_score(pieces):
        pieces = [pieces]
    if isinstance(pieces, bytes | bytearray) or not isinstance(pieces, Iterable):
        raise PredictionError(f"{what} is {_kind(pieces)}: give a list of pieces; {ACCEPTED}.")
    texts = []
    for number, piece in enumerate(pieces):
        try:
            texts.append(as_text(piece))
        except PredictionError as error:
            raise PredictionError(f"{what}[{number}]: {error}") from error
    if not texts:
        raise PredictionError(f"There is nothing to measure: {what} is empty; give at least one piece.")
    return texts


def _is_score(piece: Any) -> bool:
    """Whether it is a score, also one of another copy of `tokenization` (an exported folder's)."""
    return isinstance(piece, Score) or (hasattr(piece, "to_dict") and hasattr(piece, "quantised"))


def _kind(thing: Any) -> str:
    return "None" if thing is None else f"{type(thing).__name__} {str(thing)[:40]!r}"


def _parsed(piece: Any) -> Any:
    """What a JSON text holds; everything else as it is."""
    if not isinstance(piece, str) or piece.lstrip()[:1] not in ("{", "["):
        return piece
    try:
        return json.loads(piece)
    except json.JSONDecodeError as error:
        raise PredictionError(
            f"{piece[:40]!r} begins like JSON but is none ({error}); {ACCEPTED}."
        ) from error


def _from_dict(data: Mapping) -> Score:
    try:
        return Score.from_dict(dict(data))
    except (TypeError, ValueError, KeyError) as error:
        raise PredictionError(f"{' '.join(str(error).split()).rstrip('.')}; {ACCEPTED}.") from error


def _ids(ids: Any) -> list[int]:
    """Token ids as whole numbers in range; arrays and tensors of one dimension are read too."""
    ids = ids.tolist() if hasattr(ids, "tolist") else ids
    if isinstance(ids, str | bytes | bytearray) or not isinstance(ids, Iterable):
        hint = (
            "; the ids of one piece stand in a list of their own: [[1, 5, ...]]"
            if isinstance(ids, int)
            else ""
        )
        raise PredictionError(f"{_kind(ids)} is no piece{hint}: {ACCEPTED}.")
    ids = [item.item() if hasattr(item, "item") else item for item in ids]
    wrong = next(
        (i for i in ids if not isinstance(i, int) or isinstance(i, bool) or not 0 <= i < VOCAB_SIZE), ids
    )
    if wrong is not ids or not ids:
        raise PredictionError(f"{_kind(wrong) if ids else 'An empty list'} is no token id: {ACCEPTED}.")
    return ids


def _from_ids(ids: Any) -> Score:
    """Token ids as a score; what breaks the grammar is left out, with a notice."""
    from tokenization import decode

    decoded = decode(_ids(ids), strict=False)
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
    predictions: Sequence[Any],
    references: Sequence[Any] | None = None,
    key: str | None = None,
    form: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """All results of a set of pieces; what `evaluate`'s `compute` returns (see its description)."""
    views = [View(as_score(piece, key, form)) for piece in as_texts(predictions)]
    others = (
        None
        if references is None
        else [View(as_score(piece)) for piece in as_texts(references, "references")]
    )
    comparison = compare(views, others, seed=seed)
    apart = comparison.families.get("all")
    return {
        "musical_score": comparison.score,
        "musical_scores": comparison.scores,
        "reference_score": comparison.reference_score,
        "reference": comparison.reference,
        "two_sample_auc": apart.auc if apart else None,
        **{name: metric.median for name, metric in comparison.metrics.items()},
        "comparison": comparison.to_dict()["metrics"],
        "pieces": [describe(view) for view in views],
    }
