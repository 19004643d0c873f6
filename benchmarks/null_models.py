"""Sets of pieces that a measure must put in order: Bach, the shipped weights, an undertrained model, chains, noise.

`benchmarks.measures` composes what has to be composed into one file a set and form, `SETS/NAME_FORM.json`, and goes on
where it was stopped. Two models are trained here, from random weights with a fixed seed, until a note of four validation
movements costs less than `TRAINED_TO` nats: one that knows the grammar and which tokens are frequent, and little
more, and one halfway to the shipped weights. Pieces are asked for what Bach's movements are (`result_pieces.conditions`), default settings, seeds
in order. The other sets are made of Bach's scores when they are measured (`measures.measure_everything`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenization.vocabulary import FORMS

from .result_pieces import conditions

if TYPE_CHECKING:
    from musical_metrics.corpus import Movement
    from tokenization.score import Score

TRAINED_TO = {"undertrained": 6.6, "halfway": 4.2}  # nats a note
STEPS, ROWS, LENGTH = 1500, 8, 256  # at most so many steps of so many rows of so many tokens
# Sets that a model composes: which model, and whether with the composer's rules.
COMPOSED = {
    "undertrained": ("undertrained", True),
    "shipped": ("shipped", True),
    "shipped_alone": ("shipped", False),
    "undertrained_alone": ("undertrained", False),
    "halfway": ("halfway", True),
    "halfway_alone": ("halfway", False),
}
# The shipped weights compose three times as many, with rules; their seeds begin at 3000.
TIMES, FIRST_SEED = {"shipped": 3}, {"shipped": 3000}
# Other Bach: set, folder, kinds of work in its catalogue.
OTHER_BACH = (
    ("inventions", "bach_extra", ("invention",)),
    ("sinfonias", "bach_extra", ("sinfonia",)),
    ("art_of_fugue", "bach_extra", ("Art of Fugue",)),
    ("organ", "bach_organ", ("organ prelude and fugue", "trio sonata")),
)


def small_model(movements: Sequence[Movement], until: float) -> tuple[Any, float]:
    """A model of the shipped kind and a quarter of its width, trained until it costs `until` nats a note.

    Args:
        movements (sequence of `Movement`): its train split is trained on, its validation split asked.
        until (`float`): nats a note of four movements of the validation split.

    Returns:
        the model, and what a note costs it.
    """
    import torch

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
    from training.crops import Piece
    from training.evaluation import evaluate_report

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = MusicGPTForCausalLM(
        MusicGPTConfig(hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=2)
    )
    train = [m.score.quantised() for m in movements if m.split == "train"]
    held = [Piece(m.id, m.score.quantised(), str(m.number)) for m in movements if m.split == "validation"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    nats = float("inf")
    for step in range(1, STEPS + 1):
        batch = torch.from_numpy(_crops(train, rng)).long()  # (rows, length)
        loss = model(input_ids=batch, labels=batch.masked_fill(batch == 0, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step > 30 and step % (2 if step < 100 else 25) == 0:
            nats = evaluate_report(model, held[:4], context=1024).nats_per_note
            print(f"step {step}: {nats:.2f} nats a note", flush=True)
            if nats < until:
                break
    return model.eval(), nats


def _crops(train: Sequence[Score], rng: np.random.Generator) -> np.ndarray:
    """`ROWS` stretches of pieces as ids, `(rows, LENGTH)`, padded with 0."""
    from training.crops import cut_body, cut_prefix

    rows = []
    for _ in range(ROWS):
        score = train[rng.integers(len(train))]
        start = int(rng.integers(max(1, len(score) - LENGTH // 4)))
        ids = np.concatenate([cut_prefix(score, start), cut_body(score, start, start + LENGTH // 4)])
        rows.append(np.pad(ids[:LENGTH], (0, max(0, LENGTH - len(ids)))))
    return np.stack(rows)


def models_of(folder: Path, names: Sequence[str], movements: Sequence[Movement]) -> dict[str, Any]:
    """The models by name, trained and kept in `folder` when they are first asked for; what a note costs them
    stands in `folder/nats.json`.
    """
    from tokenization.midi_writer import write_whole
    from training.models import load_model

    found, file = {}, folder / "nats.json"
    nats = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for name in names:
        if name in TRAINED_TO and name not in nats:
            model, nats[name] = small_model(movements, TRAINED_TO[name])
            model.save_pretrained(folder / name)
            write_whole(file, json.dumps(nats).encode())
        found[name] = load_model(str(folder / name) if name in TRAINED_TO else name)
    return found


def compose_set(
    model: Any, rules: bool, movements: Sequence[Movement], form: str, pieces: int, folder: Path, name: str
) -> list[Score]:
    """The pieces of a set and form; what its file in the folder lacks is composed, each piece kept as soon as it
    is there.

    Args:
        pieces (`int`): how many, `TIMES` so many for some sets.
    """
    from musicgpt import Composer, Settings
    from tokenization.midi_writer import write_whole
    from tokenization.score import Score

    file, pieces = folder / f"{name}_{form}.json", pieces * TIMES.get(name, 1)
    done = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    composer = Composer(model, rules=rules)
    for k, fields in enumerate(conditions(movements, form, pieces)[len(done) :], len(done)):
        begun = time.perf_counter()
        seed = FIRST_SEED.get(name, 0) + k
        done.append(composer.compose(Settings(**fields, seed=seed))[0].score.to_dict())
        write_whole(file, json.dumps(done).encode())
        print(f"{file.stem} {k}: {time.perf_counter() - begun:.0f} s", flush=True)
    return [Score.from_dict(row) for row in done[:pieces]]


def other_bach(source: Path, folder: str, kinds: Sequence[str]) -> list[Score]:
    """Scores of another folder of Bach's, of some kinds of work (all when empty), with their keys; where the
    catalogue has no mode, the key is D minor's, of The Art of Fugue.
    """
    from tokenization import read_score
    from tokenization.note_table import catalogued

    return [
        read_score(path, key=f"{row['tonic']} {row['mode'] or 'minor'}")
        for row, path in catalogued(source / folder)
        if not kinds or row["work"] in kinds
    ]


def add_seconds(folder: Path, what: str, seconds: float) -> float:
    """Keep the processor's seconds that something has taken, in `folder/seconds.json`; returns all together."""
    from tokenization.midi_writer import write_whole

    file = folder / "seconds.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    kept[what] = kept.get(what, 0.0) + seconds
    write_whole(file, json.dumps(kept).encode())
    return sum(kept.values())


def compose_all(folder: Path, pieces: int, source: Path) -> None:
    """Compose what the folder lacks of the sets of `COMPOSED`, so many pieces of each form."""
    from musical_metrics.corpus import read_corpus

    folder.mkdir(parents=True, exist_ok=True)
    movements, begun = read_corpus(source / "wtc"), time.process_time()
    models = models_of(folder, sorted({model for model, _ in COMPOSED.values()}), movements)
    for name, (model, rules) in COMPOSED.items():
        for form in FORMS:
            compose_set(models[model], rules, movements, form, pieces, folder, name)
        add_seconds(folder, name, time.process_time() - begun)
        begun = time.process_time()
