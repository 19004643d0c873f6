"""What the fuzzer or a reviewer once found stays mended, and damaged inputs do no harm within the ceilings;
without Atheris.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenization.guarded import GuardedProcess, Limits

from .targets import TARGETS, try_mutations

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*"))
INPUTS = 300
# 300 inputs take a few seconds; numpy and the imports about 60 MB.
LIMITS = Limits(seconds=120, cpu_seconds=60, megabytes=250)


@pytest.fixture(scope="module")
def process() -> Iterator[GuardedProcess]:
    process = GuardedProcess()
    yield process
    process.close()


def check(name: str, data: bytes) -> str:
    """One input, in the guarded process."""
    return TARGETS[name].check(data)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_regression_stays_mended(process, path):
    assert process.run(check, path.parent.name, path.read_bytes(), limits=LIMITS) in ("refused", "no JSON")


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs_are_read_or_refused(process, name):
    outcomes = process.run(try_mutations, name, 1, INPUTS, limits=LIMITS)
    assert sum(outcomes.values()) == INPUTS
    assert len(set(outcomes) & {"read", "accepted", "refused"}) == 2  # both happen


def test_every_target_has_regressions():
    assert {path.parent.name for path in FILES} == set(TARGETS)
