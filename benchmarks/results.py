"""All results of a checkpoint: measures them, keeps them as `docs/results.json`, and writes `docs/results.md`,
its picture and a part of the card from that.

    python -m benchmarks.results --sets SETS [--model DIR] [--pieces 8] [--source ../shared/data] [--parts losses,pieces,composer,syntax,samples]

Each part is measured anew when it is named, else taken from the file; `--parts ""` only writes the page
again. SETS is the folder in which the pieces are kept, that of `benchmarks.measures`: what is there is not
composed again. Training runs that are compared are read from `docs/runs.jsonl` (`python -m benchmarks.results --keep-run
RUN NAME` puts the validations of a run there).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from musical_metrics.compare import compare
from tokenization.markdown import between
from tokenization.midi_writer import write_whole
from tokenization.vocabulary import FORMS

from .null_models import compose_set
from .result_pieces import alike, judge
from .result_plots import draw_told
from .result_text import card_section, page
from .runs import keep_run, kept_runs

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MARKS = ("<!-- results -->", "<!-- end of results -->")  # in the card of the shipped weights
SAMPLES = ((10, 1000), (5, 2000), (5, 3000))  # the original's: how many of how many tokens


def measure_pieces(model: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Every metric of the pieces beside Bach's, by form; how well each family tells them from Bach; what holds for
    all of them together; `alone`: of as many without the composer's rules.
    """
    from musical_metrics.corpus import read_corpus

    movements, name = read_corpus(given.source / "wtc"), Path(given.model).name if given.model else "shipped"
    given.sets.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"alone": {}}
    made = {}
    for form in FORMS:
        made[form], alone = (
            compose_set(model, not end, movements, form, given.pieces, given.sets, name + end)
            for end in ("", "_alone")
        )
        apart = asdict(compare(made[form]))
        found[form] = {
            **judge(made[form], form),
            "exact_run": exact_runs(made[form], movements, form),
            "apart": {kind: apart[kind] for kind in ("families", "floor", "control")},
        }
        found["alone"][form] = judge(alone, form)
    found["count"] = len(made["fugue"])
    found["alike"] = alike([score for scores in made.values() for score in scores])
    return found


def exact_runs(
    scores: Sequence[Any], movements: Sequence[Any], form: str, length: int = 256
) -> dict[str, dict[str, float]]:
    """Longest runs shared with the train split, every window of every voice looked up; of the first notes of
    the pieces and of Bach's movements without their key number.
    """
    from musical_metrics.originality import shared_run
    from tokenization.analysis.view import View

    train = [(View(movement.score), movement.number) for movement in movements if movement.split == "train"]

    def longest(score: Any, without: int | None = None) -> int:
        opening = View(score.replace(notes=score.array[:length]))
        return max(len(shared_run(opening, view)[0]) for view, number in train if number != without)

    own = [longest(score) for score in scores]
    bach = [longest(m.score, without=m.number) for m in movements if m.score.form == form]
    return {
        name: {
            "median": float(np.median(values)),
            "p95": float(np.quantile(values, 0.95)),
            "max": max(values),
        }
        for name, values in (("ours", own), ("bach", bach))
    }


def measure_syntax(model: Any, given: argparse.Namespace) -> dict[str, Any]:
    """Errors in 40 pieces of 600 tokens, with the grammar and without."""
    import torch

    from tokenization import prefix_ids
    from tokenization.codec import token_errors

    prefixes = [
        prefix_ids(mode=mode, form=form, meter="4/4", voices=3, tempo="moderate")
        for form in FORMS
        for mode in ("major", "minor")
    ]
    found = {}
    for grammar in (True, False):
        torch.manual_seed(0)
        ids = torch.tensor(prefixes * 10)
        rows = model.generate(ids, max_new_tokens=600, constrain_grammar=grammar, end_at_bar=grammar)
        errors = [token_errors(row) for row in rows.tolist()]
        sums = {name: int(sum(e[name] for e in errors)) for name in ("type", "time", "duplicate", "tokens")}
        found["with" if grammar else "without"] = {
            **sums,
            "pieces": len(errors),
            "faulty": sum(e["share"] > 0 for e in errors),
        }
    return found


def measure_losses(model: Any, given: argparse.Namespace) -> list[dict[str, Any]]:
    """The checkpoint and the counting models on the validation split."""
    from training.arguments import DataArguments
    from training.baselines import ALL_TRANSPOSITIONS, ngram_reports, unigram_report
    from training.evaluation import evaluate_report
    from training.sources import load_pieces

    rows = []
    for extra in ([], ["core"]):
        pieces = load_pieces(DataArguments(scores=str(given.source), extra=extra), ("train", "validation"))
        if not extra:
            rows.append(unigram_report(pieces["train"], pieces["validation"]))
            rows.append(
                evaluate_report(
                    model, pieces["validation"], {"model": "MusicGPT, the checkpoint"}, progress=True
                )
            )
        best = min(
            ngram_reports(pieces["train"], pieces["validation"], 8, ALL_TRANSPOSITIONS),
            key=lambda one: one.masked.nats_per_note,
        )
        best.about["model"] += ", with inventions, sinfonias and Art of Fugue" if extra else ""
        rows.append(best)
    return [report.to_dict() for report in rows]


def measure_composer(model: Any, given: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of `benchmarks.conditioning --composer`."""
    from .conditioning import by_composer

    return by_composer(model, given.pieces, 800, 0)


def sample_settings() -> list[Any]:
    """Of the twenty samples, with seeds 0 to 19 in this order: forms in turn, keys, meters and numbers of voices by
    lists of other lengths, so that each meets each.
    """
    from musicgpt import Settings

    keys = ("C major", "D minor", "G major", "F minor", "Bb major", "C# minor", "E major")
    meters = ("4/4", "4/4", "3/4", "6/8", "2/2", "12/8", "3/8", "9/8", "3/2")
    voices = {"prelude": (2, 3, 2, 4, 3), "fugue": (3, 4, 3, 2, 5)}
    lengths = [tokens for count, tokens in SAMPLES for _ in range(count)]
    return [
        Settings(
            key=keys[seed % len(keys)],
            meter=meters[seed % len(meters)],
            form=form,
            voices=voices[form][seed // 2 % 5],
            max_new_tokens=tokens,
            seed=seed,
        )
        for seed, tokens in enumerate(lengths)
        for form in [FORMS[seed % 2]]
    ]


def measure_samples(model: Any, given: argparse.Namespace) -> list[dict[str, Any]]:
    """The original's twenty samples, written to `docs/samples/` in place of those before."""
    from musical_metrics.counterpoint import final_cadence
    from musicgpt import Composer
    from tokenization import decode, encode

    composer, rows = Composer(model), []
    for file in DOCS.glob("samples/*_max-*_seed-*.*"):
        file.unlink()
    for settings in sample_settings():
        [piece] = composer.compose(settings)
        if decode(encode(piece.score)).score != piece.score.quantised():
            raise SystemExit(f"Sample {settings.seed} does not survive encoding; this is a bug.")
        rows.append(
            {
                "seed": settings.seed,
                "title": piece.score.title,
                "meter": settings.meter,
                "tokens": settings.max_new_tokens,
                "used": len(encode(piece.score)),
                "bars": piece.score.num_bars,
                "closes": final_cadence(piece.score).value == 1.0,
                "stem": piece.write(DOCS / "samples")[0].stem,
            }
        )
    return rows


PARTS: dict[str, Callable[[Any, argparse.Namespace], Any]] = {
    "losses": measure_losses,
    "pieces": measure_pieces,
    "composer": measure_composer,
    "syntax": measure_syntax,
    "samples": measure_samples,
}


def update_card(card: Path, section: str) -> None:
    """Put a section between the marks of a card, in place of what stands there."""
    write_whole(card, between(card.read_text(encoding="utf-8"), MARKS, section).encode())


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is asked for, keep it, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a checkpoint; the shipped one if not given")
    parser.add_argument(
        "--pieces", type=int, default=8, help="pieces of each form, with rules and without, and of each wish"
    )
    parser.add_argument(
        "--source", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of the scores"
    )
    parser.add_argument("--sets", type=Path, help="folder for the pieces, outside of the repository")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure")
    parser.add_argument(
        "--keep-run",
        nargs=2,
        metavar=("RUN", "NAME"),
        help="only copy a run's validations to docs/runs.jsonl",
    )
    parser.add_argument(
        "--keep-folds",
        nargs=2,
        metavar=("JSON", "COMMAND"),
        help="only keep what `python -m training.folds --json` wrote, and how",
    )
    given = parser.parse_args(argv)
    file = DOCS / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if given.keep_folds:
        found = json.loads(Path(given.keep_folds[0]).read_text(encoding="utf-8"))
        results["folds"] = {**found, "command": given.keep_folds[1]}
        write_whole(file, (json.dumps(results, indent=1) + "\n").encode())
        return
    if given.keep_run:
        print(keep_run(Path(given.keep_run[0]), given.keep_run[1])["name"])
        return
    parts = [part for part in given.parts.split(",") if part]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if "pieces" in parts and not given.sets:
        parser.error("--sets says where the pieces are kept; give the folder of benchmarks.measures.")
    if parts:
        from musicgpt.loading import load_model

        model = load_model(given.model)
    for part in parts:
        begun = time.process_time()
        results[part] = PARTS[part](model, given)
        seconds = time.process_time() - begun
        results.setdefault("measured", {})[part] = time.strftime("%Y-%m-%d")
        results.setdefault("seconds", {})[part] = round(seconds)
        print(f"{part}: {seconds:.0f} s of the processor", flush=True)
        write_whole(file, (json.dumps(results, indent=1) + "\n").encode())
    write_whole(DOCS / "results.md", page(results, kept_runs()).encode())
    if "pieces" in results:
        apart = {form: results["pieces"][form]["apart"] for form in FORMS}
        draw_told(apart, DOCS / "images" / "results_told.png")
    if "pieces" in parts and not given.model:  # else they are of other weights
        update_card(ROOT / "modeling_musicgpt" / "checkpoint" / "README.md", card_section(results["pieces"]))
    print(DOCS / "results.md")


if __name__ == "__main__":
    main()
