"""The model card, written from the run itself: its log, its arguments, its data and its samples.

python -m training.card RUN [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenization.interruption import errors_in_one_line
from tokenization.markdown import table
from tokenization.midi_writer import write_whole

from .arguments import Arguments, DataArguments
from .card_header import SHIPPED_NAME, Lineage, header, lineage_of
from .crops import TERMS
from .errors import TrainingError
from .run_log import DATA, MADE, read_log
from .units import BITS
from .validate import write_json

# Of the arguments, what a reader of the card wants to know.
_TOLD = {
    "data": ("form", "extra", "times", "length", "packing", "condition_dropout"),
    "model": ("model", "init_from", "teachers", "dropout"),
    "fit": (
        "epochs",
        "max_steps",
        "batch_size",
        "optimizer",
        "learning_rate",
        "matrix_learning_rate",
        "weight_decay",
        "embedding_weight_decay",
        "schedule",
        "warmup_ratio",
        "grad_clip",
        "ema_decay",
        "label_smoothing",
        "teacher_share",
    ),
    "augmentation": ("stages",),
    "run": ("seed", "mixed_precision"),
}
# Folders of one machine: of a model made in steps, the steps say what these do.
_FOLDERS = ("init_from", "teachers")


def describe_data(data: DataArguments) -> dict[str, Any]:
    """Name, pieces, notes and credits of the data that the arguments name."""
    from dataset_builder.identity import identity_of

    from .sources import described, read_rows, source_folder, wanted, with_wtc

    folder = source_folder(data)
    rows = described(read_rows(folder))
    wtc = with_wtc(rows)
    splits: dict[str, Any] = {}
    credits: Counter[Any] = Counter()
    everything = []
    for name, part in rows.items():
        kept = [row for row in part if wanted(row, data, wtc)]
        everything += [(str(row["id"]), row.get("source") or "") for row in kept]
        splits[name] = {
            "pieces": len(kept),
            "notes": sum(row["num_notes"] for row in kept),
            "tokens": sum(row["num_tokens"] for row in kept),
        }
        if name == "train":
            credits.update(
                (row.get("source") or "", row.get("encoder") or "", row.get("licence") or "") for row in kept
            )
    listed = [
        {"source": s, "encoder": e, "licence": licence, "pieces": n}
        for (s, e, licence), n in sorted(credits.items())
    ]
    reports = _read_json(folder / "report.json") or {}
    config, about = next(iter(reports.items()), ("default", {"source": folder.name}))
    held_out = [row for name in ("validation", "test") for row in rows.get(name, [])]
    return {
        **identity_of(everything, about["source"])._asdict(),
        "config": config,
        "splits": splits,
        "credits": listed,
        "by_key_number": (
            bool(held_out)
            and all(row.get("work") == "WTC" and row.get("source") != "music21" for row in held_out)
        ),
    }


def describe_run(arguments: Arguments) -> dict[str, Any]:
    """The description of a run's data, and where its weights began."""
    base = lineage_of(arguments.model.init_from)
    return {**describe_data(arguments.data), "base": base.base, "base_licence": base.licence}


def model_card(run: str | os.PathLike, best: str = "loss", name: str | None = None) -> str:
    """The card of a run's best model, as Markdown.

    Args:
        run: the run's folder.
        best (`str`): `"loss"` or `"combined"`: which of the best models.
        name (`str`, *optional*): what the model is called; the run's folder when not given.

    Raises:
        TrainingError: if there is no run, or its description of the data is of an earlier version.
    """
    run = Path(run)
    entries = read_log(run)
    arguments = json.loads((run / "training_arguments.json").read_text(encoding="utf-8"))
    data = _read_json(run / DATA)
    if data is not None and "title" not in data:
        raise TrainingError(
            f"{run / DATA} is of an earlier version: delete it, and it is written anew from the data set that"
            " the run names."
        )
    figures = _read_json(run / f"best-{best}" / "figures.json") or {}
    made = _read_json(run / MADE)
    name = name or run.resolve().name
    lineage = (
        Lineage(data["base"], data["base_licence"]) if data else lineage_of(arguments["model"]["init_from"])
    )
    of_bach = bool(data and data["of_bach"])
    parts = [
        header(name, data, figures, lineage),
        f"# {name}\n\n{introduction(arguments['model']['model'], data, lineage)}",
        USE if arguments["model"]["model"] == "musicgpt" else "",
        _data_section(data),
        _recipe_section(arguments, entries, figures, made, (made or data or {}).get("fingerprints", {})),
        _results_section(figures, entries, best),
        _musical_section(figures),
        _memory_section(run, figures) if of_bach or lineage.base == SHIPPED_NAME else "",
        _LIMITS_OF_BACH if of_bach else _LIMITS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _read_json(path: Path) -> Any:
    """What stands in a file; `None` where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def introduction(model: str, data: dict[str, Any] | None, lineage: Lineage) -> str:
    """What the model is, what it was made from, and on what terms."""
    what = (
        "A GPT-2 over the 150 tokens of MusicGPT, trained as a baseline"
        if model == "gpt2"
        else "A MusicGPT model: composes keyboard music"
    )
    of_wtc = data is not None and data["of_wtc"]
    manner = " in the manner of the Well-Tempered Clavier" if of_wtc and model == "musicgpt" else ""
    made = f", trained on {data['title']}" if data and not of_wtc else ""
    text = (
        f"{what}{manner}{made}, as structured tokens (four a note: NOTE, VOICE, DUR, TIME). This card was"
        " written by the training run; every figure in it comes from the run's own log."
    )
    if lineage.base:
        text += f"\n\nIt began with the weights of `{lineage.base}`"
        licence = {"cc-by-sa-4.0": "CC BY-SA 4.0"}.get(lineage.licence or "", lineage.licence)
        terms = f", which are under {licence}: so is this model" if licence else ""
        text += (
            f"{terms}, with thanks to those who encoded its scores: {_encoders()}."
            if lineage.base == SHIPPED_NAME
            else f"{terms}."
        )
    return text


def _encoders() -> str:
    from dataset_builder.credits import CREDITS

    return ", ".join(
        dict.fromkeys(
            credit.encoder for name, credit in CREDITS.items() if name not in ("music21", "open_music_score")
        )
    )


USE = """## How to use

With transformers alone, from the Hub or from a folder that `musicgpt export model` wrote:

```python
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

name = "USER/NAME"
processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(name, trust_remote_code=True)
ids = torch.tensor([processor.tokenizer.prefix(mode="minor", form="fugue", meter="4/4", voices=3)])
output = model.generate(ids, seed=7)  # by the composer's rules, to its end; rules=False: the model alone
# Bars 3 and 4 (ticks, 24 a quarter) of the middle voice composed anew: all other notes stay (docs/given.md).
revised = model.generate(given_ids=output[0], free=[(192, 384, [1])], particles=8, seed=5)
with open("fugue.mid", "wb") as file:
    file.write(processor.decode_midi(output[0], key="d minor"))
```

With the project installed, which is faster and writes MIDI, MusicXML and pictures:

```python
from musicgpt import Composer, Settings

composer = Composer.from_pretrained("PATH_OR_NAME")
[piece] = composer.compose(Settings(key="d minor", form="fugue", seed=7))
piece.write("out")
```"""
_LIMITS = """## Limits

* It knows its scores on a grid of 24 ticks a quarter: no dynamics, ornaments, tempo changes or pedal.
* Where the files had tracks or layers in place of parts, the voices are inferred; what it does with VOICE there is an imitation of that inference.
* Pieces of this length keep texture and key; large forms are not assured."""
_LIMITS_OF_BACH = """## Limits

* It knows the notation of Bach's keyboard music on a grid of 24 ticks a quarter: no dynamics, ornaments, tempo changes or pedal.
* The voices of preludes are inferred, not written by Bach; what it does with VOICE there is an imitation of that inference.
* Pieces of this length keep texture and key; large forms (a subject that returns where it should, a planned tonal journey) are not assured.
* It was trained on one composer. Do not present its output as Bach's."""


def _data_section(data: dict[str, Any] | None) -> str:
    from dataset_builder.credits import CREDITS

    if data is None:
        return ""
    rows = [
        (name, f"{n['pieces']:,}", f"{n['notes']:,}", f"{n['tokens']:,}")
        for name, n in data["splits"].items()
    ]
    text = "## Data\n\n" + table(("split", "pieces", "notes", "tokens"), rows)
    if data["by_key_number"]:
        text += "\n\nSplits are made of whole key numbers (both books of the Well-Tempered Clavier). The"
    else:
        text += "\n\nThe"
    text += " validation split only chose among recipes and epochs" + (
        ", the test split was not seen." if data["by_key_number"] else "."
    )
    credits = [
        (c["source"] or "given by the user", c["encoder"], c["licence"], str(c["pieces"]))
        for c in data["credits"]
    ]
    text += "\n\nWhere the notes of the train split come from:\n\n" + table(
        ("source", "encoder", "licence", "pieces"), credits
    )
    known = [name for name in dict.fromkeys(c["source"] for c in data["credits"]) if name in CREDITS]
    lines = [
        f"* `{name}`: {CREDITS[name].repository} at {CREDITS[name].commit[:12]}. {CREDITS[name].licence}."
        f" {CREDITS[name].remark}."
        for name in known
    ]
    return text + ("\n\n" + "\n".join(lines) if lines else "")


def _recipe_section(
    arguments: dict[str, Any],
    entries: list[dict[str, Any]],
    figures: dict[str, Any],
    made: dict[str, Any] | None,
    fingerprints: dict[str, str],
) -> str:
    rows = [
        (name, json.dumps(arguments[group][name]))
        for group, names in _TOLD.items()
        for name in names
        if arguments[group].get(name) not in (None, [], {}) and not (made and name in _FOLDERS)
    ]
    steps = max((entry["step"] for entry in entries), default=0)
    made_of = ", ".join(f"{what} `{digest}`" for what, digest in fingerprints.items())
    if made:
        saved = "\n".join(
            [
                "Made by `python -m training.reproduce`, in these steps:\n",
                *(f"* `{name}`: {told}" for name, told in made["steps"].items()),
                "\nArguments of the last training:",
            ]
        )
    else:
        saved = (
            f"The run took {steps:,} steps; this model is that of step {figures.get('step', steps):,} (epoch"
            f" {figures.get('epoch', '?')})."
        )
    end = f"\n\nSHA-256 of what it was made of: {made_of}." if made_of else ""
    return "## Recipe\n\n" + saved + "\n\n" + table(("argument", "value"), rows) + end


def _results_section(figures: dict[str, Any], entries: list[dict[str, Any]], best: str) -> str:
    if "nats_per_note" not in figures:
        return ""
    nats = figures["nats_per_note"]
    rows = [
        ("all tokens", f"{nats:.4f}", f"{nats * BITS:.4f}", *(f"{figures[term]:.4f}" for term in TERMS)),
        (
            "legal tokens only",
            f"{figures['masked_nats_per_note']:.4f}",
            f"{figures['masked_nats_per_note'] * BITS:.4f}",
            *("" for _ in TERMS),
        ),
    ]
    unigram = figures.get("unigram_nats_per_note")
    text = (
        "## Validation loss\n\nBest epoch by"
        f" {'validation loss' if best == 'loss' else 'the combined score'}. Nats a note: the sum over a"
        " note's four tokens; prefix, "
    )
    text += "first TIME, METER and special tokens count in neither sum nor count.\n\n" + table(
        ("", "nats a note", "bits a note", *TERMS), rows
    )
    if unigram:
        text += f"\n\nCounting tokens by type (unigram) costs {unigram:.3f} nats a note on the same pieces."
    return text + f" Evaluations in this run: {sum(entry['kind'] == 'eval' for entry in entries)}."


def _musical_section(figures: dict[str, Any]) -> str:
    if "metrics" not in figures:
        return ""
    from musical_metrics.reference import bands

    reference = bands()
    rows = []
    for name, value in figures["metrics"].items():
        if name in reference:
            band = reference[name]
            rows.append(
                (
                    name,
                    f"{value:.3f}",
                    f"{band.median:.3f}",
                    f"{band.low:.3f} to {band.high:.3f}",
                    str(band.n),
                )
            )
    text = (
        f"## Music\n\nMusical score {figures['musical_score']:.1f} of 100 (mean of the pieces that the run"
        " composed with fixed seeds at this epoch; see `musical_metrics`). "
    )
    text += "Medians of the single metrics beside held-out Bach:\n\n"
    return text + table(("metric", "this model", "Bach, median", "Bach, 5 % to 95 %", "movements"), rows)


def _memory_section(run: Path, figures: dict[str, Any]) -> str:
    """The longest passage that each sample of this epoch shares with the WTC's train split."""
    folder = run / "samples" / f"epoch-{figures.get('epoch', -1):04d}"
    if not folder.is_dir():
        return ""
    from musical_metrics.originality import nearest_passage
    from tokenization import read_score

    rows = [(path.stem, str(nearest_passage(read_score(path)))) for path in sorted(folder.glob("*.mid"))]
    head = (
        "## Memory\n\nThe longest run of one voice that each sample shares with the train split of the WTC,"
        " at any pitch and speed:\n\n"
    )
    return head + table(("sample", "longest shared run"), rows)


def write_cards(run: str | os.PathLike) -> list[Path]:
    """Put the card as `README.md` beside each best model of a run."""
    run = Path(run)
    _complete_data(run)
    written = []
    for best in ("loss", "combined"):
        folder = run / f"best-{best}"
        if folder.is_dir():
            write_whole(folder / "README.md", model_card(run, best).encode())
            written.append(folder / "README.md")
    return written


def _complete_data(run: Path) -> None:
    """Write the description of the data where a run has none but names its built data set."""
    arguments = json.loads((run / "training_arguments.json").read_text(encoding="utf-8"))
    if not (run / DATA).is_file() and arguments["data"]["data"] and Path(arguments["data"]["data"]).is_dir():
        described = describe_run(
            Arguments.from_dict({"data": arguments["data"], "model": arguments["model"]})
        )
        write_json(run / DATA, described)


def push(run: Path, repo: str, private: bool) -> str:
    """Upload the best model (by combined score where there is one, else by loss) as a folder that stands
    alone; returns its address.

    Raises:
        TrainingError: if there is no best model, or the Hub refuses.
    """
    import tempfile

    from tokenization.errors import MusicGPTError
    from tokenization.hub import upload_folder

    source = next(
        (run / f"best-{name}" for name in ("combined", "loss") if (run / f"best-{name}").is_dir()), None
    )
    if source is None:
        raise TrainingError(f"--push: {run} has no best model yet, because nothing was validated.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = source
        if json.loads((source / "config.json").read_text(encoding="utf-8")).get("model_type") == "musicgpt":
            from musicgpt.hub_model import write_model_folder

            folder = write_model_folder(Path(temporary) / "model", source)
        try:
            return upload_folder(folder, repo, private=private, message="Model trained by MusicGPT")
        except MusicGPTError as error:
            raise TrainingError(f"--push: {error}") from error


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.card", description="Print the model card of a run, or write it."
    )
    parser.add_argument("run", help="folder of the run")
    parser.add_argument(
        "--best", default="loss", choices=("loss", "combined"), help="which best model (default: loss)"
    )
    parser.add_argument("--out", help="file to write")
    given = parser.parse_args(argv)
    _complete_data(Path(given.run))
    text = model_card(given.run, given.best)
    if given.out:
        Path(given.out).write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
