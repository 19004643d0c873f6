"""A folder onto the Hub: the repository, then all files in one commit, so that it is never half there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import MusicGPTError, is_of_the_network

# Caches and hidden files stay here; .gitattributes goes with the rest.
LEFT_OUT = ["**/__pycache__/**", ".[!g]*", "**/.[!g]*"]
_WHY = {
    401: "the token is missing or wrong",
    403: "the token may not write there",
    404: "there is no such user",
}


def upload_folder(
    folder: Path,
    repo: str,
    repo_type: str = "model",
    private: bool = False,
    message: str = "Upload",
    hub: Any = None,
    only: Sequence[str] | None = None,
    replace: bool = False,
) -> str:
    """Make the repository if it is not there and upload the folder in one commit.

    Args:
        folder (`Path`): what to upload; caches and hidden files stay here.
        repo (`str`): `USER/NAME`.
        repo_type (`str`): `model`, `dataset` or `space`.
        private (`bool`): makes a new repository private; else it is what the account's settings say.
        message (`str`): of the commit.
        hub (`HfApi`, *optional*): the logged-in one when not given.
        only (sequence of `str`, *optional*): patterns of the files that are uploaded.
        replace (`bool`): files that the folder does not have are deleted there.

    Returns:
        The address of the repository.

    Raises:
        MusicGPTError: if the Hub does not take it or cannot be reached.
    """
    from huggingface_hub import HfApi

    hub = hub or HfApi()
    space = {"space_sdk": "gradio"} if repo_type == "space" else {}
    try:
        address = hub.create_repo(repo, repo_type=repo_type, private=private or None, exist_ok=True, **space)
        hub.upload_folder(
            repo_id=repo,
            repo_type=repo_type,
            folder_path=str(folder),
            allow_patterns=only,
            ignore_patterns=LEFT_OUT,
            delete_patterns="*" if replace else None,
            commit_message=message,
        )
    except Exception as error:
        if why := _reason(error, repo):
            raise MusicGPTError(why) from error
        raise
    return str(address)


def _reason(error: Exception, repo: str) -> str | None:
    """Why the Hub did not take it, in a sentence; `None` for what is no fault of it or of what was asked."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )

    if isinstance(error, HFValidationError):
        return f"{repo!r} is not the name of a repository: write user/name."
    if isinstance(error, LocalTokenNotFoundError):
        return "The Hub needs a token to push: run `hf auth login`, or set HF_TOKEN."
    if isinstance(error, OfflineModeIsEnabled):
        return "Cannot push to the Hub: offline mode is on (HF_HUB_OFFLINE)."
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, HfHubHTTPError):
        code = error.response.status_code if error.response is not None else None
        return f"The Hub refused {repo}: {_WHY.get(code or 0, first)} ({code or 'no code'})."
    if isinstance(error, OSError) and error.filename:
        return f"Nothing was uploaded: {error.filename} cannot be read ({error.strerror})."
    return (
        f"The Hub could not be reached ({type(error).__name__}: {first})."
        if is_of_the_network(error)
        else None
    )
