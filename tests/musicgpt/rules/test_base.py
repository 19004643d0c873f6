"""Precedence is the order of the list: what is forbidden stays so, and a rule that would leave nothing yields."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from musicgpt.rules import Brief, Rule, RuleProcessor, build, rule
from musicgpt.rules.asked import Asked
from tests.musicgpt.states import state_after
from tokenization.vocabulary import TOKEN_TO_ID

from .cases import brief, ids, said, state

SIZE = len(TOKEN_TO_ID)


def forbids(*names: str, after: tuple[str, ...] = ()):
    """A rule that forbids some tokens."""
    added = np.zeros(SIZE)
    added[[TOKEN_TO_ID[name] for name in names]] = -np.inf
    return rule(*after)(lambda state, scores: added)


def only(*names: str, **what):
    return forbids(*(name for name in TOKEN_TO_ID if name not in names), **what)


def left(*rules, rows: int = 1) -> list[set[str]]:
    """What a list of rules leaves of each row after one note."""
    processor = RuleProcessor(rules, state_after((), rows))
    given = torch.tensor([ids("NOTE_60 VOICE_0 DUR_12")] * rows)
    given[1:, -1] = TOKEN_TO_ID["NOTE_60"]
    scores = processor(given, torch.zeros(rows, SIZE))
    return [{name for name, i in TOKEN_TO_ID.items() if row[i] > -np.inf} for row in scores.numpy()]


def test_an_earlier_rule_wins():
    assert left(only("TIME_0", "TIME_12"), forbids("TIME_0")) == [{"TIME_12"}]
    assert left(only("TIME_0"), only("TIME_12")) == [{"TIME_0"}]
    assert left(only("TIME_12"), only("TIME_0")) == [{"TIME_12"}]
    assert left(forbids("TIME_0"), only("TIME_0", "TIME_12")) == [{"TIME_12"}]


def test_a_rule_is_asked_where_it_has_something_to_say():
    """Of two rows the first stands after DUR, the second after NOTE."""
    everything = set(TOKEN_TO_ID)
    assert left(only("TIME_0", after=("DUR",)), rows=2) == [{"TIME_0"}, everything]
    assert left(only("TIME_0", after=("VOICE",)), rows=2) == [everything, everything]
    assert left(only("TIME_0"), only("VOICE_0", after=("NOTE", "VOICE")), rows=2) == [{"TIME_0"}, {"TIME_0"}]


def test_a_later_rule_can_ask_an_earlier_one():
    class Loud(Rule):
        def volume(self):
            return np.array([7])

    class Listening(Rule):
        def __init__(self, brief):
            super().__init__(brief)
            self.heard = brief.ask("volume")

    class Never(Rule):
        @classmethod
        def applies(cls, brief):
            return False

    loud, listening = build([Never, Loud, Listening], brief())
    assert isinstance(loud, Loud) and listening.heard() == [7]
    assert build([Listening, Loud], brief())[0].heard is None


def test_what_was_asked_for_stays():
    prompt = state_after(ids("NOTE_60 VOICE_0 DUR_12"))
    rule = Asked(brief(voices=2, prompt=prompt))
    first = said(rule, prompt)[0]
    later = said(rule, state("NOTE_60 VOICE_0 DUR_12 TIME_12 NOTE_60 VOICE_0 DUR_12"))[0]
    forbidden = {name for name, i in TOKEN_TO_ID.items() if later[i] == -np.inf}
    assert forbidden == {name for name in TOKEN_TO_ID if name.startswith("METER_")} | {
        f"VOICE_{voice}" for voice in (2, 3, 4)
    }
    assert {name for name, i in TOKEN_TO_ID.items() if first[i] == -np.inf} == {*forbidden, "TIME_0"}


@pytest.mark.parametrize(
    ("meter", "bar", "beat"),
    [("2/2", 96, 24), ("6/8", 72, 36), ("12/16", 72, 18), ("3/8", 36, 36), ("3/4", 72, 24), (None, 96, 24)],
)
def test_beats(meter, bar, beat):
    assert Brief(meter=meter, prompt=SimpleNamespace(bar_ticks=np.array([bar]))).beat == beat
