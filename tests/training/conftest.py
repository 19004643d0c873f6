"""What the tests of training share: made-up pieces, a data set built from them, and arguments for a run of
seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sizes import TINY as TINY_SIZES
from tokenization.score import Meter, Score
from training.arguments import Arguments
from training.crops import Piece

TINY = {**TINY_SIZES, "max_position_embeddings": 256}


def random_score(
    rng: np.random.Generator,
    notes: int = 60,
    voices: int = 3,
    meters: tuple[str, ...] = ("3/4",),
    form: str | None = "fugue",
) -> Score:
    """A random walk in each voice on an eighth grid, with a pickup and, with several meters, a change in the
    middle.
    """
    from tokenization.vocabulary import bar_ticks, parse_meter

    onset = int(rng.integers(0, 6)) * 12 + np.cumsum(rng.choice([0, 6, 12, 12, 24, 130], size=notes))
    voice = rng.integers(0, voices, size=notes)
    pitch = np.clip(76 - 7 * voice + rng.integers(-4, 5, size=notes).cumsum() % 9, 40, 84)
    duration = rng.choice([6, 12, 24, 36], size=notes)
    changes = [Meter(0, *parse_meter(meters[0]))]
    for place, name in enumerate(meters[1:], start=1):
        length, begin = bar_ticks(*parse_meter(meters[place - 1])), changes[-1].onset
        bars = max(1, int(onset[notes * place // len(meters)] - begin) // length)
        changes.append(Meter(begin + bars * length, *parse_meter(name)))
    key = "C major" if rng.random() < 0.5 else "A minor"
    return Score(np.stack([onset, duration, pitch, voice], axis=1), meters=changes, key=key, form=form)


def make_pieces(count: int, seed: int = 0, notes: int = 60, **options) -> list[Piece]:
    """Random pieces, two a unit."""
    rng = np.random.default_rng(seed)
    scores = [
        random_score(rng, notes + int(rng.integers(0, 20)), **options).quantised() for _ in range(count)
    ]
    return [Piece(f"piece{i:02d}", score, f"{i // 2:02d}") for i, score in enumerate(scores)]


@pytest.fixture(scope="session")
def score_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten made-up MIDI files."""
    from tokenization import write_midi

    folder = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(5)
    for i in range(10):
        write_midi(random_score(rng, 50, form=None), folder / f"piece{i}.mid")
    return folder


@pytest.fixture(scope="session")
def built(score_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set built from it."""
    from dataset_builder import BuildOptions, build_dataset

    out = tmp_path_factory.mktemp("built") / "data"
    build_dataset(BuildOptions(out=out, source=(str(score_folder),), configs=("wtc-plus",)))
    return out


def run_values(out: Path, data: Path | None = None, **changes) -> dict[str, dict]:
    """Arguments of a run of a tiny model that uses everything that draws at random."""
    values: dict[str, dict] = {
        "run": {"output_dir": str(out), "log_every": 1, "cpu": True, "threads": 1},
        "data": {"data": str(data) if data else None, "length": 96, "packing": True, "context_notes": 2},
        "model": {"config_overrides": {**TINY, "hidden_dropout": 0.1}},
        "fit": {"epochs": 3, "batch_size": 4, "ema_decay": 0.9, "label_smoothing": 0.05, "optimizer": "muon"},
        "augmentation": {
            "stages": [{"until": 0.5}, {"until": 1.0, "octave": 0.5, "drop_voice": 0.5, "tempo": 0.2}]
        },
        "evaluation": {"eval_every": 1, "keep_last": 2},
    }
    for key, value in changes.items():
        group, name = key.split("__")
        values[group][name] = value
    return values


def as_argv(values: dict[str, dict]) -> list[str]:
    """The same as command line arguments."""
    import json

    return [
        text
        for fields in values.values()
        for name, value in fields.items()
        if value is not None
        for text in (f"--{name}", json.dumps(value))
    ]


@pytest.fixture
def tiny_arguments(tmp_path: Path) -> Arguments:
    """The arguments of such a run, checked."""
    return Arguments.from_dict(run_values(tmp_path / "run"))
