"""A built dataset onto the Hub."""

from __future__ import annotations

import os
from pathlib import Path

from tokenization.errors import MusicGPTError
from tokenization.hub import upload_folder

from .build import STAMP
from .errors import DatasetError

PATTERNS = ["README.md", "LICENSE.md", "report.json", "*.parquet", "plots/*.png"]


def push_dataset(
    folder: Path, repo: str, private: bool = False, endpoint: str | None = None, token: str | None = None
) -> str:
    """Push what `build_dataset` wrote: the card, the parquet files, the report and the plots.

    Args:
        folder: the built dataset.
        repo: `"user/name"`.
        private: make the repository private when it is new; else it is what the account's settings say.
        endpoint: address of the Hub; the usual one (or `HF_ENDPOINT`) when not given.
        token: access token; the one of `hf auth login` (or `HF_TOKEN`) when not given.

    Returns:
        The address of the dataset.

    Raises:
        DatasetError: if the folder holds no built dataset, or the Hub does not take it.
    """
    from huggingface_hub import HfApi

    if not (folder / STAMP).is_file():
        raise DatasetError(f"{str(folder)!r} holds no built dataset; build it first.")
    hub = HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT"), token=token)
    try:
        return upload_folder(folder, repo, "dataset", private, "Build of dataset_builder", hub, PATTERNS)
    except MusicGPTError as error:
        raise DatasetError(str(error)) from error
