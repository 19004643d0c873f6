"""The model as a folder for the Hub that stands alone: weights, tokenizer, card, and the code that
`trust_remote_code` runs.
"""

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
_SKIPPED = ("*.py", "__pycache__", ".*")


def write_model_folder(out: Path, checkpoint: Path | None = None, overwrite: bool = False) -> Path:
    """Write the folder, whole or not at all; an earlier export is replaced.

    Args:
        out (`Path`): where.
        checkpoint (`Path`, *optional*): a folder that `save_pretrained` wrote; the shipped model when not
            given.
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
        _add_processor(folder)
        _add_model_code(folder)
    return out


def _add_processor(folder: Path) -> None:
    """Processor and both tokenizers, with their code: `tokenizer.json` beside `vocab.json`, and the fast one
    the first in `auto_map`.
    """
    from tokenization import MusicGPTProcessor, MusicGPTTokenizerFast

    has_tokenizer = (folder / "tokenizer_config.json").is_file()
    tokenizer = MusicGPTTokenizerFast.from_pretrained(folder) if has_tokenizer else MusicGPTTokenizerFast()
    for leftover in ("is_local", "local_files_only"):  # how it was loaded, which transformers would save
        tokenizer.init_kwargs.pop(leftover, None)
    MusicGPTProcessor(tokenizer).save_pretrained(folder)


def _add_model_code(folder: Path) -> None:
    """The model's file and everything that it imports from its package, flat as the Hub's loader wants it."""
    from transformers.dynamic_module_utils import get_relative_import_files

    import modeling_musicgpt.modeling_musicgpt as model_file

    assert model_file.__file__ is not None
    for name in (model_file.__file__, *get_relative_import_files(model_file.__file__)):
        shutil.copy2(name, folder / Path(name).name)
    config = folder / "config.json"
    data = {**json.loads(config.read_text(encoding="utf-8")), "auto_map": AUTO_MAP}
    config.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
