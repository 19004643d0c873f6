"""From a built data set, or a folder of scores, to the pieces of each split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import DataArguments
from .crops import Piece
from .errors import TrainingError

if TYPE_CHECKING:
    from datasets import Dataset

# Names for parts of the further Bach pieces, by their column `work`; what no name has is `keyboard`.
GROUPS_OF_WORKS = {
    "core": ("invention", "sinfonia", "Art of Fugue"),  # those that fit the WTC best
    "organ": (
        "trio sonata",
        "organ prelude and fugue",
        "Orgelbuechlein",
        "Schuebler chorales",
        "Leipzig chorales",
        "Clavieruebung III",
        "chorale prelude",
        "canonic variations",
    ),
    "chorales": ("chorale",),
}
SPLITS = ("train", "validation", "test")


def cache_folder() -> Path:
    """Where data sets built on the fly are kept: `$MUSICGPT_CACHE`, else `musicgpt` in the user's cache
    folder.
    """
    base = os.environ.get("MUSICGPT_CACHE")
    return (
        Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "musicgpt"
    )


def default_scores() -> Path:
    """The folder of scores that stands beside the project: `../shared/data`.

    Raises:
        TrainingError: if it is not there.
    """
    folder = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    if not folder.is_dir():
        raise TrainingError(
            "No data: ../shared/data is not there; name a built data set with --data or a folder of scores"
            " with --scores."
        )
    return folder


def build(scores: str | os.PathLike, config: str) -> Path:
    """Build a data set from scores into the cache (at once if nothing changed) and return its folder."""
    from dataset_builder import BuildOptions, build_dataset

    name = str(scores)
    source = name if name == "music21" else str(Path(name).resolve())
    out = cache_folder() / "datasets" / f"{config}-{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    # The cache is ours: what an earlier version left there is replaced.
    build_dataset(BuildOptions(out=out, source=(source,), configs=(config,), overwrite=True))
    return out


def read_rows(folder: str | os.PathLike) -> dict[str, Dataset]:
    """The rows of a built data set by split, on disk until they are asked for.

    Raises:
        TrainingError: if there is no data set in the folder.
    """
    from datasets import load_dataset

    from dataset_builder.build import without_progress_bars

    if not Path(folder).is_dir():
        raise TrainingError(
            f"There is no data set in {folder}: build one with `python -m dataset_builder --out {folder}`."
        )
    try:
        with without_progress_bars():
            splits = load_dataset(str(folder))
    except Exception as error:
        raise TrainingError(
            f"There is no data set that can be read in {folder}: {' '.join(str(error).split())}."
        ) from error
    return dict(splits)


def described(splits: Mapping[str, Dataset]) -> dict[str, list[dict[str, Any]]]:
    """What each row says of its piece, without the notes, by split; `place` is the row's number in it."""
    return {
        name: [
            {**row, "place": place} for place, row in enumerate(rows.remove_columns(["notes", "input_ids"]))
        ]
        for name, rows in splits.items()
    }


def to_piece(row: dict[str, Any], times: float = 1.0) -> Piece:
    """A row as a quantised piece that an epoch takes `times` times. Its unit is the key number where it has
    one.
    """
    from dataset_builder import score_of_row

    number = row.get("number")
    unit = f"{number:02d}" if number else str(row["id"])
    return Piece(str(row["id"]), score_of_row(row).quantised(), unit, row.get("tempo"), times)


def extra_of(data: DataArguments) -> list[str]:
    """Which further pieces are taken when the arguments do not say: all of a folder of scores that somebody
    names.
    """
    return data.extra if data.extra is not None else (["all"] if data.scores else [])


def names_of(work: str | None) -> set[str]:
    """The names by which `extra` and `times` may mean a piece: its work, the group of its work, and `all`."""
    groups = {name for name, works in GROUPS_OF_WORKS.items() if work in works}
    return {"all", work or "", *(groups or ({"keyboard"} if work != "WTC" else set()))}


def wanted(row: dict[str, Any], data: DataArguments, beside_wtc: bool) -> bool:
    """Whether a row is among those that the arguments ask for. `beside_wtc`: the data holds the WTC, to which
    others are additions.
    """
    if data.form != "all" and row.get("kind") != data.form:
        # The further pieces have no form; they come along when they are asked for.
        if row.get("kind") is not None or row.get("work") == "WTC":
            return False
    if not beside_wtc or row.get("work") == "WTC":
        return True
    return not names_of(row.get("work")).isdisjoint(extra_of(data))


def times_of(row: dict[str, Any], data: DataArguments) -> float:
    """How often an epoch takes a piece: what `times` says of its work, else of the group of its work, else of
    `all`, else once.
    """
    work = row.get("work") or ""
    names = [work, *sorted(names_of(work) - {work, "all"}), "all"]
    return next((data.times[name] for name in names if name in data.times), 1.0)


def check_names(rows: Mapping[str, Sequence[dict[str, Any]]], data: DataArguments, folder: Path) -> None:
    """Refuse names in `extra` and `times` that mean no piece of the data.

    Raises:
        TrainingError: naming the first of them, and those that there are.
    """
    works = {str(row.get("work") or "") for part in rows.values() for row in part}
    known = set().union(*map(names_of, works)) - {""} | {"all", "core"}
    for argument, names in (("extra", data.extra or []), ("times", list(data.times))):
        if unknown := next((name for name in names if name not in known), None):
            raise TrainingError(
                f"--{argument} names {unknown!r}, but no piece of {folder} has that work; there are"
                f" {', '.join(sorted(known))}."
            )


def source_folder(data: DataArguments) -> Path:
    """The folder of the built data set that the arguments name; built first where they name scores."""
    if data.data is not None:
        return Path(data.data)
    own = data.scores is None and not extra_of(data)
    return build(data.scores or default_scores(), data.builder_config or ("wtc" if own else "wtc-plus"))


def with_wtc(rows: Mapping[str, Sequence[dict[str, Any]]]) -> bool:
    """Whether a data set holds movements of the Well-Tempered Clavier."""
    return any(
        row.get("work") == "WTC" and row.get("number") is not None for part in rows.values() for row in part
    )


def load_pieces(
    data: DataArguments, splits: Sequence[str] = ("train", "validation")
) -> dict[str, list[Piece]]:
    """The pieces of each split that the arguments ask for; a validation split is held out where the data has
    none.

    Raises:
        TrainingError: if there is no data, or a split that is needed has no piece.
    """
    folder = source_folder(data)
    whole = read_rows(folder)
    rows = described(whole)
    check_names(rows, data, folder)
    wtc = with_wtc(rows)
    rows = {name: [row for row in part if wanted(row, data, wtc)] for name, part in rows.items()}
    home = {split: split for split in splits}
    if "validation" in splits and not rows.get("validation"):
        rows["train"], rows["validation"] = hold_out(rows.get("train", []), data.validation_share)
        home["validation"] = "train"
    pieces = {}
    for split in splits:
        if not rows.get(split) and split != "validation":
            raise TrainingError(
                f"The data in {folder} has no piece for the split {split!r} with --form {data.form}: it has"
                f" {_counts(rows)}."
            )
        taken = [(row["place"], times_of(row, data)) for row in rows.get(split, [])]
        taken = [(place, times) for place, times in taken if times or split != "train"]
        if split == "train" and data.max_pieces:
            taken = taken[: data.max_pieces]
        # Row by row: as Python's numbers all of them together take many times the memory of the pieces.
        notes = (
            whole[home[split]].remove_columns("input_ids").select([place for place, _ in taken])
            if taken
            else ()
        )
        pieces[split] = [to_piece(row, times) for row, (_, times) in zip(notes, taken, strict=True)]
    return pieces


def hold_out(
    rows: Sequence[dict[str, Any]], share: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Train and validation rows of a data set without a validation split: a share of the pieces, chosen by
    the hash of their ids.
    """
    if len(rows) < 2 or share == 0:
        return list(rows), []
    count = max(1, round(share * len(rows)))
    order = sorted(range(len(rows)), key=lambda i: hashlib.sha256(str(rows[i]["id"]).encode()).hexdigest())
    held = set(order[:count])
    return [row for i, row in enumerate(rows) if i not in held], [
        row for i, row in enumerate(rows) if i in held
    ]


def _counts(rows: dict[str, list]) -> str:
    return ", ".join(f"{len(part)} in {name}" for name, part in rows.items()) or "no rows at all"
