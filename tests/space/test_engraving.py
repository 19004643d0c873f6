"""The engraved score: every note is there once, times rise, both layouts work, in any thread."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

import pytest

from space.engraving import engrave
from space.session import Candidate
from space.studio import page_engraving
from tokenization import MusicGPTError, Score, musicxml_text

from .conftest import make_score


def note_ids(pages: list[str]) -> list[str]:
    """The ids of all noteheads' notes on the pages."""
    found = []
    for page in pages:
        tree = ET.fromstring(page)
        found += [
            element.get("id")
            for element in tree.iter()
            if (element.get("class") or "").split()[:1] == ["note"]
        ]
    return found


@pytest.mark.parametrize("layout", ["wide", "narrow"])
def test_all_notes_are_engraved_and_timed(score, layout):
    result = engrave(musicxml_text(score), layout)
    drawn = note_ids(result["pages"])
    assert len(drawn) == len(set(drawn)) == len(score)
    ids = [name for _, names in result["times"] for name in names]
    assert set(ids) == set(drawn)
    times = [time for time, _ in result["times"]]
    assert times == sorted(set(times))
    assert [round(24 * time) for time in times] == sorted(set(score.array[:, 0].tolist()))


def test_narrow_pages_have_more_systems():
    text = musicxml_text(make_score(bars=12))
    systems = {
        name: sum(len(re.findall(r'class="system"', p)) for p in engrave(text, name)["pages"])
        for name in ("wide", "narrow")
    }
    assert systems["narrow"] > systems["wide"] > 1


def test_pickup_shifts_the_playhead():
    # A pickup of a quarter: the score file begins with it, the piece with the silence before it.
    score = Score([(72, 24, 67, 0), (96, 48, 72, 0), (144, 48, 76, 0)], key="C major", tempo=80)
    assert score.pickup == 24
    times = page_engraving(Candidate(score, "x"), engrave(musicxml_text(score)))["times"]
    assert [tick for tick, _ in times] == [72, 96, 144]


def test_works_in_other_threads_and_refuses_nonsense(score):
    text = musicxml_text(score)
    with ThreadPoolExecutor(3) as pool:
        pages = [result["pages"] for result in pool.map(engrave, [text] * 3)]
    assert pages[0] == pages[1] == pages[2]
    with pytest.raises(MusicGPTError, match="MusicXML"):
        engrave("this is no score")
