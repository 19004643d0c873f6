"""A folder onto the Hub: the repository, then all files in one commit, so that it is never half there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenization.errors import MusicGPTError, is_of_the_network


def upload_folder(
    folder: Path,
    repo: str,
    repo_type: str = "model",
    private: bool = False,
    message: str = "Upload",
    hub: Any = None,
) -> str:
    """Make the repository if it is not there and upload the folder in one commit.

    Args:
        folder (`Path`): what to upload; caches and hidden files stay here.
        repo (`str`): `USER/NAME`.
        repo_type (`str`): `model`, `dataset` or `space`.
        private (`bool`): only for a repository that is new.
        message (`str`): of the commit.
        hub (`HfApi`, *optional*): the logged-in one when not given.

    Returns:
        The address of the repository.

    Raises:
        MusicGPTError: if the Hub does not take it or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    hub = hub or HfApi()
    space = {"space_sdk": "gradio"} if repo_type == "space" else {}
    try:
        address = hub.create_repo(repo, repo_type=repo_type, private=private, exist_ok=True, **space)
        hub.upload_folder(
            repo_id=repo,
            repo_type=repo_type,
            folder_path=str(folder),
            ignore_patterns=["**/__pycache__/**", ".[!g]*", "**/.[!g]*"],  # .gitattributes goes with the rest
            commit_message=message,
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:  # also offline, or without a token
        raise MusicGPTError(f"The Hub did not take {repo}: {_first_line(error)}") from error
    except Exception as error:
        if not is_of_the_network(error):
            raise
        raise MusicGPTError(f"The Hub could not be reached ({_first_line(error)}).") from error
    return str(address)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
