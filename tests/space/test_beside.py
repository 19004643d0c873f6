"""The passage of the operator's scores that is nearest to a piece: found exactly, cut to its bars, marked in the
engraving, shown and heard on the page.
"""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest

from space.beside import MAX_BARS, Corpus, corpus_files, excerpt, plain
from space.rendering import marked, read_file
from space.report import report_html
from tokenization import MusicGPTError, Score, write_midi
from tokenization.analysis.view import View
from tokenization.score import ONSET, PITCH

from .conftest import finished, make_score


def borrowing(piece: Score, other: Score) -> Score:
    """A piece whose second voice goes on, after its end, with four bars of the other's highest voice, lower."""
    bar = piece.meters[0].bar_ticks
    begin = piece.num_bars * bar
    line = other.array[(other.array[:, 3] == 0) & (other.array[:, ONSET] < 4 * bar)] + [begin, 0, -7, 1]
    return piece.replace(notes=np.concatenate([piece.array, line]))


@pytest.fixture(scope="module")
def others(wander) -> list[Score]:
    return [wander(seed, 200).replace(title=f"Piece {seed}") for seed in range(3)]


def test_a_borrowed_run_is_found_with_its_bars_and_notes(others):
    piece = borrowing(make_score(), others[1])
    found = Corpus(others).beside(piece)
    assert found.name == "Piece 1"
    assert found.notes == len(found.ours.run) == len(found.theirs.run) > 8
    assert (np.diff(found.ours.run[:, PITCH]) == np.diff(found.theirs.run[:, PITCH])).all()
    assert found.ours.bar >= make_score().num_bars
    for part in (found.ours, found.theirs):
        assert {tuple(row) for row in part.run.tolist()} <= {tuple(row) for row in part.score.array.tolist()}
        assert part.score.num_bars <= MAX_BARS
    assert Corpus(others).beside(make_score(bars=2)) is None


def test_an_excerpt_has_whole_bars_and_counts_a_pickup(wander):
    score = wander(4, 200)
    run = score.array[score.array[:, 3] == 0][:400]
    part = excerpt(View(score), run)
    assert part.bar == 1 and part.score.num_bars == MAX_BARS
    assert part.score.end <= MAX_BARS * 96
    later = run[run[:, ONSET] >= 3 * 96][:9]
    assert excerpt(View(score), later).bar == 1 + later[0, ONSET] // 96
    shifted = Score(score.array + [84, 0, 0, 0])  # an eighth before the first bar line
    assert excerpt(View(shifted), later + [84, 0, 0, 0]).bar == (later[0, ONSET] + 84) // 96


def test_a_folder_is_read_without_what_is_broken(tmp_path, others, caplog):
    with pytest.raises(MusicGPTError, match="no folder"):
        corpus_files(tmp_path / "none")
    with pytest.raises(MusicGPTError, match="holds no scores"):
        corpus_files(tmp_path)
    (tmp_path / "broken.mid").write_bytes(b"MThd nonsense")
    with pytest.raises(MusicGPTError, match="None of the 1 scores"):
        Corpus.read(tmp_path, read_file)
    write_midi(others[2], tmp_path / "mine.mid")
    assert read_file(str(tmp_path / "mine.mid")).source == "mine"
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        corpus = Corpus.read(tmp_path, read_file)
    assert "broken.mid is left out" in caplog.text
    assert corpus.beside(others[2]).name == "Piece 2"


def test_a_server_without_such_a_folder_says_so_in_one_sentence(tmp_path, repo_root):
    done = subprocess.run(
        [sys.executable, "-m", "space.app", "--corpus", str(tmp_path / "none")],
        cwd=repo_root, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("python -m space.app: error:") and done.stderr.count("\n") == 1
    assert "no folder" in done.stderr


def test_the_report_has_both_sides_and_marks_the_run(others):
    found = Corpus(others).beside(borrowing(make_score(), others[0]))
    data = plain(found, lambda part, seed: marked(part.score, part.run.tolist(), seed))
    for side, part in ((data["ours"], found.ours), (data["theirs"], found.theirs)):
        assert side["svg"].count("mg-shared") == len(part.run)
    html = report_html({**figures(), "beside": {**data, "name": "<b>"}})
    assert html.count("mg-hear") == 2 and "&lt;b&gt;" in html and "<b>," not in html
    assert "No run of nine notes" in report_html({**figures(), "beside": None})
    assert "mg-hear" not in report_html(figures())


def figures() -> dict:
    """A report without metrics."""
    return {
        "value": None, "reason": "none", "compared_with": "", "nearest": "", "passage": None, "metrics": []
    }  # fmt: skip


def test_both_passages_stand_and_sound_beside_each_other(visit):
    page = visit()
    for _ in range(5):
        page.get_by_role("tab", name="Beside Bach").click()
        page.wait_for_selector(".mg-report")
        if page.locator(".mg-beside").count():
            break
        page.reload()  # a server that has just started still reads its folder
        finished(page)
    assert "are also in A tone higher" in page.inner_text("#report")
    sides = page.locator(".mg-side")
    assert sides.count() == 2
    coloured = page.evaluate("""() => [...document.querySelectorAll(".mg-side")].map((side) => {
      const colour = (note) => getComputedStyle(note.querySelector("use, path")).fill;
      const other = side.querySelector(".note:not(.mg-shared)");
      return [side.querySelectorAll(".mg-shared").length, colour(side.querySelector(".mg-shared")) !== colour(other)];
    })""")
    assert all(count >= 9 and differs for count, differs in coloured)
    for i in (0, 1):
        button = sides.nth(i).locator(".mg-hear")
        button.click()
        page.wait_for_function("musicgpt.synth.level() > 0.01")
        assert button.get_attribute("aria-pressed") == "true"
    assert sides.nth(0).locator(".mg-hear").get_attribute("aria-pressed") == "false"
    sides.nth(1).locator(".mg-hear").click()
    assert sides.nth(1).locator(".mg-hear").get_attribute("aria-pressed") == "false"
