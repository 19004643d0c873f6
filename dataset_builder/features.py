"""A row of the dataset: its columns, a cleaned score as a row, and a row as a score again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenization.codec import encode
from tokenization.key import Key, normal_key
from tokenization.score import Changes, Meter, Note, Score

from .cleaning import COUNTS, Cleaned
from .pieces import Piece

if TYPE_CHECKING:
    from datasets import Features

DESCRIPTIONS = {
    "id": "name of the piece, unique in its config (`wtc2f05`: Book II, fugue 5)",
    "work": "`WTC`, `invention`, `sinfonia`, `Art of Fugue`, a BWV number ...; empty if not known",
    "title": "title, as the source has it",
    "bwv": "BWV number, as text",
    "book": "book of the WTC, 1 or 2; null elsewhere",
    "number": "number in the book, 1 to 24: the key number that the splits are made of; null elsewhere",
    "kind": "`prelude`, `fugue` or null",
    "key": "the key before normalising, such as `F# minor`",
    "mode": "`major` or `minor`",
    "transposition": (
        "semitones added to arrive at C major or A minor, -6 to +5; subtract to get the original"
    ),
    "note_scale": "2 where the note values were doubled, since the tokens hold them better so; else 1",
    "meter": "first time signature",
    "meters": "all time signatures: onset (ticks), numerator, denominator",
    "original_meters": "those of the source where `note_scale` is not 1; else empty",
    "bars": "number of bars, a pickup bar counted",
    "pickup": "length of the incomplete first bar in ticks, 0 if it is whole",
    "tempo": "declared tempo in quarter notes a minute; null if none is declared",
    "tempo_class": "`slow`, `moderate` or `fast`, from the onsets a second",
    "voices": "number of voices, 1 to 5",
    "source": "where the encoding comes from (see Credits)",
    "source_file": "the file there",
    "licence": "licence of that file",
    "encoder": "who encoded it",
    "notes": (
        "the notes in C major or A minor: onset and duration in ticks (24 a quarter; onset 0 is a bar line),"
        " MIDI pitch, voice (0 is the highest)"
    ),
    "num_notes": "number of notes",
    "input_ids": "the piece as token ids of the MusicGPT tokenizer, `<bos>` and `<eos>` included",
    "num_tokens": "number of ids",
    "changes": "how many notes each stage of cleaning changed",
    "notices": "what the reader left out or decided, in words",
}
# Of the columns of `notes`, in the order of those of `Score.array`, and of `meters`.
_NOTES = {"onset": "int32", "duration": "int32", "pitch": "int16", "voice": "int8"}
_METERS = {"onset": "int32", "numerator": "int16", "denominator": "int16"}
# Columns that the catalogue gives.
_OF_THE_PIECE = ("id", "work", "bwv", "book", "number", "kind", "source", "source_file", "licence", "encoder")


def features() -> Features:
    """The columns and their types."""
    from datasets import Features, List, Value

    text, count = Value("string"), Value("int32")
    types: dict[str, Any] = dict.fromkeys(DESCRIPTIONS, text)
    types |= dict.fromkeys(("book", "number", "voices", "transposition", "note_scale"), Value("int8"))
    types |= dict.fromkeys(("bars", "pickup", "num_notes", "num_tokens"), count)
    types["tempo"] = Value("float32")
    for column, kinds in (("meters", _METERS), ("original_meters", _METERS), ("notes", _NOTES)):
        types[column] = {name: List(Value(kind)) for name, kind in kinds.items()}
    types["input_ids"] = List(Value("int32"))
    types["changes"] = dict.fromkeys(COUNTS, count)
    types["notices"] = List(text)
    return Features(types)


def row_of(piece: Piece, cleaned: Cleaned) -> dict[str, Any]:
    """The row of a piece: numbers, text and lists; notes and ids as narrow arrays, since all rows of a build
    are in memory together.

    Args:
        piece: what the catalogue says of it.
        cleaned: its score after all stages of cleaning.
    """
    score, changes = cleaned.score, dict(cleaned.changes)
    _, tokens = score.quantised_with_changes()
    changes |= {f"token_{name}": getattr(tokens, name) for name in Changes._fields[1:]}
    ids = encode(score)
    columns = {
        name: column.astype(kind) for (name, kind), column in zip(_NOTES.items(), score.array.T, strict=True)
    }
    key = score.original_key or score.key
    return {
        **{name: getattr(piece, name) for name in _OF_THE_PIECE},
        "title": piece.title or score.title or "",
        "key": str(key) if key else None,
        "mode": key.mode if key else None,
        "transposition": score.transposition,
        "note_scale": score.note_scale or 1,
        "meter": score.meters[0].name,
        "meters": _columns_of(score.meters),
        "original_meters": _columns_of(score.original_meters or ()),
        "bars": score.num_bars,
        "pickup": score.pickup,
        "tempo": score.tempo,
        "tempo_class": score.tempo_class,
        "voices": score.num_voices,
        "notes": columns,
        "num_notes": len(score),
        "input_ids": ids.astype(np.int16),
        "num_tokens": len(ids),
        "changes": changes,
        "notices": list(score.notices),
    }


def score_of_row(row: dict[str, Any], original_key: bool = False) -> Score:
    """The score of a row: the same notes, meters, key, form and tempo that were encoded into its `input_ids`.

    Args:
        row: a row of the dataset, in any format (`python`, `numpy`, `torch`).
        original_key: in the key of the source in place of C major or A minor.
    """
    array = np.stack([np.asarray(row["notes"][name], dtype=np.int64) for name in Note._fields], axis=1)
    tempo = row.get("tempo")
    score = Score(
        array,
        meters=_meters_of(row["meters"]),
        key=normal_key(str(row["mode"])) if row.get("mode") else None,
        tempo=None if tempo is None or tempo != tempo else float(tempo),  # NumPy's format has NaN for None
        tempo_class=row.get("tempo_class"),
        form=row.get("kind"),
        title=row.get("title") or row.get("id"),
        source=row.get("source") or None,
        transposition=int(row["transposition"]),
        original_key=Key.parse(str(row["key"])) if row.get("key") else None,
        note_scale=int(row.get("note_scale") or 1),
        original_meters=_meters_of(row["original_meters"]) if row.get("original_meters") else None,
    )
    return score.restored() if original_key else score


def _columns_of(meters: Sequence[Meter]) -> dict[str, list[int]]:
    return {name: [getattr(meter, name) for meter in meters] for name in Meter._fields}


def _meters_of(columns: dict[str, Any]) -> list[Meter]:
    return [Meter(*map(int, meter)) for meter in zip(*(columns[name] for name in Meter._fields), strict=True)]
