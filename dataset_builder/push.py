"""A built dataset onto the Hub: the repository, then all files in one commit, so that it is never half
there.
"""

from __future__ import annotations

import os
from pathlib import Path

from tokenization.errors import is_of_the_network

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
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )

    if not (folder / STAMP).is_file():
        raise DatasetError(f"{str(folder)!r} holds no built dataset; build it first.")
    api = HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT"), token=token)
    try:
        address = api.create_repo(repo, repo_type="dataset", private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=PATTERNS,
            commit_message="Build of dataset_builder",
        )
    except HFValidationError as error:
        raise DatasetError(f"{repo!r} is not the name of a repository: write user/name.") from error
    except LocalTokenNotFoundError as error:
        raise DatasetError("The Hub needs a token to push: run `hf auth login`, or set HF_TOKEN.") from error
    except OfflineModeIsEnabled as error:
        raise DatasetError("Cannot push to the Hub: offline mode is on (HF_HUB_OFFLINE).") from error
    except HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "an error"
        why = {
            401: "the token is missing or wrong",
            403: "the token may not write there",
            404: "there is no such user",
        }
        raise DatasetError(f"The Hub refused {repo}: {why.get(code, 'it answered')} ({code}).") from error
    except Exception as error:
        if not is_of_the_network(error):
            raise
        raise DatasetError(f"The Hub could not be reached ({type(error).__name__}: {error}).") from error
    return str(address)
