"""The model as a folder for the Hub that stands alone: weights, tokenizer, card, and the code that `trust_remote_code` runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tokenization.errors import MusicGPTError
from tokenization.folders import replacing_folder

AUTO_MAP = {
    "AutoConfig": "configuration_musicgpt.MusicGPTConfig",
    "AutoModel": "modeling_musicgpt.MusicGPTModel",
    "AutoModelForCausalLM": "modeling_musicgpt.MusicGPTForCausalLM",
}
TOKENIZER_MAP = {"AutoTokenizer": ["tokenization_musicgpt.MusicGPTTokenizer", None]}
_SKIPPED = ("*.py", "__pycache__", ".*")


def write_model_folder(out: Path, checkpoint: Path | None = None, overwrite: bool = False) -> Path:
    """Write the folder, whole or not at all; an earlier export is replaced.

    Args:
        out (`Path`): where.
        checkpoint (`Path`, *optional*): a folder that `save_pretrained` wrote; the shipped model when not given.
        overwrite (`bool`): write into a folder that holds other files, too, which stay.

    Returns:
        `out`.

    Raises:
        MusicGPTError: if `checkpoint` is no model.
        FolderError: without `overwrite`, if `out` holds anything but an earlier export.
    """
    from modeling_musicgpt import shipped_checkpoint

    source = checkpoint or shipped_checkpoint()
    if not (source / "config.json").is_file() or not (source / "model.safetensors").is_file():
        raise MusicGPTError(f"No model in {source}: it needs config.json and model.safetensors.")
    with replacing_folder(out, "model", overwrite) as folder:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*_SKIPPED), dirs_exist_ok=True)
        _add_tokenizer(folder)
        _add_code(folder)
        _edit(folder / "config.json", auto_map=AUTO_MAP)
        _edit(folder / "tokenizer_config.json", auto_map=TOKENIZER_MAP, tokenizer_class="MusicGPTTokenizer")
    return out


def _add_tokenizer(folder: Path) -> None:
    if not (folder / "tokenizer_config.json").is_file():
        from tokenization import MusicGPTTokenizer

        MusicGPTTokenizer().save_pretrained(folder)


def _add_code(folder: Path) -> None:
    """The two entry files and everything that they import from their packages, flat as the Hub's loader wants it."""
    from transformers.dynamic_module_utils import get_relative_import_files

    import modeling_musicgpt.modeling_musicgpt as model_file
    from tokenization import tokenization_musicgpt as tokenizer_file

    for module in (model_file, tokenizer_file):
        assert module.__file__ is not None
        for name in (module.__file__, *get_relative_import_files(module.__file__)):
            shutil.copy2(name, folder / Path(name).name)


def _edit(path: Path, **fields: object) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **fields}, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
