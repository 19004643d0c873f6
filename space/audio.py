"""From a score to sound: a sampled piano, harpsichord or organ, as MP3 or WAV, without any system program."""

from __future__ import annotations

import functools
import importlib.util
import io
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tokenization import MusicGPTError, Score

# Names on the page -> General MIDI programs, counted from 0.
INSTRUMENTS = {"piano": 0, "harpsichord": 6, "organ": 19}
TOUCH_SENSITIVE = ("piano",)
# Silence after the last note, in seconds, so that it can die away.
TAIL = 2.0
# The synthesiser leaves room for 64 voices; what is written peaks here, in parts of full scale.
PEAK = 0.89
# Longest piece that is played, in seconds: a minute of stereo sound is 11 MB in memory before encoding.
LONGEST = 15 * 60.0
# The same for WAV, of which a minute is 10 MB on the disk and on its way; MP3 has a tenth of that.
LONGEST_WAV = 6 * 60.0


class Sound(NamedTuple):
    """Stereo sound: `samples` is int16 of shape `(frames, 2)`, `rate` in frames a second."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / self.rate


def lasts(score: Score) -> float:
    """How long a piece sounds, in seconds, at the tempo at which it is played."""
    return score.end / 24 / (score.tempo or 80) * 60


@functools.lru_cache(1)
def soundfont() -> bytes:
    """The bytes of TimGM6mb.sf2, which is part of `pretty_midi` (found without importing it).

    Raises:
        MusicGPTError: if this version of `pretty_midi` comes without a soundfont.
    """
    spec = importlib.util.find_spec("pretty_midi")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    found = sorted(folder.rglob("*.sf2")) if spec else []
    if not found:
        raise MusicGPTError(
            "No soundfont found: pip install 'musicgpt-wtc[space]', whose pretty_midi brings TimGM6mb.sf2."
        )
    return found[0].read_bytes()


def midi_for_synthesis(midi: bytes, instrument: str) -> bytes:
    """The same MIDI file played by `instrument`, with `TAIL` seconds of silence behind the last note.

    Raises:
        MusicGPTError: if the instrument is unknown or the piece is longer than `LONGEST`.
    """
    import mido

    if instrument not in INSTRUMENTS:
        raise MusicGPTError(f"Unknown instrument {instrument!r}: it must be one of {', '.join(INSTRUMENTS)}.")
    file = mido.MidiFile(file=io.BytesIO(midi))
    if file.length > LONGEST:
        raise MusicGPTError(f"The piece lasts {file.length:.0f} seconds; at most {LONGEST:.0f} are played.")
    ticks = max((sum(message.time for message in track) for track in file.tracks), default=0)
    tempo = next((m.tempo for track in file.tracks for m in track if m.type == "set_tempo"), 500_000)
    end = ticks + round(mido.second2tick(TAIL, file.ticks_per_beat, tempo))
    tracks = []
    for track in file.tracks:
        kept = mido.MidiTrack(m for m in track if m.type not in ("program_change", "end_of_track"))
        channels = sorted({m.channel for m in kept if m.type == "note_on"})
        programs = [
            mido.Message("program_change", channel=c, program=INSTRUMENTS[instrument], time=0)
            for c in channels
        ]
        tracks.append(mido.MidiTrack([*programs, *kept]))
    length = sum(message.time for message in tracks[0])
    tracks[0].append(mido.MetaMessage("end_of_track", time=max(0, end - length)))
    played = mido.MidiFile(type=1, ticks_per_beat=file.ticks_per_beat)
    played.tracks.extend(tracks)
    buffer = io.BytesIO()
    played.save(file=buffer)
    return buffer.getvalue()


def synthesise(score: Score, instrument: str = "piano") -> Sound:
    """Play a score.

    Args:
        score (`Score`): with at least one note; without a tempo it is played at the tempo that `midi_bytes`
            writes.
        instrument (`str`): a name in `INSTRUMENTS`.

    Raises:
        MusicGPTError: if there is nothing to play, the instrument is unknown or the piece is too long.
    """
    import midirenderer

    from musicgpt.dynamics import velocities
    from tokenization import midi_bytes

    if not len(score):
        raise MusicGPTError("There are no notes to play.")
    # A harpsichord or an organ cannot be struck louder or softer.
    loud = velocities(score) if instrument in TOUCH_SENSITIVE else None
    data = midirenderer.render_wave_from(soundfont(), midi_for_synthesis(midi_bytes(score, loud), instrument))
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
        raw = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
        samples = raw.reshape(-1, file.getnchannels())  # (frames * channels,) -> (frames, channels)
    loudest = max(int(samples.max(initial=0)), -int(samples.min(initial=0)))
    if loudest == 0:
        raise MusicGPTError("The synthesiser returned silence; the piece may have no audible notes.")
    # Into a ready array of the narrow kind: a quarter of an hour as float32 would be 300 MB more.
    scaled = np.empty(samples.shape, "<i2")
    np.multiply(samples, np.float32(PEAK * 32767 / loudest), out=scaled, casting="unsafe")
    return Sound(scaled, rate)


def mp3_bytes(sound: Sound, kilobits: int = 128) -> bytes:
    """The sound as MP3 of constant bit rate."""
    import lameenc

    encoder = lameenc.Encoder()
    encoder.set_in_sample_rate(sound.rate)
    encoder.set_channels(sound.samples.shape[1])
    encoder.set_bit_rate(kilobits)
    encoder.set_quality(7)  # 2 is slower by a factor of 3 for a difference that this soundfont does not show
    encoder.silence()
    return bytes(encoder.encode(sound.samples.tobytes())) + bytes(encoder.flush())


def wav_bytes(sound: Sound) -> bytes:
    """The sound as a 16-bit WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(sound.samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes(sound.samples.tobytes())
    return buffer.getvalue()
