"""From pieces to rows: read, clean and encode each file, in several processes if asked, in a stable order."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from tokenization.errors import MusicGPTError

from .cleaning import clean
from .corrections import read_piece
from .errors import DatasetError, PieceError
from .features import row_of
from .pieces import Collection, Piece
from .splits import SPLITS, hashed_splits
from .store import RowStore, packed

OPENING_NOTES = 8
# What the report says of a row; the rest of it stays on disk.
FACTS = ("id", "source", "licence", "encoder", "num_notes", "num_tokens", "bars", "key", "changes", "notices")


@dataclass
class Outcome:
    """What became of one piece.

    Attributes:
        piece: the piece.
        facts: of its row the columns `FACTS`; `None` if it has no row.
        reason: why it has none.
        row: the packed row (`store.packed`), on its way from the process that made it.
        place: where it lies in the store.
        digest: of what is to be heard.
        group: see `splits.hashed_splits`.
    """

    piece: Piece
    facts: dict[str, Any] | None = None
    reason: str = ""
    row: bytes = b""
    place: tuple[int, int] = (0, 0)
    digest: bytes = b""
    group: str = ""


@dataclass
class Known:
    """The pieces that a build has read so far, and their rows."""

    outcomes: dict[Piece, Outcome] = field(default_factory=dict)
    store: RowStore = field(default_factory=RowStore)

    def add(self, outcome: Outcome) -> None:
        """Put the row on disk and remember the rest."""
        if outcome.row:
            outcome.place, outcome.row = self.store.add(outcome.row), b""
        self.outcomes[outcome.piece] = outcome


@dataclass
class Processed:
    """The pieces of each split in their order, with their rows on disk, and those that were skipped with the
    reasons.
    """

    store: RowStore
    kept: dict[str, list[Outcome]] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def facts(self) -> Iterator[dict[str, Any]]:
        """What the report says of each row, split after split."""
        return (outcome.facts for kept in self.kept.values() for outcome in kept if outcome.facts is not None)

    def tables(self, split: str, rows: int = 1000) -> Iterator[Any]:
        """The rows of a split as Arrow tables of `rows` rows each, the last one of what is left."""
        return self.store.read([outcome.place for outcome in self.kept[split]], rows)


def process(piece: Piece) -> Outcome:
    """Read, clean and encode one piece; what cannot be read comes back with the reason."""
    try:
        cleaned = clean(read_piece(piece), piece)
        row = row_of(piece, cleaned)
        facts = {name: row[name] for name in FACTS}
        facts["changes"] = {name: count for name, count in row["changes"].items() if count}
        return Outcome(
            piece, facts, row=packed(row), digest=_digest(row), group=_opening(cleaned.score.array)
        )
    except MusicGPTError as error:
        return Outcome(piece, reason=str(error))
    except Exception as error:  # a file of anyone's must not stop the others, whatever it does to the reader
        return Outcome(piece, reason=f"{piece.path.name}: unexpected {type(error).__name__}: {error}")


def _opening(array: Any) -> str:
    """The first pitches of the highest voice in the normal key: settings of one tune share it."""
    top = array[array[:, 3] == 0, 2][:OPENING_NOTES]
    return " ".join(map(str, (top % 12).tolist()))


def _outcomes(pieces: Sequence[Piece], num_proc: int) -> Iterator[Outcome]:
    workers = min(num_proc, len(pieces))
    if workers <= 1:
        yield from map(process, pieces)
        return
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    # Small chunks keep all busy to the end.
    size = max(1, min(8, len(pieces) // (4 * workers)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context(method), _leave_interrupts) as pool:
        try:
            # Not `map`: interrupted, it cancels what waits, and a pool that breaks then ends in a traceback.
            waiting = deque(
                pool.submit(_process_some, pieces[i : i + size]) for i in range(0, len(pieces), size)
            )
            while waiting:  # a future that is kept would keep its rows
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise DatasetError(
                "A worker process died, probably out of memory; build again with --num-proc 1."
            ) from error
        except (KeyboardInterrupt, GeneratorExit):
            for worker in multiprocessing.active_children():
                worker.kill()  # else leaving the pool waits for what they are at, and for what waits
            raise


def _process_some(pieces: Sequence[Piece]) -> list[Outcome]:
    return [process(piece) for piece in pieces]


def _leave_interrupts() -> None:
    """A terminal sends its interrupt to workers too; the builder ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def process_all(
    collection: Collection,
    num_proc: int = 1,
    strict: bool = False,
    validation_share: float = 0.1,
    known: Known | None = None,
) -> Processed:
    """Rows of all pieces, by split, in the order of the collection, whatever the number of processes.

    Args:
        collection: the pieces.
        num_proc: processes to use.
        strict: stop at the first piece that cannot be used, in place of skipping it.
        validation_share: see `splits.hashed_splits`; only for pieces without a declared split.
        known: what earlier calls read (for another config of the same source), used and added to.

    Raises:
        PieceError: with `strict`, naming the piece and the reason.
        DatasetError: if no piece is left.
    """
    from tqdm import tqdm

    known = Known() if known is None else known
    done = Processed(known.store, skipped=list(collection.unavailable))
    if strict and done.skipped:
        raise _refusal(*done.skipped[0])
    kept: list[Outcome] = []
    first_with: dict[bytes, str] = {}
    new = [piece for piece in collection.pieces if piece not in known.outcomes]
    for outcome in tqdm(
        _outcomes(new, num_proc),
        total=len(new),
        desc="Reading scores",
        unit="piece",
        disable=None if new else True,
    ):
        known.add(outcome)
        if strict and outcome.facts is None:
            break  # the check below names it
    for piece in (piece for piece in collection.pieces if piece in known.outcomes):
        outcome, reason = known.outcomes[piece], known.outcomes[piece].reason
        if outcome.facts is not None:
            twin = first_with.setdefault(outcome.digest, piece.id)
            reason = f"the same notes as {twin}" if twin != piece.id else ""
        if not reason:
            kept.append(outcome)
            continue
        if strict:
            raise _refusal(piece.id, reason)
        done.skipped.append((piece.id, reason))
    if not kept:
        example = f" The first one: {done.skipped[0][0]}: {done.skipped[0][1]}" if done.skipped else ""
        raise DatasetError(
            f"None of the {len(collection.pieces)} pieces of {collection.name} could be used.{example}"
        )
    for outcome, split in zip(kept, _splits(collection, kept, validation_share), strict=True):
        done.kept.setdefault(split, []).append(outcome)
    done.kept = {split: done.kept[split] for split in SPLITS if split in done.kept}
    if "train" not in done.kept:
        done.notices.append(
            f"No piece is for training: all are in {' and '.join(done.kept)}. A file's name such as wtc1p09,"
            " a folder's such as test, or a catalogue puts a piece into a split; rename what should train."
        )
    return done


def _digest(row: dict[str, Any]) -> bytes:
    """SHA-256 of what is to be heard: notes, meters and key."""
    digest = hashlib.sha256(repr((row["meters"], row["key"])).encode())
    for column in row["notes"].values():
        digest.update(column.tobytes())
    return digest.digest()


def _refusal(identifier: str, reason: str) -> PieceError:
    return PieceError(
        f"{identifier} cannot be used: {reason.rstrip('.')} (--strict stops here; without it the piece is"
        " skipped)."
    )


def _splits(collection: Collection, kept: Sequence[Outcome], validation_share: float) -> list[str]:
    if collection.rest_is_train:
        return [outcome.piece.split or "train" for outcome in kept]
    open_ones = [outcome.group for outcome in kept if outcome.piece.split is None]
    hashed = iter(hashed_splits(open_ones, validation_share))
    return [outcome.piece.split or next(hashed) for outcome in kept]


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
