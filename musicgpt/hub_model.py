"""The model as a folder for the Hub that stands alone: weights, tokenizer, card, and the code that
`trust_remote_code` runs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tokenization.errors import MusicGPTError
from tokenization.folders import replacing_folder

from .hub_code import TABLES, Joined

AUTO_MAP = {
    "AutoConfig": "configuration_musicgpt.MusicGPTConfig",
    "AutoModel": "modeling_musicgpt.MusicGPTModel",
    "AutoModelForCausalLM": "modeling_musicgpt.MusicGPTForCausalLM",
}
# `musicgpt.rules` as it stands there: it has no modules to import by their names.
_CHOSEN = '''"""The rules by name, the most important first."""

from __future__ import annotations

from tokenization.errors import MusicGPTError
{imports}

RULES = {{{rules}}}


def chosen(rules):
    """A list of names, classes and functions as classes and functions; `True`: all."""
    asked = list(RULES) if rules is True else list(rules)
    if unknown := [item for item in asked if isinstance(item, str) and item not in RULES]:
        raise MusicGPTError(f"Unknown rule {{unknown[0]!r}}: the rules are {{', '.join(RULES)}}.")
    return [RULES[item] if isinstance(item, str) else item for item in asked]
'''
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
        _add_composer(folder)
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
    for copied in folder.glob("*.py"):
        copied.unlink()
    entries = [f"tokenization.{name}_musicgpt" for name in ("processing", "tokenization")]
    entries += ["tokenization.tokenization_musicgpt_fast"]
    Joined(entries, ["tokenization"], _tokenizer_file, _ABOUT).write(folder)


def _add_model_code(folder: Path) -> None:
    """The model's file and everything that it imports from its package."""
    entries = ["modeling_musicgpt.modeling_musicgpt"]
    Joined(entries, ["modeling_musicgpt"], model_file, _ABOUT).write(folder)
    config = folder / "config.json"
    data = {**json.loads(config.read_text(encoding="utf-8")), "auto_map": AUTO_MAP}
    config.write_text(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _add_composer(folder: Path) -> None:
    """`custom_generate/`: `generate()` by the composer's rules."""
    from .rules import DEFAULT

    classes = {name: name.title().replace("_", "") for name in DEFAULT}
    chosen = _CHOSEN.format(
        imports="\n".join(f"from musicgpt.rules.{name} import {kind}" for name, kind in classes.items()),
        rules=", ".join(f"{name!r}: {kind}" for name, kind in classes.items()),
    )
    joined = Joined(
        ["musicgpt.generate"],
        ["musicgpt", "tokenization"],
        _composer_file,
        _ABOUT,
        {"musicgpt.rules": chosen},
    )
    joined.write(folder / "custom_generate")


def model_file(module: str) -> str:
    """The file in which a module of the model stands."""
    stem = module.rpartition(".")[2]
    return _MODEL_FILES.get(stem, stem)


def _tokenizer_file(module: str) -> str:
    """The file in which a module of the tokenizers stands."""
    stem = module.rpartition(".")[2]
    if stem in _READING:
        return "reading_musicgpt"
    return stem if stem.startswith(("tokenization", "processing")) else "scores_musicgpt"


def _composer_file(module: str) -> str:
    """The file of `custom_generate` in which a module stands."""
    if module.startswith("musicgpt.rules"):
        return "rules"
    if module.removeprefix("musicgpt.") in _GENERATE:
        return "generate"
    return "tables" if module == TABLES else "music"


_MODEL_FILES = {
    **dict.fromkeys(
        ("stepping_musicgpt", "features_musicgpt", "imitation_musicgpt", "cache_musicgpt"),
        "musical_state_musicgpt",
    ),
    **dict.fromkeys(("repetition_musicgpt", "bar_end_musicgpt"), "grammar_musicgpt"),
    **dict.fromkeys(("engine_musicgpt", "streaming_musicgpt"), "generation_musicgpt"),
}
_GENERATE = ("generate", "beginnings", "sampling", "defaults", "given_ids", "particles", "window")
_READING = ("reading", "midi_reader", "parts", "voices", "key_finding")
_ABOUT = {
    "configuration_musicgpt": "The configuration.",
    "modeling_musicgpt": "The model: its forward pass.",
    "musical_state_musicgpt": "What is derived from tokens, whole sequences and step by step.",
    "grammar_musicgpt": "What `generate()` allows: the grammar, repetition, the end at a bar line.",
    "generation_musicgpt": "`generate()`: its arguments, its streamers, and the engine where it is there.",
    "tokenization_musicgpt": "The tokenizer in plain Python.",
    "tokenization_musicgpt_fast": "The tokenizer of the `tokenizers` library.",
    "processing_musicgpt": "Scores to what the model takes, and what it writes to scores and MIDI.",
    "scores_musicgpt": "Scores, the vocabulary, scores as tokens and back, and the writer of MIDI.",
    "reading_musicgpt": "The reader of MIDI: its notes, their voices, the key.",
    "generate": "`generate()` by the composer's rules: what is asked for and given, and how it is sampled.",
    "rules": "The composer's rules: each says which next tokens it likes and dislikes.",
    "music": "Where pieces stand after each token, and what the rules look up: tokens, n-gram, index.",
}
