"""What is given stays: melodies, masks, subjects."""

from __future__ import annotations

import numpy as np
import pytest

from musicgpt import Composer, Given, GivenError, Settings, parse_melody
from musicgpt.given import Region
from tokenization import Meter, Note, Score, first_error
from tokenization.score import DURATION, ONSET, PITCH, VOICE

SUBJECT = "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/8 B4/16 C5/16 D5/8 G4/8 C5/8 B4/16 C5/16 D5/8 F4/16 G4/16 Ab4/4"


def kept(piece, given: Given) -> None:
    """Every given note is in the piece, as it was, and each new note stands in a region, in room of its own."""
    notes = piece.score.notes
    for note in given.score.notes:
        assert note in notes
    new = [note for note in notes if note not in set(given.score.notes)]
    assert piece.num_new_notes == len(new) and len(notes) == len(new) + len(given.score)
    for onset, duration, pitch, voice in new:
        regions = [r for r in given.regions if voice in r.voices]
        for tick in range(onset, onset + duration):
            assert any(r.start <= tick and (r.end is None or tick < r.end) for r in regions)
        for o, d, _, v in given.score.notes:
            assert v != voice or onset + duration <= o or o + d <= onset
        if given.ranges:
            assert given.ranges[voice][0] <= pitch <= given.ranges[voice][1]
    assert first_error(piece.ids) is None


def read_back(piece, given: Given) -> None:
    """The tokens, too, hold every given note from the first region on: the model heard it."""
    from musicgpt.around import frame_of
    from musicgpt.state import read_notes
    from tests.musicgpt.states import state_after

    heard = {(n.onset, n.pitch, n.voice) for n in read_notes(state_after(), piece.ids)}
    begins = min(region.start for region in given.regions)
    earlier = [n.onset for n in given.score.notes if n.onset < begins]
    assert piece.finished
    if not earlier:
        transposition = given.score.key.transposition_to_normal()
        frame = frame_of(given, 0, transposition)
        assert {(int(o), int(p), int(v)) for o, _, p, v in frame.notes[:-1]} <= heard


def random_given(score: Score, rng: np.random.Generator) -> Given:
    """A piece without what begins in some random bars of some random voices."""
    lines = score.bar_lines()
    regions = []
    for _ in range(int(rng.integers(1, 4))):
        first = int(rng.integers(0, len(lines) - 1))
        last = min(len(lines) - 1, first + int(rng.integers(1, 4)))
        voices = rng.choice(3, size=int(rng.integers(1, 4)), replace=False)
        regions.append(Region(int(lines[first]), int(lines[last]), tuple(sorted(voices.tolist()))))
    stays = np.ones(len(score), dtype=bool)
    for start, end, voices in regions:
        onset = score.array[:, ONSET]
        stays &= ~((onset >= start) & (onset < end) & np.isin(score.array[:, VOICE], voices))
    left = score.replace(notes=score.array[stays])
    return Given(left, tuple(regions), 3, one_by_one=bool(rng.integers(2)))


@pytest.mark.parametrize("seed", range(12))
def test_no_given_note_is_altered_whatever_is_masked(composer, wandering, seed):
    rng = np.random.default_rng(seed)
    score = wandering(seed, notes=18).replace(key="D minor")
    if seed % 3 == 0:  # odd values, chords of equal notes, and a change of meter
        array = score.array.copy()
        array[::5, DURATION] += 1
        line = int(score.bar_lines()[3])
        score = score.replace(notes=array, meters=[Meter(0, 4, 4), Meter(line, 3, 4)])
    given = random_given(score, rng)
    [piece] = composer.compose(Settings(seed=seed, temperature=2.0), given=given)
    kept(piece, given)
    read_back(piece, given)
    assert piece.score.meters == score.meters and str(piece.score.key) == "D minor"
    assert composer.compose(piece.settings, given=given)[0].score == piece.score


def test_bars_are_revised_in_one_voice_and_nothing_else(composer, wandering):
    score = wandering(3, notes=24).replace(key="G major", title="Wandering")
    piece = composer.revise(score, bars=(3, 4), voices=[1], seed=5)
    start, end = 2 * 96, 4 * 96
    old, new = (s.array[~((s.array[:, VOICE] == 1) & (s.array[:, ONSET] >= start) & (s.array[:, ONSET] < end))]
                for s in (score, piece.score))  # fmt: skip
    np.testing.assert_array_equal(old, new)
    assert piece.score.title == "Wandering, revised" and piece.file_stem().startswith("wandering_revised")
    assert piece.is_given.sum() == piece.num_prompt_notes == len(score) - 4 or piece.num_new_notes
    again = composer.revise(piece, bars=(3, 4), voices=[1], seed=6)
    assert again.score != piece.score and again.seed == 6
    streamed = composer.stream(Settings(seed=5), given=Given.around(score, (3, 4), [1]))
    assert list(streamed) == [n for n, old in zip(piece.score.notes, piece.is_given, strict=True) if not old]


def test_a_melody_gets_its_other_voices(composer):
    melody = "r/2. G4/4 | G4/4 A4/4 B4/4 C5/4 | D5/2 C5/4 B4/4 | A4/2 G4/2"
    for part, voice in (("soprano", 0), ("alto", 1), ("bass", 2)):
        [piece] = composer.compose(Settings(seed=1, voices=3), melody=melody, part=part)
        given = Given.melody(melody, part, 3)
        kept(piece, given)
        own = piece.score.array[piece.score.array[:, VOICE] == voice]
        np.testing.assert_array_equal(own[:, PITCH], parse_melody(melody).array[:, PITCH])
        assert piece.score.end == 4 * 96 and piece.score.num_voices == 3
    assert composer.harmonize(melody, voices=4, settings=Settings(seed=1)).score.num_voices == 4


def test_phrases_end_at_long_notes_or_where_it_is_said():
    melody = "C5/4 D5 E5 C5 | D5/2 C5 | E5/4 E5 D5 D5 | C5/1"
    assert Given.melody(melody).phrases == (
        144,
    )  # the second of the two halves; the end has a cadence anyway
    assert Given.melody(melody, phrases=[72, 96]).phrases == (72, 96)


def test_a_subject_is_stated_answered_and_kept(composer):
    given = Given.subject(SUBJECT, voices=3)
    [piece] = composer.compose(Settings(seed=4, voices=3), subject=SUBJECT)
    kept(piece, given)
    notes, length = given.score.notes, 192
    voice = notes[0].voice
    alone = piece.score.array[piece.score.array[:, ONSET] < length]
    assert set(alone[:, VOICE]) == {voice} and piece.score.form == "fugue"
    entry = [n for n in piece.score.notes if n.onset == length and n.voice != voice]
    assert len(entry) == 1
    answer = [
        n for n in piece.score.notes if n.voice == entry[0].voice and n.onset < length + notes[-1].onset + 1
    ]
    assert [n.onset - length for n in answer] == [n.onset for n in notes]
    # C5, G4 and Ab4: the dominant is not the head, so that all of it goes a fifth up or a fourth down.
    moved = {a.pitch - n.pitch for a, n in zip(answer, notes, strict=True)}
    assert len(moved) == 1 and moved <= {7, -5}
    assert list(composer.stream(piece.settings, subject=SUBJECT)) == [
        n for n, old in zip(piece.score.notes, piece.is_given, strict=True) if not old
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C4/4 D4 r/8 Eb4/8.", [(0, 24, 60, 0), (24, 24, 62, 0), (60, 18, 63, 0)]),
        ("f#5/2+16 | Gb3/12", [(0, 54, 78, 0), (54, 8, 54, 0)]),
    ],
)
def test_a_melody_is_read_from_text(text, expected):
    assert parse_melody(text).notes == [Note(*row) for row in expected]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: Given.subject("C5/4"), "has 1 note; it needs two or more"),
        (lambda c: Given.subject("C5/4 H4/4"), "'H4/4' is no note"),
        (lambda c: Given.subject("C5/4 D5/7"), "'D5/7' has no value"),
        (lambda c: Given.subject("C5/4 D5/0"), "'D5/0' has no value"),
        (lambda c: Given.subject(f"C5/4 D5/{'9' * 5000}"), "has no value"),
        (lambda c: Given.subject(5), "a file or text, not int"),
        (lambda c: parse_melody("C5/4 D5", "three"), "Unknown meter 'three'"),
        (lambda c: Given.subject("C8/4 D8/4"), "out of the range of 34 to 85"),
        (lambda c: Given.subject("G#9/4 D8/4"), "outside the keyboard"),
        (lambda c: Given.subject(Score([(0, 24, 60, 0), (12, 24, 62, 0)])), "two notes at once in bar 1"),
        (lambda c: Given.subject(Score([(0, 24, 60, 0), (24, 24, 62, 1)])), "has 2 voices"),
        (lambda c: Given.subject("C5/8 " * 257), "has 257 notes in 33 bars; it may have 256 notes in 64"),
        (lambda c: Given.subject("C5/1 " * 65), "has 65 notes in 65 bars; it may have 256 notes in 64"),
        (lambda c: Given.subject("C5/1 " * 65), "has 65 notes in 65 bars"),
        (
            lambda c: c.compose(Settings(max_new_tokens=159), subject="C5/8 " * 20),
            "takes 80 of the 159 tokens, so no answer has room. Give at least 160, or a shorter subject",
        ),
        (lambda c: Given.melody("C5/4 D5/4", "treble"), "Unknown part 'treble'"),
        (lambda c: Given.melody("C5/4 D5/4", "alto", 2), "Two voices have no alto"),
        (lambda c: Given.around(Score([(0, 24, 60, 0)]), (1.0, 1.0)), "bars is"),
        (lambda c: Given.around(Score([(0, 24, 60, 0)]), 1), "bars is 1; give the first and the last"),
        (lambda c: Given.around(Score([(0, 24, 60, 0)]), (1, 1), 0), "give a list"),
        (lambda c: Given.melody("C5/4 D5", "bass", "4"), "voices is 4"),
        (lambda c: Given.around(Score([(0, 24, 60, 0)]), (2, 3)), "Bars 2 to 3 are not there"),
        (lambda c: Given.around(Score([(0, 24, 60, 0)]), (1, 1), [3]), "the piece has the voices 0"),
        (lambda c: c.compose(Settings(form="prelude"), subject="C5/4 D5/4"), "A prelude has no subject"),
        (lambda c: c.compose(subject="C5/4 D5/4", melody="C5/4 D5/4"), "subject and melody were given"),
        (
            lambda c: c.compose(Settings(meter="3/4"), subject=Score([(0, 24, 60, 0), (24, 24, 62, 0)])),
            "What is given is in 4/4",
        ),
        (
            lambda c: c.compose(given=Given(Score([(0, 24, 60, 0), (960, 24, 62, 0)]), (Region(0, 24, (1,)), Region(970, 980, (1,))), 2)),
            "a silence of",
        ),
    ],
)  # fmt: skip
def test_what_cannot_stay_is_refused_in_one_sentence(composer: Composer, call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(composer)
    assert isinstance(caught.value, GivenError) or type(caught.value).__name__ == "SettingsError"
    assert "\n" not in str(caught.value)


def test_what_is_too_long_or_has_no_room_is_refused(composer):
    melody = Score([(24 * i, 24, 60 + i % 9, 0) for i in range(300)], key="C major")
    with pytest.raises(GivenError, match="there is room for"):
        composer.harmonize(melody, voices=4)
    for regions in ((), (Region(24, 24, (0,)),), (Region(0, 24, ()),), (Region(0, 24, (2,)),)):
        with pytest.raises(GivenError):
            Given(melody, regions, 2)


def test_a_prompt_of_one_voice_is_the_subject_where_a_fugue_is_asked_for(composer):
    melody = parse_melody(SUBJECT)
    settings = Settings(form="fugue", voices=3, key="C minor", seed=4)
    [piece] = composer.compose(settings, prompt=melody)
    assert piece.ids == composer.compose(settings, subject=melody)[0].ids
    [continued] = composer.compose(Settings(seed=4, form="prelude", max_new_tokens=100), prompt=melody)
    assert continued.work == "continued" and not continued.given
