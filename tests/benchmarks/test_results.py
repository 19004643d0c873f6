"""The results page: what it measures on made-up pieces, and that nothing that was measured is lost on the way
to the text.
"""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from benchmarks import ablations, result_pieces, results, runs
from benchmarks.ablations import GROUPS
from benchmarks.result_pieces import alike
from benchmarks.result_text import card_section, page
from tokenization import Key, Score
from training.arguments import parse_arguments


def walk(seed: int, notes: int = 160, form: str = "fugue") -> Score:
    """Two voices that walk up and down the scale."""
    rng = np.random.default_rng(seed)
    scale = [p for p in range(45, 84) if p % 12 in (0, 2, 4, 5, 7, 9, 11)]
    rows = []
    for voice, place in ((0, 16), (1, 6)):
        for i in range(notes // 2):
            place = int(np.clip(place + rng.choice([-2, -1, 1, 2]), 0 if voice else 12, 10 if voice else 22))
            rows.append((12 * i + 24 * voice, 12, scale[place], voice))
    return Score(rows, key=Key("C", "major"), form=form)


def test_pieces_alike_are_found_in_any_key():
    one, other = walk(1), walk(2)
    assert alike([one, other]) == 0
    assert alike([one, other, one.in_key(Key("D", "major")), one]) == 2


def test_the_samples_differ_in_all_that_can_be_asked_for():
    asked = results.sample_settings()
    assert [one.seed for one in asked] == list(range(20))
    assert [one.max_new_tokens for one in asked] == [1000] * 10 + [2000] * 5 + [3000] * 5
    for form in ("prelude", "fugue"):
        own = [one for one in asked if one.form == form]
        assert len(own) == 10 and len({one.key for one in own}) >= 5 and len({one.meter for one in own}) >= 5
    assert {one.voices for one in asked} == {2, 3, 4, 5}


def test_the_page_tells_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "DOCS", tmp_path)
    judged = {
        form: result_pieces.judge([walk(seed, form=form) for seed in range(8)], form)
        for form in ("prelude", "fugue")
    }
    own = judged["fugue"]
    assert own["pieces"] == 8
    assert own["told_apart"]["auc"] > 0.9  # a random walk is not Bach
    assert own["metrics"]["out_of_key_ratio"]["ours"]["median"] == 0
    run = tmp_path / "run"
    run.mkdir()
    losses = {"masked_nats_per_note": 4.0, "NOTE": 2.0, "VOICE": 0.5, "DUR": 1.0, "TIME": 0.5}
    lines = [
        {"kind": "train", "loss": 9.0},
        *({"kind": "eval", "epoch": k, "nats_per_note": 5.0 - k, **losses} for k in (1, 2)),
    ]
    (run / "log.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    (run / "training_arguments.json").write_text(
        json.dumps({"run": {"output_dir": "/some/where/run"}}), encoding="utf-8"
    )
    monkeypatch.setattr(runs, "FILE", tmp_path / "runs.jsonl")
    runs.keep_run(run, "another")
    for _ in range(2):  # again takes the place of the first
        runs.keep_run(run, "ablation-branch-0-base")
    kept, other = runs.kept_runs()
    assert (kept["name"], other["name"]) == ("ablation-branch-0-base", "another")
    assert kept["arguments"]["run"]["output_dir"] == "run"
    assert [line["nats_per_note"] for line in kept["evaluations"]] == [4.0, 3.0]
    apart = {"families": {"all": {"auc": 0.91, "low": 0.8, "high": 0.97}}, "floor": {}, "control": {}}
    for one in judged.values():
        one["apart"] = apart
    measured = {"measured": {"pieces": "2026-11-29"}, "seconds": {"pieces": 150}}
    text = page({"pieces": {"count": 8, "alike": 1, **judged, "alone": judged}, **measured}, [kept, other])
    assert "of 12 medians lie inside" in text
    assert "| all | 0.91 (0.80 - 0.97) | - | - | 0.91 (0.80 - 0.97) | - | - |" in text
    assert "pieces on 2026-11-29, 150 s" in text
    assert "have the same notes" in text
    assert ablations.ablation_table([kept]).splitlines()[2].startswith("| branch-0-base | 3.000 | +0.000 |")
    card = tmp_path / "card.md"
    card.write_text(f"# Card\n\n{results.MARKS[0]}\nold\n{results.MARKS[1]}\n\n## Limits\n")
    section = card_section({"count": 8, "alike": 1, **judged, "alone": judged})
    for _ in range(2):  # again is the same
        results.update_card(card, section)
        written = card.read_text()
        assert written.count("## Memorisation") == written.count("## Limits") == 1 and "old" not in written
    assert f"| musical score | fugue | {judged['fugue']['score']['ours']:.1f} |" in written
    with pytest.raises(ValueError, match="has no lines"):
        card.write_text("# Card\n")
        results.update_card(card, section)


@pytest.mark.parametrize("group", GROUPS)
def test_every_arm_is_a_run_that_the_training_takes(group, repo_root):
    assert len({json.dumps(changes) for changes in GROUPS[group].values()}) == len(GROUPS[group])
    for changes in GROUPS[group].values():
        argv = ["--config", str(repo_root / "training/configs/wtc.yaml"), "--max_steps", "5"]
        for field, value in changes.items():
            argv += [f"--{field}", value]
        assert parse_arguments(argv).fit.max_steps == 5


def test_voices_by_staff_are_learnt_from_data_of_their_own(tmp_path, monkeypatch):
    commands: list[list[str]] = []

    def run(command, **options):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(ablations.subprocess, "run", run)
    monkeypatch.setattr(ablations, "keep_run", lambda run, name: name)
    monkeypatch.setattr(ablations, "kept_runs", list)
    places = ["--data", "built", "--work", str(tmp_path)]
    assert ablations.main(["--group", "scratch", *places, "--only", "0-base,staff-voices"]) == 0
    assert [command[command.index("--data") + 1] for command in commands] == ["built", "built-staves"]
