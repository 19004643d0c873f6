"""What catalogues and note tables of known sources say wrongly, put right by the id of the piece, each with
its reason.

The files stay as they are: a table is mended when it is read, and only while it has the fault that is
described here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from fractions import Fraction

from tokenization.reading import read_score, read_score_bytes
from tokenization.score import Score

from .pieces import Piece

Rows = list[dict[str, str]]

# Keys: tonic and mode.
KEYS: dict[str, tuple[str, str]] = {
    # A tune in E Phrygian that closes on the major triad of E; its signature alone says C major. Read as
    # minor, like its sisters BWV 611, 614, 617, 620, 621 and 674, which their catalogue gives as A minor.
    "mut_bwv672": ("A", "minor"),
}


def _one_meter(rows: Rows) -> str:
    """Goldberg variation 26 has 18/16 in one hand and 3/4 in the other, and its table both in turns: 224
    changes of meter.

    The bars are three quarters long and the 18 sixteenths stand as sextuplets of a quarter, so 3/4 is true of
    all notes.
    """
    if {row["time_signature"] for row in rows} != {"18/16", "3/4"}:
        return ""
    for row in rows:
        row["time_signature"] = "3/4"
    return "one meter, 3/4, in place of 18/16 in one hand and 3/4 in the other"


def _one_ending(rows: Rows) -> str:
    """The Tempo di Gavotta of BWV 830 has first and second ending of its repeat in bar 12, half a bar each,
    so that from there on all bars begin half a bar late. The first ending goes, and the bars add up: an
    upbeat of half a bar, 31 bars and the half that completes it.
    """
    at = {Fraction(row["onset_q"]): row for row in rows if row["bar"] == "12"}
    if {time - Fraction(at[time]["bar_pos_q"]) for time in at} != {Fraction(46), Fraction(48)}:
        return ""
    first = [row for row in rows if 46 <= Fraction(row["onset_q"]) < 48]
    rows[:] = [row for row in rows if row not in first]
    for row in (row for row in rows if Fraction(row["onset_q"]) >= 48):
        row["onset_q"] = str(Fraction(row["onset_q"]) - 2)
    return f"{len(first)} notes of a first ending left out, which is half a bar long in bar 12"


def _late_voice(rows: Rows) -> str:
    """In the Chromatic Fantasia the right hand is one and a half quarters late from bar 54 on.

    There its table has three dotted eighths (E flat, G flat, F); as sixteenths they make a whole quarter with
    what follows, the hands end together, in bar 79, and the recitative's chords fall together. Inferred from
    that, not read in an edition.
    """
    late = [row for row in rows if row["voice"] == "upper" and Fraction(row["onset_q"]) >= 215]
    if [(row["onset_q"], row["dur_q"], row["midi"]) for row in late[:3]] != [
        ("215", "3/4", "75"),
        ("863/4", "3/4", "78"),
        ("433/2", "3/4", "77"),
    ]:
        return ""
    for row in late[:3]:
        row["dur_q"] = "1/4"
    for number, row in enumerate(late):
        onset = Fraction(row["onset_q"]) - min(number * Fraction(1, 2), Fraction(3, 2))
        row["onset_q"], row["bar"], row["bar_pos_q"] = str(onset), str(onset // 4 + 1), str(onset % 4)
    return "the right hand moved one and a half quarters forward from bar 54 on"


TABLES: dict[str, Callable[[Rows], str]] = {
    "mut_bwv988_bwv-988-v26": _one_meter,
    "mut_bwv830_bwv-830_5": _one_ending,
    "mut_bwv903_bwv903fan": _late_voice,
}


def mended(identifier: str, table: bytes) -> tuple[bytes, str]:
    """A note table put right, and what was done in words; the table as it is and `""` where nothing is known
    against it.
    """
    reader = csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""), delimiter="\t")
    rows = list(reader)
    notice = TABLES[identifier](rows)
    if not notice:
        return table, ""
    rows.sort(key=lambda row: Fraction(row["onset_q"]))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, reader.fieldnames or (), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(), notice


def read_piece(piece: Piece) -> Score:
    """The score of a piece, its table put right where it is known to be wrong (then the score's notices say
    so).

    Raises:
        ScoreReadError: if its file is missing or cannot be read.
    """
    table, notice = b"", ""
    if piece.id in TABLES and piece.path.suffix.lower() == ".tsv" and piece.path.is_file():
        table, notice = mended(piece.id, piece.path.read_bytes())
    if not notice:
        return read_score(piece.path, form=piece.kind, staff_voices=piece.staff_voices)
    score = read_score_bytes(
        table, ".tsv", form=piece.kind, source=piece.path.name, staff_voices=piece.staff_voices
    )
    return score.replace(title=score.title or piece.path.stem, notices=[*score.notices, notice])
