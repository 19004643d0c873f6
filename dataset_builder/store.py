"""The rows of a build on disk until they are written out: those of 20,000 pieces would fill the memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from .features import features


def packed(row: dict[str, Any]) -> bytes:
    """A row as an Arrow record batch: small, and ready to be written.

    Raises:
        ArrowInvalid: (pyarrow) if a value does not fit into the column's type.
    """
    batch = pa.RecordBatch.from_pylist([row], schema=features().arrow_schema)
    return batch.serialize().to_pybytes()


class RowStore:
    """Packed rows in a temporary file, by the places that `add` gives."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="musicgpt-rows-")  # noqa: SIM115 (lives as long as the store)
        self._schema = features().arrow_schema

    def add(self, row: bytes) -> tuple[int, int]:
        """Keep a packed row; returns its place: where it begins in the file, and its length in bytes."""
        begin = self._file.seek(0, 2)
        self._file.write(row)
        return begin, len(row)

    def read(self, places: Sequence[tuple[int, int]], rows: int) -> Iterator[pa.Table]:
        """The rows at some places in their order, as tables of `rows` rows, the last one of what is left."""
        for first in range(0, len(places), rows):
            batches = []
            for begin, length in places[first : first + rows]:
                self._file.seek(begin)
                batches.append(pa.ipc.read_record_batch(pa.py_buffer(self._file.read(length)), self._schema))
            yield pa.Table.from_batches(batches, self._schema)
