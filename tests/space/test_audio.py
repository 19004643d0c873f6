"""The sound: right pitches at the right times, audible, with an end that dies away, in formats that can be
read again.
"""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from space.audio import INSTRUMENTS, TAIL, mp3_bytes, synthesise, wav_bytes
from tokenization import MusicGPTError, Score


def fundamental(samples: np.ndarray, rate: int, expected: float) -> float:
    """Frequency of the strongest partial within a semitone of the expected one, in Hz, refined by a
    parabola.
    """
    window = samples.mean(axis=1) * np.hanning(len(samples))
    power = np.abs(np.fft.rfft(window, 2**19))
    hertz = np.fft.rfftfreq(2**19, 1 / rate)
    near = np.flatnonzero((hertz > expected / 1.06) & (hertz < expected * 1.06))
    peak = near[power[near].argmax()]
    a, b, c = np.log(power[peak - 1 : peak + 2])
    return float(hertz[peak] + (a - c) / (2 * (a - 2 * b + c)) * (hertz[1] - hertz[0]))


@pytest.mark.parametrize("instrument", list(INSTRUMENTS))
def test_every_note_sounds_at_its_pitch_and_time(instrument):
    # One second of silence, then a note a second at 60 quarters a minute.
    pitches = [69, 48, 76]
    sound = synthesise(
        Score([(24 + 48 * i, 36, p, 0) for i, p in enumerate(pitches)], tempo=60, key="C major"), instrument
    )
    assert sound.seconds == pytest.approx(1 + 2 * 2 + 1.5 + TAIL, abs=0.2)
    assert np.abs(sound.samples[: int(0.9 * sound.rate)]).max() < 50
    for i, pitch in enumerate(pitches):
        start = int((1 + 2 * i + 0.15) * sound.rate)
        expected = 440 * 2 ** ((pitch - 69) / 12)
        heard = fundamental(sound.samples[start : start + sound.rate], sound.rate, expected)
        # The organ's stop doubles octaves, so its strongest partial may be another; the one at the note must
        # be there and in tune.
        assert abs(1200 * np.log2(heard / expected)) < 15, (instrument, pitch, heard)
    assert np.abs(sound.samples).max() > 20_000
    assert np.abs(sound.samples[-sound.rate // 20 :]).max() < 400, "the end is cut off"


def test_formats_hold_the_same_length(score):
    sound = synthesise(score)
    with wave.open(io.BytesIO(wav_bytes(sound))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (
            2,
            sound.rate,
            len(sound.samples),
        )
    mp3 = mp3_bytes(sound, 128)
    assert mp3[:3] == b"ID3" or mp3[0] == 0xFF
    # Constant bit rate: the length follows from the size.
    assert len(mp3) * 8 / 128_000 == pytest.approx(sound.seconds, abs=0.3)


def test_instruments_differ(score):
    piano, organ = (synthesise(score, name).samples.astype(float) for name in ("piano", "organ"))
    length = min(len(piano), len(organ))
    assert abs(np.corrcoef(piano[:length, 0], organ[:length, 0])[0, 1]) < 0.9


@pytest.mark.parametrize(
    "notes, instrument, says",
    [
        ([], "piano", "no notes"),
        ([(0, 24, 60, 0)], "kazoo", "kazoo"),
        ([(0, 24 * 4000, 60, 0)], "piano", "at most"),
    ],
)
def test_what_cannot_be_played_is_said(notes, instrument, says):
    with pytest.raises(MusicGPTError, match=says):
        synthesise(Score(notes, tempo=60), instrument)
