"""The work that a process beside the server does for a finished piece; every function here is called through
`Workers.run`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenization import MusicGPTError, Note, Score
from tokenization.guarded import Limits

from .audio import LONGEST, LONGEST_WAV, lasts, mp3_bytes, soundfont, synthesise, wav_bytes
from .engraving import engrave
from .report import assess

# What an upload may have. tokenization has limits of its own, against attacks; these are what one visitor may
# ask of the Space.
MAX_UPLOAD_BYTES = 2 * 2**20
MAX_UPLOAD_NOTES = 6000
SOUND_FORMATS = ("mp3", "wav")
UPLOAD_LIMITS = Limits(seconds=20.0, cpu_seconds=10, megabytes=256)
UPLOAD_SUFFIXES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")


def load_libraries() -> None:
    """Import what the other functions need and touch their data, so that the first visitor does not wait for
    it.
    """
    import matplotlib.figure  # noqa: F401  the others are imported by what is called here

    soundfont()
    first = Score([Note(0, 24, 60, 0), Note(24, 24, 62, 0), Note(48, 48, 64, 0)], key="C major", tempo=120)
    engrave(_musicxml(first))
    mp3_bytes(synthesise(first))
    assess(first)


def _musicxml(score: Score) -> str:
    from tokenization import musicxml_text

    return musicxml_text(score)


def write_whole(path: Path, data: bytes) -> str:
    """Write a file beside its place, then move it there; returns its path as text."""
    from tokenization.midi_writer import write_whole as write

    write(path, data)
    return str(path)


def sound_file(score: Score, instrument: str, folder: Path, stem: str, kind: str = "mp3") -> str:
    """Play a piece into a file `stem_instrument.kind` in the folder; returns its path. `kind` is `"mp3"` or
    `"wav"`.

    Raises:
        MusicGPTError: for another kind, or a WAV of more than `LONGEST_WAV` seconds.
    """
    if kind not in SOUND_FORMATS:
        raise MusicGPTError(f"Unknown sound format {kind!r}: it must be one of {', '.join(SOUND_FORMATS)}.")
    if kind == "wav" and lasts(score) > LONGEST_WAV:
        raise MusicGPTError(
            f"The piece lasts {lasts(score) / 60:.0f} minutes; as WAV at most {LONGEST_WAV / 60:.0f} are"
            " written: ask for mp3."
        )
    sound = synthesise(score, instrument)
    data = mp3_bytes(sound) if kind == "mp3" else wav_bytes(sound)
    return write_whole(folder / f"{stem}_{instrument}.{kind}", data)


def paper_files(score: Score, folder: Path, stem: str, num_prompt_notes: int, layout: str) -> dict[str, Any]:
    """Write MIDI, MusicXML and PNG and engrave the score.

    Returns:
        `dict`: `mid`, `musicxml` and `png` (paths), `engraving` (what `engrave` returns).
    """
    from musicgpt.dynamics import velocities
    from musicgpt.piano_roll import write_png
    from tokenization import midi_bytes

    text = _musicxml(score)
    png = folder / f"{stem}.png"
    write_png(score, png, num_prompt_notes)
    return {
        "mid": write_whole(folder / f"{stem}.mid", midi_bytes(score, velocities(score))),
        "musicxml": write_whole(folder / f"{stem}.musicxml", text.encode()),
        "png": str(png),
        "engraving": engrave(text, layout),
    }


def pdf_file(score: Score, folder: Path, stem: str) -> str:
    """Write the score to print; returns its path."""
    from musicgpt.printing import pdf_bytes

    return write_whole(folder / f"{stem}.pdf", pdf_bytes(score))


def engraving(score: Score, layout: str) -> dict[str, Any]:
    """The engraved score alone."""
    return engrave(_musicxml(score), layout)


def marked(score: Score, run: list[list[int]], excerpt: int) -> str:
    """Some bars as one SVG in which the notes of a run have the class `mg-shared`.

    Args:
        score (`Score`): the bars.
        run (list of rows of onset, duration, pitch and voice): notes of it.
        excerpt (`int`): a number from 1 on, another one for each that stands on one page.
    """
    drawn = engrave(_musicxml(score), "narrow", excerpt)
    wanted = {(onset, pitch) for onset, _, pitch, _ in run}
    svg = "".join(drawn["pages"])
    for name, quarter, pitch in drawn["notes"]:
        if (round(quarter * 24), pitch) in wanted:
            svg = svg.replace(f'id="{name}" class="note"', f'id="{name}" class="note mg-shared"')
    return svg


def read_file(path: str) -> Score:
    """Read a score of the operator's, called by its file's name where it has no title."""
    from tokenization import read_score

    return read_score(path).replace(source=Path(path).stem)


def read_upload(path: str) -> Score:
    """Read a file that a visitor sent.

    Raises:
        MusicGPTError: one sentence for the visitor; it never holds a path of the server.
    """
    from tokenization import read_score_bytes

    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in UPLOAD_SUFFIXES:
        raise MusicGPTError(
            f"{file.name} is no score that can be read here: choose a file that ends in"
            f" {', '.join(UPLOAD_SUFFIXES)}."
        )
    size = file.stat().st_size
    if size > MAX_UPLOAD_BYTES:
        raise MusicGPTError(
            f"{file.name} has {size / 2**20:.1f} MB; at most {MAX_UPLOAD_BYTES // 2**20} MB are read."
        )
    try:
        score = read_score_bytes(file.read_bytes(), suffix, source=file.name)
    except MusicGPTError as error:
        raise MusicGPTError(f"{file.name} cannot be used: {error}") from error
    if len(score) > MAX_UPLOAD_NOTES:
        raise MusicGPTError(
            f"{file.name} has {len(score):,} notes; at most {MAX_UPLOAD_NOTES:,} are read: send an excerpt."
        )
    if lasts(score) > LONGEST:
        raise MusicGPTError(
            f"{file.name} lasts {lasts(score) / 60:.0f} minutes; at most {LONGEST / 60:.0f} are read: send an"
            " excerpt."
        )
    return score
