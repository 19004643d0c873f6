"""What all tests share: the corpus marker, the way to the outside programs, and the switch that forbids
skipping them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

# No test may reach for the network, and two workers on two cores need one thread each.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Set in CI: there, a missing browser, MuseScore or corpus is a fault of the machine's set-up and fails the
# test.
REQUIRE_ALL = os.environ.get("MUSICGPT_REQUIRE_ALL") == "1"
_OUTSIDE = re.compile(r"chrom|musescore|playwright|mcp|shared.?data|corpus", re.IGNORECASE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the corpus where there is none."""
    if (SHARED_DATA / "wtc" / "catalogue.csv").is_file():
        return
    for item in items:
        if item.get_closest_marker("shared_data"):
            item.add_marker(
                pytest.mark.skip(reason=f"the corpus is not there: no {os.path.relpath(SHARED_DATA, ROOT)}")
            )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """With MUSICGPT_REQUIRE_ALL=1 a skip for want of a browser, an MCP client, MuseScore or the corpus is a failure."""
    outcome = yield
    report = outcome.get_result()
    if (
        REQUIRE_ALL
        and report.skipped
        and not hasattr(report, "wasxfail")
        and isinstance(report.longrepr, tuple)
    ):
        reason = str(report.longrepr[2])
        if _OUTSIDE.search(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason} (skipping this is forbidden by MUSICGPT_REQUIRE_ALL=1)"


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the corpus; only for tests with the marker `shared_data`."""
    return SHARED_DATA


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"{names[0]} is not installed")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium."""
    return _program("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def musescore() -> str:
    """Path of MuseScore's command."""
    return _program("musescore3", "mscore3", "musescore", "mscore")


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random model: for tests of the composing, not of the music."""
    import torch

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
    from tests.sizes import TINY

    torch.manual_seed(0)
    config = MusicGPTConfig(**{**TINY, "num_hidden_layers": 1}, max_position_embeddings=1024)
    folder = tmp_path_factory.mktemp("tiny-model")
    MusicGPTForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def composer(tiny_model_folder: Path):
    """A `Composer` with that model."""
    from musicgpt import Composer

    return Composer.from_pretrained(tiny_model_folder)


@pytest.fixture(scope="session")
def wander() -> Callable[..., Any]:
    """`wander(seed, notes, voices)`: a piece of random walks in C major with varied rhythm."""

    from tokenization import Score

    def make(seed: int, notes: int = 400, voices: int = 3) -> Score:
        rng = np.random.default_rng(seed)
        rows = []
        scale = np.array([p for p in range(36, 85) if p % 12 in (0, 2, 4, 5, 7, 9, 11)])
        for voice in range(voices):
            count = notes // voices + (voice < notes % voices)
            durations = rng.choice([6, 6, 12, 12, 24], count)
            onsets = np.cumsum(durations) - durations
            places = np.clip(22 - 7 * voice + np.cumsum(rng.integers(-2, 3, count)), 0, len(scale) - 1)
            rows.append(np.stack([onsets, durations, scale[places], np.full(count, voice)], axis=1))
        return Score(np.concatenate(rows), key="C major", form="fugue")

    return make
