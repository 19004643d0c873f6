"""The shipped reference: light, quick, and what its command makes of the corpus; the score tells Bach from
noise.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from musical_metrics import build_reference, null_models
from musical_metrics.compare import auc, bach_scores, row_measures
from musical_metrics.corpus import read_corpus
from musical_metrics.reference import DATA, WHOLE, Table, table
from musical_metrics.score import score_of, yardstick
from tokenization.tables import TABLES


def test_importing_is_light():
    code = (
        "import sys, time; start = time.process_time(); import musical_metrics.score,"
        " musical_metrics.compare; from musical_metrics import reference as r; r.table();"
        " from tokenization.analysis import ngram, windows; ngram.shipped_ngrams();"
        " windows.shipped_index(); print(time.process_time() - start, *[m for m in ('torch', 'transformers',"
        " 'music21', 'matplotlib', 'scipy', 'sklearn') if m in sys.modules])"
    )
    seconds, *heavy = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert heavy == []
    assert float(seconds) < 1


def test_no_pickle():
    for file in TABLES.glob("*.npz"):
        with np.load(file, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "iu" for name in arrays)


@pytest.fixture(scope="module")
def movements(shared_data):
    return read_corpus(shared_data / "wtc")


@pytest.mark.shared_data
def test_the_command_makes_what_is_shipped(movements, tmp_path):
    """Content, not bytes: another zlib may pack the same numbers otherwise."""
    build_reference.build(movements, tmp_path, tmp_path)
    stale = "is stale: run python -m musical_metrics.build_reference"
    for name in ("ngram.npz", "index.npz"):
        with (
            np.load(tmp_path / name, allow_pickle=False) as made,
            np.load(TABLES / name, allow_pickle=False) as shipped,
        ):
            assert set(made) == set(shipped)
            assert all(np.array_equal(made[key], shipped[key]) for key in made), f"{name} {stale}"
    assert json.loads((tmp_path / "pieces.json").read_text()) == json.loads(
        (TABLES / "pieces.json").read_text()
    )
    made, shipped = (Table.from_json((folder / "values.json").read_text()) for folder in (tmp_path, DATA))
    assert (made.ids, made.names) == (shipped.ids, shipped.names)
    for length in shipped.values:
        assert np.allclose(made.values[length], shipped.values[length], atol=1e-4, equal_nan=True), (
            f"values.json {stale}"
        )


@pytest.mark.shared_data
def test_the_score_tells_bach_from_noise_on_held_out_movements(movements):
    """AUC at least 0.99 against Markov chains of every third movement, by cross-validation over key numbers."""
    held_out, bach = build_reference.HeldOut(movements), table()
    found = []
    for i, movement in enumerate(movements[::3]):
        row = np.array(held_out.values(null_models.markov(movement.score, i), movement.number))
        by = yardstick(bach, movement.score.form, WHOLE, [movement.number])
        found.append(score_of(row_measures(row), by).value)
    own = np.concatenate([x[~np.isnan(x)] for x in (bach_scores(bach, f) for f in ("prelude", "fugue"))])
    assert auc(own, np.array(found)).value >= 0.99
