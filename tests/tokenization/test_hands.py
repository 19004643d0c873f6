"""Which staff notes stand on, which rests are printed and where, and how stems point: pages worked out by
hand."""

from __future__ import annotations

import random
from xml.etree import ElementTree

import numpy as np

from tests.tokenization.samples import random_score
from tokenization import Score, musicxml_text, read_score_bytes
from tokenization.clefs import LOWER, UPPER, Clefs, ledger_lines, middle_line
from tokenization.hands import deal
from tokenization.notation import write_bars
from tokenization.rests import LaneName, rest_place, with_rests
from tokenization.sounding import sounding
from tokenization.spelling import spell, step_of


def steady(*voices: tuple[int, tuple[int, ...]]) -> list[tuple[int, int, int, int]]:
    """Voices from the top, each as the length of its notes and their pitches."""
    return [
        (length * i, length, pitch, voice)
        for voice, (length, pitches) in enumerate(voices)
        for i, pitch in enumerate(pitches)
    ]


# A middle voice that falls from the right hand to the left and comes back, between a high and a low one.
WANDERING = Score(
    steady(
        (48, (76, 77, 79, 77)),
        (12, (67, 65, 64, 62, 60, 57, 55, 53, 52, 53, 55, 57, 60, 62, 64, 65)),
        (48, (48, 45, 43, 41)),
    ),
    key="C major",
)


def staves_of(score: Score, voice: int) -> list[int]:
    return deal(score)[0][score.array[:, 3] == voice].tolist()


def test_an_inner_voice_goes_from_hand_to_hand_inside_a_bar_and_back():
    middle = staves_of(WANDERING, 1)
    changes = [k for k in range(1, 16) if middle[k] != middle[k - 1]]
    assert middle[0] == middle[-1] == UPPER and LOWER in middle and len(changes) == 2
    assert 3 <= changes[0] <= 7  # in the first bar, about middle C
    assert set(staves_of(WANDERING, 0)) == {UPPER} and set(staves_of(WANDERING, 2)) == {LOWER}
    again = read_score_bytes(musicxml_text(WANDERING).encode(), ".musicxml", key="C")
    assert np.array_equal(again.array, WANDERING.array)


def test_each_staff_of_a_bar_adds_up_and_a_moving_voice_leaves_no_rest_behind():
    for measure in ElementTree.fromstring(musicxml_text(WANDERING)).iter("measure"):
        assert measure.find("note/rest") is None
    # One voice in both hands: its silences are printed where nothing else sounds.
    one = Score([(0, 24, 72, 0), (24, 24, 48, 0)], key="C major")
    for score in (one, *(sounding(random_score(seed, legal=True)) for seed in range(30))):
        for bar in write_bars(score):
            for staff in {lane.staff for lane in bar.lanes}:
                symbols = [s for lane in bar.lanes if lane.staff == staff for s in lane.symbols if s.shown]
                covered = {t for s in symbols for t in range(s.start, s.start + s.ticks)}
                assert len(covered) == bar.end - bar.start
    assert {lane.staff for bar in write_bars(one) for lane in bar.lanes} == {UPPER, LOWER}


def test_what_a_hand_cannot_reach_goes_to_the_other():
    # The third voice lies 22 semitones below the first; in the next, 19 above the lowest.
    wide = Score([(0, 96, 79, 0), (0, 96, 72, 1), (0, 96, 57, 2), (0, 96, 41, 3)], key="C major")
    assert deal(wide)[0].tolist() == [UPPER, UPPER, LOWER, LOWER]
    close = Score([(0, 96, 64, 0), (0, 96, 60, 1), (0, 96, 55, 2), (0, 96, 36, 3)], key="C major")
    assert deal(close)[0].tolist() == [UPPER, UPPER, UPPER, LOWER]


def test_a_lone_tenor_in_the_treble_stands_on_the_upper_staff():
    tenor = ((96 + 24 * i, 24, pitch, 1) for i, pitch in enumerate((76, 74, 72, 71)))
    score = Score([*steady((24, (76, 77, 79, 76))), *tenor, (192, 96, 48, 2)])
    assert staves_of(score, 1) == [UPPER] * 4 and staves_of(score, 2) == [LOWER]


def test_five_voices_leave_no_staff_empty_and_outer_ones_keep_their_hand():
    rng = random.Random(5)
    rows = [
        (96 * bar + 24 * beat, 24, 84 - 9 * voice - rng.randrange(6), voice)
        for bar in range(8)
        for beat in range(4)
        for voice in range(5)
    ]
    score = Score(rows, key="C major")
    assert all({lane.staff for lane in bar.lanes} == {UPPER, LOWER} for bar in write_bars(score))
    assert set(staves_of(score, 0)) == {UPPER} and set(staves_of(score, 4)) == {LOWER}
    alone = Score([(0, 96, 72, 4), *((a + 96, *rest) for a, *rest in rows)], key="C major")
    assert set(staves_of(alone, 4)) == {LOWER}  # a staff has four voices in notation programs


def test_ledger_lines_are_counted_and_more_than_three_are_not_written_where_the_other_staff_needs_none():
    # C4, D4, G5, A5, A3, F3; C4, B3, F2, E2, C2, G4, A4: steps above C0.
    assert [ledger_lines(step, "G") for step in (28, 29, 39, 40, 26, 24)] == [1, 0, 0, 1, 2, 3]
    assert [ledger_lines(step, "F") for step in (28, 27, 17, 16, 14, 32, 33)] == [1, 0, 0, 1, 2, 3, 3]
    # The name counts: G flat 4 has three of them above the bass staff, as G has, F sharp 4 as F.
    for key, lines in (("Db", 3), ("D", 2)):
        [name] = spell(Score([(0, 24, 66, 0)], key=key))
        assert ledger_lines(step_of(name), "F") == lines
    # The left hand cannot reach both, but four ledger lines under the treble staff are worse.
    assert deal(Score([(0, 96, 48, 0), (0, 96, 25, 1)], key="C major"))[0].tolist() == [LOWER, LOWER]


# Two voices: from the third to the sixth bar both play as low as a left hand does.
HIGH, LOW = (76, 74, 72, 74), (52, 50, 48, 47)
DESCENT = Score(
    steady((24, 2 * HIGH + 4 * LOW + 2 * HIGH), (24, 8 * (45, 43, 40, 38))),
    key="C major",
)


def test_a_clef_changes_where_a_hand_stays_low_and_changes_back():
    bars = write_bars(DESCENT)
    assert [bar.clefs[UPPER] for bar in bars] == list("GGFFFFGG")
    assert {bar.clefs[LOWER] for bar in bars} == {"F"}
    assert staves_of(DESCENT, 0) == [UPPER] * 32 and staves_of(DESCENT, 1) == [LOWER] * 32
    measures = list(ElementTree.fromstring(musicxml_text(DESCENT)).iter("measure"))
    changes = {
        i: [(c.get("number"), c.findtext("sign"), c.findtext("line")) for c in measure.iter("clef")]
        for i, measure in enumerate(measures)
        if measure.find("attributes/clef") is not None
    }
    assert changes == {0: [("1", "G", "2"), ("2", "F", "4")], 2: [("1", "F", "4")], 6: [("1", "G", "2")]}
    again = read_score_bytes(musicxml_text(DESCENT).encode(), ".musicxml", key="C")
    assert np.array_equal(again.array, DESCENT.array)


def test_a_clef_leaves_no_melody_on_ledger_lines():
    both = Score(steady((48, 16 * (67,)), (24, 32 * (52,))), key="C major")
    upper = np.full(len(both), UPPER)
    assert {Clefs(both, upper).of(UPPER, bar) for bar in range(8)} == {"G"}
    low = both.replace(notes=[note for note in both.notes if note.voice == 1])
    assert {Clefs(low, upper[: len(low)]).of(UPPER, bar) for bar in range(8)} == {"F"}


def test_one_low_bar_is_not_worth_a_clef():
    short = Score(steady((24, 3 * HIGH + LOW + 3 * HIGH), (24, 7 * (45, 43, 40, 38))), key="C major")
    assert {bar.clefs[UPPER] for bar in write_bars(short)} == {"G"}
    # Both voices of that bar lie below the treble staff.
    assert staves_of(short, 0) == [UPPER] * 12 + [LOWER] * 4 + [UPPER] * 12


def test_a_hand_is_not_idle_while_the_other_holds_two_voices():
    assert set(staves_of(Score(steady((48, (67, 69)), (48, (62, 62))), key="C major"), 1)) == {LOWER}


def test_a_score_without_notes_and_one_of_a_single_voice():
    assert deal(Score([]))[0].tolist() == []
    assert deal(Score(steady((24, (72, 74, 76, 77)))))[0].tolist() == [UPPER] * 4
    assert deal(Score(steady((24, (43, 45, 41, 40)))))[0].tolist() == [LOWER] * 4
    # no ledger line above, two below
    assert deal(Score(steady((24, (62, 64, 65, 64)))))[0].tolist() == [UPPER] * 4


def test_rests_of_a_voice_stand_where_it_goes_on_and_long_silences_are_left_out():
    upper, lower, other = LaneName(1, 0, 1), LaneName(1, 0, 2), LaneName(0, 0, 1)
    lanes = {
        upper: [(0, 24, [1])],
        lower: [(48, 96, [2])],
        other: [(0, 96, [3])],
        LaneName(2, 0, 2): [(0, 96, [4])],
    }
    everything = dict.fromkeys((0, 1, 2), (0, 96))
    shown = {
        name: [s[:2] for s in segments if s.shown and not s.notes]
        for name, segments in with_rests(lanes, 96, everything).items()
    }
    assert shown[lower] == [(24, 48)] and not shown[upper] and not shown[other]
    entering = with_rests({other: [(0, 96, [3])], upper: [(60, 96, [1])]}, 96, {0: (0, 96), 1: (48, 96)})
    assert [s for s in entering[upper] if not s.notes] == [(0, 48, [], False), (48, 60, [], True)]


def test_a_voice_that_was_silent_for_a_bar_rests_only_in_the_beat_of_its_entry_and_its_end():
    upper, lower = steady((24, (79, 81, 83, 81) * 4)), [(24 * i, 24, 48, 2) for i in range(16)]
    # In bar 2 the middle voice sounds from the second half of beat 2 into beat 3.
    middle = [(96 + 36, 12, 72, 1), (96 + 48, 12, 71, 1)]

    def rests(bars: list) -> list[tuple[int, int, bool]]:
        return [(s.start, s.ticks, s.shown) for s in bars[1].lanes[1].symbols if not s.notes]

    bars = write_bars(Score([*upper, *middle, *lower], key="C major"))
    assert [[lane.voice for lane in bar.lanes] for bar in bars] == [[0, 2], [0, 1, 2], [0, 2], [0, 2]]
    assert rests(bars) == [(0, 24, False), (24, 12, True), (60, 12, True), (72, 24, False)]
    earlier = [(24, 24, 72, 1), *middle]  # not silent for a bar: all its rests are printed
    bars = write_bars(Score([*upper, *earlier, *lower], key="C major"))
    found = [(start, shown) for start, _, shown in rests(bars)]
    assert found == [(0, True), (24, True), (60, True), (72, False)]


def test_rests_with_no_room_are_left_out_and_shared_ones_printed_once():
    names = [LaneName(voice, 0, 1) for voice in range(3)]

    def rests(*starts_and_ends: tuple[int, int]) -> list[list[tuple]]:
        lanes = {names[i]: [(*span, [i])] for i, span in enumerate(starts_and_ends)}
        found = with_rests(lanes, 96, dict.fromkeys(range(3), (0, 96)))
        return [[s[:2] for s in found[name] if s.shown and not s.notes] for name in lanes]

    assert rests((0, 96), (0, 48), (0, 96))[1] == []
    assert [len(shown) for shown in rests((0, 48), (0, 48))] == [1, 0]
    first, second = rests((24, 96), (48, 96))
    assert first + second == [(0, 48)]


def test_rests_keep_clear_of_the_heads_beside_them():
    middle = {UPPER: middle_line("G"), LOWER: middle_line("F")}
    assert rest_place(middle[UPPER], "quarter", [], []) is None
    assert rest_place(middle[UPPER], "quarter", above=[36], below=[]) == 32
    assert rest_place(middle[UPPER], "quarter", above=[33], below=[]) == 28  # under a low upper voice
    assert rest_place(middle[UPPER], "half", above=[], below=[38]) == 42
    for above, place in ((33, 28), (29, 24)):
        assert rest_place(middle[UPPER], "half", above=[above], below=[]) == place
    assert rest_place(middle[LOWER], "16th", above=[], below=[10]) == 24
    for value, place in (("32nd", 28), ("16th", 26)):
        assert rest_place(middle[LOWER], value, above=[], below=[22]) == place


def test_stems_divide_two_voices_and_follow_the_pitch_of_one_alone():
    # The middle voice has notes in the first bar only.
    rows = steady((24, (77, 79, 81, 79, 64, 67, 74, 77)), (48, (72, 71)), (96, (48, 41)))
    stems: dict[str, list[str | None]] = {}
    for note in ElementTree.fromstring(musicxml_text(Score(rows, key="C major"))).iter("note"):
        if note.find("pitch") is not None:
            stems.setdefault(note.findtext("voice") or "", []).append(note.findtext("stem"))
    assert stems["1"] == ["up"] * 4 + ["up", "up", "down", "down"]
    assert stems["2"] == ["down", "down"]
