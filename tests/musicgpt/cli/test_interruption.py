"""SIGINT and SIGTERM: one line says what was kept, and nothing is left half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from musicgpt.cli.main import main
from tests.musicgpt.commands import generate

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def ended(capsys, number: signal.Signals) -> str:
    """The one line on standard error."""
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ended by {number.name}: ")
    return line


@SIGNALS
def test_generate_keeps_the_pieces_that_are_whole(number, tiny_model_folder, tmp_path, monkeypatch, capsys):
    from musicgpt.composition import Composition

    write, out = Composition.write, tmp_path / "out"

    def second_is_ended(piece, *arguments):
        if out.exists():
            signal.raise_signal(number)
        return write(piece, *arguments)

    words = "--max-new-tokens 40 --num 3 --json"
    monkeypatch.setattr(Composition, "write", second_is_ended)
    before = signal.getsignal(number)
    assert generate(tiny_model_folder, out, words) == 128 + number
    assert "1 of 3 pieces" in ended(capsys, number) and len(list(out.iterdir())) == 3
    assert signal.getsignal(number) == before
    monkeypatch.setattr("musicgpt.composer._finish", lambda *_: signal.raise_signal(number))
    assert generate(tiny_model_folder, out, words) == 128 + number
    assert "no piece was written" in ended(capsys, number)


@SIGNALS
def test_export_leaves_the_folder_as_it_was(number, tiny_model_folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "model"
    command = ["export", "model", "--model", str(tiny_model_folder), "--out", str(out), "--json"]
    assert main(command) == 0
    capsys.readouterr()
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    monkeypatch.setattr("musicgpt.hub_model._add_model_code", lambda *_: signal.raise_signal(number))
    assert main(command) == 128 + number
    assert f"{out} is as it was before" in ended(capsys, number)
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before and os.listdir(tmp_path) == [
        "model"
    ]


SLOW_BUILD = r"""
import os, sys, time
from dataset_builder import processing
from dataset_builder.__main__ import main
def slow(piece):
    os.write(1, b"reading\n")  # at once, where print writes twice
    time.sleep(60)
processing.process = slow
sys.exit(main(sys.argv[1:]))
"""


# The same, interrupted while pieces are still being handed out.
SLOW_HANDING_OUT = (
    """
import time
from concurrent.futures import ProcessPoolExecutor
submit = ProcessPoolExecutor.submit
def late(*arguments):
    future = submit(*arguments)
    time.sleep(2)
    return future
ProcessPoolExecutor.submit = late
"""
    + SLOW_BUILD
)


@pytest.mark.parametrize("script", [SLOW_BUILD, SLOW_HANDING_OUT], ids=["waiting", "handing_out"])
@SIGNALS
def test_build_dataset_ends_its_workers_and_leaves_nothing(number, script, tmp_path, repo_root):
    from tokenization import Note, Score, write_midi

    (tmp_path / "scores").mkdir()
    for i in range(6):
        score = Score([Note(24 * k, 24, 60 + (k + i) % 7, 0) for k in range(20)])
        write_midi(score, tmp_path / "scores" / f"{i}.mid")
    places = ["--source", str(tmp_path / "scores"), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *places, "--num-proc", "2"],
        env={**os.environ, "PYTHONPATH": str(repo_root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == process.stdout.readline() == "reading\n"
    begun = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=50)
    assert process.returncode == 128 + number and time.monotonic() - begun < 30
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == f"ended by {number.name}: Nothing was written to {tmp_path / 'out'}."
    assert os.listdir(tmp_path) == ["scores"]
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no worker outlives it
