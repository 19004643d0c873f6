"""The named errors of building a dataset."""

from __future__ import annotations

from tokenization.errors import MusicGPTError


class DatasetError(MusicGPTError):
    """A dataset cannot be built as asked: no such source or config, nothing left in it, a folder that is not
    ours to replace.
    """


class DownloadError(DatasetError):
    """A file of a manifest could not be fetched, or is not the file that the manifest names."""


class PieceError(DatasetError):
    """One piece cannot be used; with `strict` it stops the build, otherwise it is skipped by name."""
