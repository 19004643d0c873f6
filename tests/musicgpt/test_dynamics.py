"""Loudness: each rule on a few notes that show it, and the file that holds it."""

from __future__ import annotations

import io

import numpy as np
import pytest

from musicgpt import Composition, Settings, dynamics
from musicgpt.dynamics import velocities
from tests.musicgpt.commands import generate
from tokenization import Meter, Score, ScoreError, midi_bytes, read_score_bytes

SUBJECT = [(0, 60), (12, 62), (24, 63), (36, 67), (48, 65), (60, 63), (72, 62), (84, 59)]


@pytest.fixture
def fugue() -> Score:
    """Two voices: the subject, its answer a fifth higher over free notes, and the subject again in the lower
    voice two bars later.
    """
    lower = (
        [(t, 12, p, 1) for t, p in SUBJECT]
        + [(96 + 24 * i, 24, 55 - i % 3, 1) for i in range(8)]
        + [(288 + t, 12, p, 1) for t, p in SUBJECT]
    )
    upper = [(96 + t, 12, p + 7, 0) for t, p in SUBJECT] + [
        (192 + 24 * i, 24, 74 + i % 4, 0) for i in range(8)
    ]
    return Score([*lower, *upper, (384, 96, 48, 1), (384, 96, 75, 0)], key="C minor", form="fugue")


def of(score: Score, values: np.ndarray, onset: int, voice: int) -> int:
    """The velocity of the voice's note at that onset."""
    [place] = np.flatnonzero((score.array[:, 0] == onset) & (score.array[:, 3] == voice))
    return int(values[place])


def test_the_subject_comes_forward_wherever_it_enters(fugue, monkeypatch):
    shaped, plain = velocities(fugue), velocities(fugue.replace(form="prelude"))
    entries = (
        {(t, 1) for t, _ in SUBJECT} | {(96 + t, 0) for t, _ in SUBJECT} | {(288 + t, 1) for t, _ in SUBJECT}
    )
    louder = {
        (onset, voice)
        for (onset, _, _, voice), more in zip(fugue.array.tolist(), shaped - plain, strict=True)
        if more
    }
    assert louder == entries and set((shaped - plain)[shaped != plain].tolist()) == {dynamics.ENTRY}


def test_the_highest_note_is_louder_than_those_below():
    score = Score([(0, 96, 72, 0), (0, 96, 64, 1), (0, 96, 48, 2), (24, 24, 60, 1)], key="C major")
    top, middle, bottom = (of(score, velocities(score), 0, voice) for voice in range(3))
    assert top > bottom > middle


def test_a_phrase_swells_and_dies_away_and_high_notes_are_louder():
    # one bar: no accent but on beats
    held = Score([(24 * i, 24, 60, 0) for i in range(9)], key="C major", meters=[Meter(0, 9, 4)])
    values = velocities(held)
    assert values[4] > values[7] > values[8] and values[4] > values[1]
    rising = velocities(
        Score([(24 * i, 24, 55 + 2 * i, 0) for i in range(9)], key="C major", meters=[Meter(0, 9, 4)])
    )
    assert rising[8] > values[8] and rising[0] < values[0]


def test_a_struck_dissonance_is_louder_than_its_resolution():
    # F over G on the half bar goes to E
    rows = [
        *((24 * i, 24, pitch, 0) for i, pitch in enumerate((67, 65, 65, 64))),
        (0, 48, 55, 1),
        (48, 48, 55, 1),
    ]
    score = Score(rows, key="C major")
    consonant = score.replace(
        notes=[(48, 24, 67, 0) if row[:1] + row[3:] == (48, 0) else row for row in rows]
    )
    fall = [of(s, velocities(s), 48, 0) - of(s, velocities(s), 72, 0) for s in (score, consonant)]
    assert fall[0] >= fall[1] + 3


def test_music_grows_into_a_cadence():
    chords = [(72, 64, 55, 48), (74, 65, 57, 50), (71, 65, 62, 43), (72, 64, 60, 48)]
    rows = [
        (96 + 24 * i if i < 3 else 192, 24 if i < 3 else 96, p, v)
        for i, chord in enumerate(chords)
        for v, p in enumerate(chord)
    ]
    lead = [(24 * i, 24, p, v) for i in range(4) for v, p in enumerate((72, 64, 55, 48))]
    rows = [*lead, *((t + (24 if t < 192 else 0), d, p, v) for t, d, p, v in rows)]
    close = Score(rows, key="C major")
    # a deceptive bass
    open_ = close.replace(notes=[(t, d, p + (2 if t == 192 and v == 3 else 0), v) for t, d, p, v in rows])
    ahead = [velocities(s)[(s.array[:, 0] == 168) & (s.array[:, 3] == 1)][0] for s in (close, open_)]
    assert ahead[0] > ahead[1]


def test_values_are_bounded_and_the_same_every_time(wandering):
    score = wandering(4, 100)
    values = velocities(score)
    assert values.shape == (len(score),) and values.tolist() == velocities(score).tolist()
    assert len(set(values.tolist())) > 8
    assert values.min() >= dynamics.SOFTEST and values.max() <= dynamics.LOUDEST
    assert velocities(Score([])).shape == (0,) and velocities(Score([(0, 1, 60, 0)])).shape == (1,)


def test_the_file_holds_them_and_the_notes_as_they_are(wandering):
    mido = pytest.importorskip("mido")
    score = wandering(5, 60)
    values = velocities(score)
    data = midi_bytes(score, values)
    assert read_score_bytes(data, ".mid") == read_score_bytes(midi_bytes(score), ".mid")
    struck = {
        (m.channel, m.note, t): m.velocity
        for track in mido.MidiFile(file=io.BytesIO(data)).tracks
        for t, m in _timed(track)
        if m.type == "note_on"
    }
    for (onset, _, pitch, voice), value in zip(score.array.tolist(), values.tolist(), strict=True):
        # of notes struck together by one voice at one pitch the loudest
        assert struck[voice, pitch, onset * 20] >= value
    assert sorted(set(struck.values())) == sorted(set(values.tolist()) & set(struck.values()))
    with pytest.raises(ScoreError, match="one from 1 to 127"):
        midi_bytes(score, values[1:])
    with pytest.raises(ScoreError, match="one from 1 to 127"):
        midi_bytes(score, values * 0)


def _timed(track):
    now = 0
    for message in track:
        now += message.time
        yield now, message


def test_flat_files_have_one_loudness(fugue, tmp_path, tiny_model_folder):
    piece = Composition(fugue, [], Settings(seed=1), 1, 0, 0.0, True)
    assert piece.write(tmp_path / "a", ("mid",), flat=True)[0].read_bytes() == midi_bytes(fugue)
    assert piece.write(tmp_path / "b", ("mid",))[0].read_bytes() == midi_bytes(fugue, velocities(fugue))
    for name, flags in (("flat", "--flat"), ("shaped", "")):
        assert generate(tiny_model_folder, tmp_path / name, f"--max-new-tokens 200 --seed 3 {flags}") == 0
    flat, shaped = (next((tmp_path / name).glob("*.mid")) for name in ("flat", "shaped"))
    assert flat.read_bytes() != shaped.read_bytes()
    assert flat.with_suffix(".musicxml").read_bytes() == shaped.with_suffix(".musicxml").read_bytes()
