"""Pieces that a model composes with the composer's rules, as further text to train on, so that what the rules
know moves into the weights.

They are asked for what pieces of the train split are, and another model judges them: of each form the share
that it finds least likely is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenization.codec import decode
from tokenization.key import normal_key
from tokenization.midi_writer import write_whole
from tokenization.vocabulary import FORMS

from .crops import Piece
from .errors import TrainingError

# The name by which `times` means these pieces.
OWN = "own"
# Pieces composed in one batch, for one thing asked.
TOGETHER = 4


@dataclass(frozen=True)
class Asked:
    """What is composed.

    Attributes:
        model (`str`): folder of the model that composes.
        judge (`str`): folder of the model that judges.
        pieces (`int`): how many are composed, half of them preludes where there are both forms.
        kept (`float`): the share of each form that is kept, the likeliest by the judge's nats a note.
        first_seed (`int`): seed of the first piece; the others have those that follow.
        tokens (`int` or `None`): the most of a piece; the composer's own choice when `None`.
    """

    model: str
    judge: str
    pieces: int
    kept: float
    first_seed: int
    tokens: int | None = None


def compose(asked: Asked, models: Sequence[Piece], path: Path) -> None:
    """Compose pieces, judge them and write those that are kept, one JSON object a line, whole or not at all.

    Args:
        asked (`Asked`): how many, and by whom.
        models (sequence of `Piece`): pieces whose form, mode, meter, voices and tempo are asked for; without
            a form only where none has one.
        path: the file.

    Raises:
        MusicGPTError: if a model cannot be read.
    """
    from .evaluation import evaluate_report
    from .models import load_model

    composed = _composed(asked, models)
    pieces = [_piece(name, ids) for name, ids in composed.items()]
    rows = evaluate_report(load_model(asked.judge), pieces, progress=True).to_dict()["pieces"]
    nats = {row["name"]: row["nats_per_note"] for row in rows}
    lines = []
    for form in (*FORMS, None):
        names = sorted((p.name for p in pieces if p.score.form == form), key=nats.__getitem__)
        lines += [
            json.dumps({"id": name, "nats_per_note": round(nats[name], 4), "ids": composed[name]})
            for name in names[: round(asked.kept * len(names))]
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _composed(asked: Asked, models: Sequence[Piece]) -> dict[str, list[int]]:
    """The ids of every piece by its name."""
    from tqdm import tqdm

    from musicgpt import Composer, Settings

    forms = {form: [piece.score for piece in models if piece.score.form == form] for form in (*FORMS, None)}
    forms = {form: some for form, some in forms.items() if some}
    if len(forms) > 1:
        forms.pop(None, None)
    composer, found = Composer.from_pretrained(asked.model), {}
    rng = np.random.default_rng(asked.first_seed)
    for start in tqdm(range(0, asked.pieces, TOGETHER), desc="composing"):
        form = list(forms)[start // TOGETHER % len(forms)]
        like = forms[form][int(rng.integers(len(forms[form])))]
        settings = Settings(
            key=str(normal_key(like.key.mode if like.key else "major")),
            form=form,
            meter=like.meters[0].name,
            voices=min(5, max(2, like.num_voices)),
            tempo=like.tempo_class,
            max_new_tokens=asked.tokens,
            seed=asked.first_seed + start,
        )
        for piece in composer.compose(settings, num=min(TOGETHER, asked.pieces - start)):
            found[f"{OWN}-{piece.seed}"] = [int(i) for i in piece.ids]
    return found


def _piece(name: str, ids: list[int], times: float = 1.0) -> Piece:
    return Piece(name, decode(ids).score.quantised(), name, times=times, own=True)


def read_own(paths: Sequence[str | os.PathLike], times: float = 1.0) -> list[Piece]:
    """The pieces of files that `compose` wrote.

    Args:
        paths: the files.
        times (`float`): how often an epoch takes each piece.

    Raises:
        TrainingError: naming the file that is missing or holds something else.
    """
    pieces = []
    for path in paths:
        try:
            for line in Path(path).read_text(encoding="utf-8").splitlines():
                values = json.loads(line)
                pieces.append(_piece(str(values["id"]), [int(i) for i in values["ids"]], times))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{path} holds no pieces that a model composed (training/own_text.py):"
                f" {' '.join(str(error).split()) or type(error).__name__}."
            ) from error
    return pieces


__all__ = ["OWN", "Asked", "compose", "read_own"]
