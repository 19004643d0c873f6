"""Named selections of pieces."""

from __future__ import annotations

from dataclasses import replace

from .errors import DatasetError
from .pieces import Collection

# The token count that the project's seed gave for its 33 preludes.
SEED33_TOKENS = 160_631
SEED33_COUNT = 33
PRESETS = {
    "seed33": "the first 33 preludes of the train split, in the order of book and number",
}
SEED33_REASON = (
    "The original's list of pieces and its tokenizer are not known here, so neither can be matched. This"
    " preset states its rule (the first 33 preludes of the train split, by book and number). MusicGPT spells"
    " a note with exactly four tokens (NOTE, VOICE, DUR, TIME) plus a short prefix a piece, so its count is"
    " four times the notes; another scheme counts otherwise (the original's figure would be {ratio:.2f}"
    " tokens for each of these notes: more events a note, such as separate bar, position or velocity tokens,"
    " other editions, or repeats played out)."
)


def apply_preset(collection: Collection, preset: str | None) -> Collection:
    """The pieces that a preset keeps; the collection itself without one.

    Raises:
        DatasetError: for an unknown preset, or when the source has too few pieces for it.
    """
    if preset is None:
        return collection
    if preset not in PRESETS:
        raise DatasetError(f"Unknown preset {preset!r}: it must be one of {', '.join(PRESETS)}.")
    preludes = [
        p for p in collection.pieces if p.work == "WTC" and p.kind == "prelude" and p.split == "train"
    ]
    preludes.sort(key=lambda piece: (piece.book or 0, piece.number or 0))
    if len(preludes) < SEED33_COUNT:
        raise DatasetError(
            f"The preset seed33 needs {SEED33_COUNT} preludes of the train split; {collection.name} has"
            f" {len(preludes)}."
        )
    return replace(collection, pieces=preludes[:SEED33_COUNT])


def seed33_comparison(notes: int, tokens: int) -> str:
    """The token count of the preset beside the original's, and why they differ."""
    reason = SEED33_REASON.format(ratio=SEED33_TOKENS / max(1, notes))
    return (
        f"seed33: {SEED33_COUNT} preludes, {notes:,} notes, {tokens:,} tokens; the original counted"
        f" {SEED33_TOKENS:,}. {reason}"
    )
