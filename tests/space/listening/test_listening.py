"""A listening test from the draw to the analysis, and once in a real browser."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("statsmodels", reason="the extra `listening` is not installed")

from musicgpt.cli.main import main
from space.listening.analysis import analyse, collect, resampled_mean, training_of, wilson
from space.listening.design import BACH, OURS, SHUFFLED, design, listeners_needed, read_folder
from space.listening.page import write_test
from tests.space.conftest import make_score
from tokenization import MusicGPTError, write_midi
from tokenization.score import ONSET, PITCH


def pieces(name: str, count: int, bars: int = 20) -> list:
    return [(f"{name}{i}.mid", make_score(bars + i).replace(title=f"{name} {i}")) for i in range(count)]


def simulate(
    key: dict, listeners: int, rate: float, spread: float = 0.3, seed: int = 0, careless: int = 0
) -> list[dict]:
    """Answer sheets of made-up listeners.

    Args:
        key: of the test.
        listeners: how many; `careless` more guess everywhere, catch trials too.
        rate: detection of an average listener with an average piece.
        spread: standard deviation of listeners' and of pieces' log-odds.
        seed: every draw follows from it.
    """
    rng = np.random.default_rng(seed)
    pieces = sorted({clip["piece"] for clip in key["clips"].values() if clip["source"] == OURS})
    of_piece = dict(zip(pieces, rng.normal(0, spread, len(pieces)), strict=True))
    sheets = []
    for number in range(listeners + careless):
        guesses, own = number >= listeners, rng.normal(0, spread)
        answers = []
        for name, trial in key["trials"].items():
            bach, other = sorted(trial["clips"], key=lambda clip: key["clips"][clip]["source"] != BACH)
            odds = np.log(rate / (1 - rate)) + own + of_piece.get(key["clips"][other]["piece"], 0.0)
            chance = 0.5 if guesses else 0.98 if trial["catch"] else 1 / (1 + np.exp(-odds))
            chosen = bach if rng.random() < chance else other
            ratings = rng.integers(1, 8, 2).tolist()
            answers.append(
                {"trial": name, "clips": trial["clips"], "chosen": chosen, "ratings": ratings, "known": False}
            )
        about = {"practice_years": int(rng.integers(0, 20))}
        sheets.append(
            {"test": key["test"], "listener": f"made-up-{number}", "about": about, "answers": answers}
        )
    return sheets


@pytest.fixture(scope="module")
def key() -> dict:
    """The key of a test with 24 pairs, made without sound."""
    clips, trials = {}, {}
    for i, trial in enumerate(design(pieces("b", 12), pieces("o", 24), seed=5)):
        names = [f"{i}a", f"{i}b"]
        for name, clip in zip(names, (trial.first, trial.second), strict=True):
            clips[name] = {"source": clip.source, "piece": clip.piece, "bars": clip.bars}
        trials[f"t{i}"] = {"clips": names, "catch": trial.catch}
    return {"test": "x", "clips": clips, "trials": trials}


def test_the_draw_is_balanced_uses_every_piece_and_follows_the_seed():
    trials = design(pieces("b", 6), pieces("o", 12), trials=12, seconds=(10, 20), seed=3)
    assert len(trials) == 15
    real = [trial for trial in trials if not trial.catch]
    clips = [clip for trial in real for clip in (trial.first, trial.second)]
    ours, bach = (Counter(clip.piece for clip in clips if clip.source == kind) for kind in (OURS, BACH))
    assert set(ours.values()) == {1}
    assert set(bach.values()) == {2}
    assert sum(trial.first.source == BACH for trial in trials) in (7, 8)
    for trial in trials:
        kinds = {trial.first.source, trial.second.source}
        assert kinds == ({BACH, SHUFFLED} if trial.catch else {BACH, OURS})
        for clip in (trial.first, trial.second):
            score = clip.score
            assert 10 <= score.end / 24 * 60 / (score.tempo or 0) <= 20
            assert score.array[0, ONSET] == 0
            assert not score.title
            assert not score.info
    again = design(pieces("b", 6), pieces("o", 12), trials=12, seconds=(10, 20), seed=3)
    assert [(t.first.piece, t.first.bars) for t in again] == [(t.first.piece, t.first.bars) for t in trials]
    other = design(pieces("b", 6), pieces("o", 12), trials=12, seconds=(10, 20), seed=4)
    assert [(t.first.piece, t.first.bars) for t in other] != [(t.first.piece, t.first.bars) for t in trials]


def test_a_catch_trial_has_the_same_notes_in_another_order():
    for trial in design(pieces("b", 3), pieces("o", 3), trials=3, seconds=None, seed=1):
        if trial.catch:
            one, two = trial.first.score.array, trial.second.score.array
            assert sorted(one[:, PITCH]) == sorted(two[:, PITCH])
            assert (one[:, PITCH] != two[:, PITCH]).any()


def test_listeners_needed():
    answers, listeners = listeners_needed(24, correlation=0.0)
    assert (answers, listeners) == (619, 26)
    assert listeners_needed(24)[1] == int(np.ceil(618.5 * (1 + 23 * 0.05) / 24))


def test_intervals_by_hand():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    values, listener = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1])
    # Both listeners drawn may be the same one; what one piece costs all the others have, too, if it is drawn
    # twice.
    assert resampled_mean(values, listener, np.array([0, 1, 0, 1]), (0.0, 1.0)) == [0.0, 1.0]
    assert resampled_mean(values, listener, np.array([0, 1, 0, 1]), (0.5,))[0] == pytest.approx(0.5)
    assert training_of({"practice_years": 3, "instruments": 1}) == pytest.approx(np.log(4) + np.log(2))


@pytest.mark.parametrize("rate", [0.5, 0.7])
def test_the_analysis_finds_the_rate_of_made_up_listeners(key, rate):
    sheets = simulate(key, 60, rate, spread=0.3, seed=3, careless=8)
    found = analyse(collect(sheets, key))
    # Careless listeners pass two of three catch trials by chance in half of the cases.
    assert 1 <= len(found["left_out"]) <= 8
    assert all(int(name.rsplit("-", 1)[1]) >= 58 for name in found["left_out"])
    assert found["interval"][0] <= rate <= found["interval"][1]
    mixed = found["mixed_model"]
    assert mixed["low"] - 0.03 <= rate <= mixed["high"] + 0.03
    assert 0.05 < mixed["listeners_sd"] < 0.8
    assert found["equivalent"] == (rate == 0.5)


def test_sheets_of_another_test_and_damaged_ones_are_refused(key):
    sheets = simulate(key, 2, 0.6)
    with pytest.raises(MusicGPTError, match="belong to test 'y'"):
        collect([{**sheets[0], "test": "y"}], key)
    with pytest.raises(MusicGPTError, match="damaged"):
        collect([{**sheets[0], "answers": [{"trial": "t0"}]}], key)
    wrong = [
        {**a, "chosen": next(c for c in a["clips"] if c != a["chosen"])}
        for a in simulate(key, 1, 0.999)[0]["answers"]
    ]
    with pytest.raises(MusicGPTError, match="1 left out"):
        collect([{**sheets[0], "answers": wrong}], key)
    # Whoever sends two files counts once.
    assert len(collect([sheets[0], sheets[0], sheets[1]], key).right) == 48


def test_the_page_does_not_hold_the_truth_and_the_command_writes_and_analyses(tmp_path: Path, capsys):
    pytest.importorskip("midirenderer", reason="the extra `space` is not installed")
    for name in ("bach", "ours"):
        (tmp_path / name).mkdir()
        for i in range(2):
            write_midi(make_score(4 + i), tmp_path / name / f"{name}-{i}.mid")
    bach, ours, out = (str(tmp_path / name) for name in ("bach", "ours", "t.html"))
    words = ["--bach", bach, "--pieces", ours, "--out", out]
    assert main(["listening-test", *words, "--trials", "2", "--seconds", "2", "4"]) == 0
    page, key = (tmp_path / "t.html").read_text(), json.loads((tmp_path / "t.key.json").read_text())
    assert not any(word in page for word in ("bach-0", "ours-0", "shuffled", "source"))
    assert "http" not in page.replace("http-equiv", "")
    sheets = simulate(key, 5, 0.6)
    for sheet in sheets:
        (tmp_path / f"{sheet['listener']}.json").write_text(json.dumps(sheet))
    files = [str(tmp_path / f"{sheet['listener']}.json") for sheet in sheets]
    places = ["--key", str(tmp_path / "t.key.json"), "--json", str(tmp_path / "a.json")]
    assert main(["listening-test", "analyse", *files, *places]) == 0
    assert "Bach was found in" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["answers"] >= 8
    for wrong in (
        ["--bach", str(tmp_path / "none"), "--pieces", str(tmp_path / "ours")],
        ["analyse"],
        ["annalyse", "x"],
        [],
        [*words, "--trials", "0"],
    ):
        assert main(["listening-test", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert read_folder(tmp_path / "bach")[0][0] == "bach-0.mid"


def test_a_listener_in_a_browser(tmp_path: Path, chromium: str):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    trials = design(pieces("b", 2, 4), pieces("o", 2, 4), trials=1, seconds=(1, 3), seed=0)
    key = json.loads(write_test(trials, tmp_path / "t.html", 0, least_heard=0.3).read_text())
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(accept_downloads=True)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: troubles.append(r.url) if r.url.startswith("http") else None)
        page.goto(f"file://{tmp_path / 't.html'}")
        page.get_by_label("Years of formal training in music theory").fill("4")
        page.get_by_role("button", name="Begin").click()

        def hear_and_rate(*rates: int) -> None:
            for side, rate in enumerate(rates):
                page.evaluate(f"document.querySelector('#audio{side}').play()")
                page.wait_for_function(f"() => heard[{side}] >= 0.3")
                page.locator(f"input[name=rate{side}][value='{rate}']").check()

        for number in range(len(trials)):
            page.wait_for_selector(f"text=Pair {number + 1} of {len(trials)}")
            assert page.locator("#next").is_disabled()
            hear_and_rate(3, 4)
            assert "choose one" in page.inner_text("#hint")
            page.get_by_label("the second", exact=True).check()
            if number == 1:  # the page may be closed and opened again in the middle
                page.reload()
                page.wait_for_selector("text=Pair 2 of")
                hear_and_rate(5, 5)
                page.get_by_label("the second", exact=True).check()
            page.locator("#next").click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save my answers").click()
        waiting.value.save_as(tmp_path / "answers.json")
        browser.close()
    assert troubles == []
    sheet = json.loads((tmp_path / "answers.json").read_text())
    assert sheet["about"] == {"theory_years": 4}
    assert sorted(answer["trial"] for answer in sheet["answers"]) == sorted(key["trials"])
    assert all(answer["chosen"] == answer["clips"][1] for answer in sheet["answers"])
    found = collect([{**sheet, "answers": [{**a, "chosen": _bach(a, key)} for a in sheet["answers"]]}], key)
    assert found.right.tolist() == [True]


def _bach(answer: dict, key: dict) -> str:
    return next(name for name in answer["clips"] if key["clips"][name]["source"] == BACH)
