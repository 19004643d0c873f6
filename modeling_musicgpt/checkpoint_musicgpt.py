# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Where the trained model is that comes with the package."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "checkpoint"


def shipped_checkpoint() -> Path:
    """The folder of the shipped model: config, generation config, weights, tokenizer, model card.

    Raises:
        FileNotFoundError: if the package was built without it.
    """
    if not (_FOLDER / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"No weights in {_FOLDER}: this copy of modeling_musicgpt comes without a trained model; train"
            " one and give its folder."
        )
    return _FOLDER


__all__ = ["shipped_checkpoint"]
