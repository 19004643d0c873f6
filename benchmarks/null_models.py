"""Sets of pieces that a measure must put in order: Bach, the shipped weights, an undertrained model, chains, noise.

    python -m benchmarks.null_models --out FOLDER [--pieces 16] [--source ../shared/data]

composes what has to be composed into one file a set and form, `FOLDER/NAME_FORM.json`, and goes on where it was
stopped. The undertrained model is trained here, from random weights with a fixed seed, until a note of the
validation movements costs less than `UNDERTRAINED` nats: it knows the grammar and which tokens are frequent, and
little more. Pieces are asked for what Bach's movements are (`result_pieces.conditions`), default settings, seeds
in order. The other sets are made of Bach's scores when they are read (`read_sets`).
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .result_pieces import FORMS, conditions

if TYPE_CHECKING:
    from musical_metrics.corpus import Movement
    from tokenization.score import Score

UNDERTRAINED = 6.6  # nats a note
STEPS, ROWS, LENGTH = 400, 8, 256  # at most so many steps of so many rows of so many tokens
# Sets that a model composes: which model, and whether with the composer's rules.
COMPOSED = {
    "undertrained": ("undertrained", True),
    "shipped": ("shipped", True),
    "shipped_alone": ("shipped", False),
    "undertrained_alone": ("undertrained", False),
}
# Other Bach: set, folder, kinds of work in its catalogue.
OTHER_BACH = (
    ("inventions", "bach_extra", ("invention",)),
    ("sinfonias", "bach_extra", ("sinfonia",)),
    ("art_of_fugue", "bach_extra", ("Art of Fugue",)),
    ("organ", "bach_organ", ("organ prelude and fugue", "trio sonata")),
)


def undertrained(movements: Sequence[Movement], seed: int = 0) -> tuple[Any, float]:
    """A model of the shipped kind and a quarter of its width, trained until it costs `UNDERTRAINED` nats a note.

    Args:
        movements (sequence of `Movement`): its train split is trained on, its validation split asked.

    Returns:
        the model, and what a note costs it.
    """
    import torch

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
    from training.crops import Piece, cut_body, cut_prefix
    from training.evaluation import evaluate_report

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = MusicGPTForCausalLM(
        MusicGPTConfig(hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=2)
    )
    train = [m.score.quantised() for m in movements if m.split == "train"]
    held = [Piece(m.id, m.score.quantised(), str(m.number)) for m in movements if m.split == "validation"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    nats = float("inf")
    for step in range(1, STEPS + 1):
        rows = []
        for _ in range(ROWS):
            score = train[rng.integers(len(train))]
            start = int(rng.integers(max(1, len(score) - LENGTH // 4)))
            ids = np.concatenate([cut_prefix(score, start), cut_body(score, start, start + LENGTH // 4)])
            rows.append(np.pad(ids[:LENGTH], (0, max(0, LENGTH - len(ids)))))
        batch = torch.from_numpy(np.stack(rows)).long()  # (rows, length)
        loss = model(input_ids=batch, labels=batch.masked_fill(batch == 0, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 2 == 0 and step > 30:
            nats = evaluate_report(model, held[:4], context=1024).nats_per_note
            print(f"step {step}: {nats:.2f} nats a note", flush=True)
            if nats < UNDERTRAINED:
                break
    return model.eval(), nats


def compose_set(
    model: Any, rules: bool, movements: Sequence[Movement], form: str, pieces: int, file: Path
) -> None:
    """Compose what `file` does not hold yet; each piece is kept as soon as it is there."""
    from musicgpt import Composer, Settings
    from tokenization.midi_writer import write_whole

    done = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    composer = Composer(model, rules=rules)
    for k, fields in enumerate(conditions(movements, form, pieces)[len(done) :], len(done)):
        begun = time.perf_counter()
        done.append(composer.compose(Settings(**fields, seed=k))[0].score.to_dict())
        write_whole(file, json.dumps(done).encode())
        print(f"{file.stem} {k}: {time.perf_counter() - begun:.0f} s", flush=True)


def other_bach(source: Path, folder: str, kinds: Sequence[str]) -> list[Score]:
    """Scores of another folder of Bach's, of some kinds of work (all when empty), with their keys; where the
    catalogue has no mode, the key is D minor's, of The Art of Fugue.
    """
    from tokenization import read_score

    with open(source / folder / "catalogue.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not kinds or row["work"] in kinds]
    return [
        read_score(source / folder / row["note_table"], key=f"{row['tonic']} {row['mode'] or 'minor'}")
        for row in rows
    ]


def main() -> None:
    """The command line."""
    from musical_metrics.corpus import read_corpus
    from training.models import load_model

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the pieces, outside of the repository"
    )
    parser.add_argument("--pieces", type=int, default=16, help="of each set and form (default 16)")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data"), help="the folder of the scores"
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    movements = read_corpus(given.source / "wtc")
    weights = given.out / "undertrained"
    if not weights.exists():
        model, nats = undertrained(movements)
        model.save_pretrained(weights)
        (given.out / "undertrained.json").write_text(json.dumps({"nats_per_note": nats}), encoding="utf-8")
    models = {"shipped": load_model("shipped"), "undertrained": load_model(str(weights))}
    for name, (model, rules) in COMPOSED.items():
        for form in FORMS:
            file = given.out / f"{name}_{form}.json"
            compose_set(models[model], rules, movements, form, given.pieces, file)


if __name__ == "__main__":
    main()
