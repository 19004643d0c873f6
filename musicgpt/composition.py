"""`Composition`: a finished piece with everything that is needed to make it again."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tokenization.score import Score
from tokenization.vocabulary import TEMPO_QPM, TICKS_PER_QUARTER

from .settings import Settings, slug

FORMATS = ("mid", "musicxml", "png")


@dataclass(frozen=True)
class Composition:
    """A piece that the model composed.

    Attributes:
        score (`Score`): the piece in the key that was asked for; with a prompt, the prompt's notes as they were, then the new ones.
        ids (list of `int`): what the model read and wrote, in C major / A minor; of a long prompt only the part that it read.
        settings (`Settings`): as asked, with the seed that makes this very piece.
        seed (`int`): that seed.
        num_prompt_notes (`int`): how many of the first notes of `score` are the prompt's; 0 without a prompt.
        seconds (`float`): time the model took; pieces made together share it equally.
        finished (`bool`): whether the piece came to its end; not if it was stopped.
    """

    score: Score
    ids: list[int] = field(repr=False)
    settings: Settings
    seed: int
    num_prompt_notes: int
    seconds: float
    finished: bool

    @property
    def num_new_notes(self) -> int:
        """Notes that the model wrote."""
        return len(self.score) - self.num_prompt_notes

    @property
    def music_seconds(self) -> float:
        """How long the piece sounds at its tempo, in seconds."""
        return self.score.end / TICKS_PER_QUARTER / (self.score.tempo or TEMPO_QPM["moderate"]) * 60

    def file_stem(self) -> str:
        """A file name without suffix that holds settings and seed; of a continuation the prompt's name stands first."""
        stem = self.settings.file_stem()
        if not self.num_prompt_notes:
            return stem
        source = slug(Path(self.score.source).stem if self.score.source else self.score.title or "") or "prompt"
        return f"{source}_continued_{stem}"

    def write(self, folder: str | os.PathLike, formats: tuple[str, ...] = FORMATS) -> list[Path]:
        """Write the piece as MIDI (one track a voice), MusicXML and a piano roll, each whole or not at all.

        Args:
            folder (`str` or path): where to; made if it is not there.
            formats (tuple of `str`): some of `"mid"`, `"musicxml"`, `"png"`.

        Returns:
            list of `Path`: the files written, named `file_stem()` with the format's ending.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name in formats:
            path = folder / f"{self.file_stem()}.{name}"
            _write_one(self, path, name)
            paths.append(path)
        return paths


def _write_one(composition: Composition, path: Path, name: str) -> None:
    if name == "mid":
        from tokenization import write_midi

        write_midi(composition.score, path)
    elif name == "musicxml":
        from tokenization import write_musicxml

        write_musicxml(composition.score, path)
    elif name == "png":
        from .piano_roll import write_png

        write_png(composition.score, path, composition.num_prompt_notes)
    else:
        raise ValueError(f"Unknown format {name!r}: it must be one of {', '.join(FORMATS)}.")
