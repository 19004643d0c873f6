"""A trained model as the folder that comes with the project: float16 weights, config, sampling defaults,
tokenizer and card.

python -m training.ship RUN [--best loss] [--out modeling_musicgpt/checkpoint] [--temperature 1.0 --top-p 0.95
...]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenization.interruption import errors_in_one_line

from .errors import TrainingError


def ship(run: str | os.PathLike, out: str | os.PathLike, best: str = "loss", **sampling: Any) -> list[Path]:
    """Write the best model of a run to `out`, each file whole or not at all.

    Args:
        run: the run's folder.
        out: the folder to write; files of the same names are replaced.
        best (`str`): `"loss"` or `"combined"`.
        sampling: fields of the generation config that differ from its defaults, such as `temperature=0.9`.

    Returns:
        list of `Path`: the files.

    Raises:
        TrainingError: if the run has no such model, or float16 cannot hold a weight.
    """
    import torch
    from safetensors.torch import save_file

    from modeling_musicgpt.generation_musicgpt import musical_generation_config
    from tokenization import MusicGPTProcessor, MusicGPTTokenizerFast

    from .card import model_card
    from .card_header import SHIPPED_NAME
    from .models import load_model

    source, out = Path(run) / f"best-{best}", Path(out)
    if not (source / "config.json").is_file():
        raise TrainingError(f"{run} has no best-{best}: nothing was validated there yet, or it is no run.")
    model = load_model(str(source))
    # The output is tied to the embedding and not stored twice.
    weights = {k: v.half().contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    if lost := [name for name, weight in weights.items() if not torch.isfinite(weight).all()]:
        raise TrainingError(f"float16 cannot hold {lost[0]} of {source}.")
    model.config.architectures = [type(model).__name__]
    model.config.dtype = torch.float32  # stored as float16, run in float32: exact on every CPU
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        folder = Path(temporary)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        model.config.save_pretrained(folder)
        musical_generation_config(model.config, **sampling).save_pretrained(folder)
        processor = MusicGPTProcessor(MusicGPTTokenizerFast())
        # The shipped folder needs no code of its own beside it, unlike an exported one.
        processor._auto_class = processor.tokenizer._auto_class = None
        processor.save_pretrained(folder)
        (folder / "README.md").write_text(model_card(run, best, SHIPPED_NAME), encoding="utf-8")
        kept = {"config.json", "generation_config.json", "model.safetensors", "README.md"}
        kept |= {"processor_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json"}
        written = []
        # the weights between config and tokenizer: a reader in between fails rather than mixes
        for name in sorted(kept):
            os.replace(folder / name, out / name)
            written.append(out / name)
    return written


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.ship", description="Write a run's best model as the shipped checkpoint."
    )
    parser.add_argument("run", help="folder of the run")
    parser.add_argument(
        "--best", default="loss", choices=("loss", "combined"), help="which best model (default: loss)"
    )
    parser.add_argument(
        "--out", default="modeling_musicgpt/checkpoint", help="folder to write (default: the shipped one)"
    )
    for name, kind in (("temperature", float), ("top-p", float), ("top-k", int), ("min-p", float)):
        parser.add_argument(f"--{name}", type=kind, help="default of generate(), as in its config")
    given = parser.parse_args(argv)
    sampling = {
        name: value
        for name in ("temperature", "top_p", "top_k", "min_p")
        if (value := getattr(given, name)) is not None
    }
    for path in ship(given.run, given.out, given.best, **sampling):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
