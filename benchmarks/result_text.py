"""The text of `docs/results.md`, from what `benchmarks.results` measured and from the logs of training
runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenization.markdown import table
from training.crops import TERMS
from training.units import BITS

from .conditioning import composer_table

COMMAND = "python -m benchmarks.results"
SEED_METRICS = (
    ("out_of_key_ratio", "out-of-key ratio"),
    ("interval_entropy", "interval entropy (bits)"),
    ("rhythmic_variety", "rhythmic variety (bits)"),
    ("phrase_length_mean", "average phrase length (quarters)"),
    ("large_leap_ratio_7", "large-leap ratio (beyond a fifth)"),
    ("parallel_fifths", "parallel fifths (per 1,000 chances)"),
)


def measured_section(results: Mapping[str, Any]) -> str:
    """When each part was measured, and how long that took."""
    parts = [
        f"{part} on {day}, {results['seconds'][part]} s"
        if part in results.get("seconds", {})
        else f"{part} on {day}"
        for part, day in results.get("measured", {}).items()
        if part in results
    ]
    return (
        f"Measured: {'; '.join(parts)} (seconds of one core; a piece that has to be composed takes five more)."
        if parts
        else ""
    )


def page(results: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """The page, of the parts that are there."""
    parts = [
        "# Results",
        (
            f"All of this page is written by `{COMMAND} --sets SETS` (what it measures is kept in"
            " `docs/results.json`) from the shipped checkpoint and the code as they stand; SETS keeps the pieces"
            " that [metrics](metrics.md) measures, too. The test split was not used for anything here; validation"
            " is key numbers 11 and 14, eight movements, and it chose among epochs."
        ),
        measured_section(results),
    ]
    if "losses" in results:
        parts += loss_section(results["losses"], runs)
    if "folds" in results:
        parts += folds_section(results["folds"])
    if "pieces" in results:
        parts += pieces_section(results["pieces"]) + told_section(results["pieces"])
        parts += copy_section(results["pieces"])
    if "composer" in results:
        parts += [
            "## Is it obeyed what is asked for",
            f"`python -m benchmarks.conditioning --composer --pieces {results['composer'][0]['pieces']}"
            " --tokens 800`, in brackets 95 %"
            f" intervals:\n\n{composer_table(results['composer'])}",
        ]
    if "syntax" in results:
        parts += syntax_section(results["syntax"])
    if "samples" in results:
        parts += sample_section(results["samples"])
    return "\n\n".join(part for part in parts if part) + "\n"


def best_of(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """The validation of a run with the lowest loss."""
    return min(run["evaluations"], key=lambda line: line["nats_per_note"])


def loss_section(losses: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Nats a note: the checkpoint, counting models, and other networks by their own logs."""
    rows = []
    for one in losses:
        own = one["unmasked"]
        low, high = own["interval"]
        terms = [f"{own['terms'][name]:.3f}" for name in TERMS]
        rows.append(
            [
                one["about"]["model"],
                f"**{own['nats_per_note']:.3f}**",
                f"{low:.2f} - {high:.2f}",
                f"{own['bits_per_note']:.3f}",
                f"{one['masked']['nats_per_note']:.3f}",
                *terms,
            ]
        )
    for run in runs:
        if run["name"].startswith("ablation-"):
            continue
        best = best_of(run)
        terms = [f"{best[name]:.3f}" for name in TERMS]
        planned = run["arguments"]["fit"]["epochs"]
        name = f"{run['name']}, best of {len(run['evaluations'])} epochs" + (
            f" (stopped, {planned} were planned)" if len(run["evaluations"]) < planned else ""
        )
        rows.append(
            [
                name,
                f"{best['nats_per_note']:.3f}",
                "",
                f"{best['nats_per_note'] * BITS:.3f}",
                f"{best['masked_nats_per_note']:.3f}",
                *terms,
            ]
        )
    head = ["model", "nats a note", "95 % over key numbers", "bits a note", "masked by the grammar", *TERMS]
    own = next((one for one in losses if "checkpoint" in one["about"]["model"]), None)
    found = ["## Loss on validation", table(head, rows)]
    if own:
        pieces = [
            [
                p["name"],
                p["unit"],
                str(p["notes"]),
                f"{p['nats_per_note']:.3f}",
                f"{p['masked_nats_per_note']:.3f}",
            ]
            for p in own["pieces"]
        ]
        found += [
            f"By piece (mean of the pieces {own['unmasked']['piece_mean']:.3f}, median"
            f" {own['unmasked']['piece_median']:.3f}):"
        ]
        found += [table(["piece", "key number", "notes", "nats a note", "masked"], pieces)]
    return found + [
        "A note is its NOTE, VOICE, DUR and TIME tokens. Orders of the n-gram from 2 to 8 were tried, the"
        " best is shown. Runs are read from `docs/runs.jsonl`."
    ]


def folds_section(folds: Mapping[str, Any]) -> list[str]:
    """A recipe's loss on every key number, each held out once."""
    own = folds["unmasked"]
    low, high = own["interval"]
    movements = [piece["nats_per_note"] for piece in folds["pieces"]]
    return [
        "## Over cross-validated key numbers",
        f"A cheaper recipe (`{folds['command']}`), trained once a fold and measured on what the fold left out,"
        f" over {folds['about']['pieces']} movements and {folds['about']['notes']:,} notes of"
        f" {folds['about']['units']} key numbers: **{own['nats_per_note']:.3f}** nats a note, 95 % over key"
        f" numbers {low:.3f} to {high:.3f}, masked {folds['masked']['nats_per_note']:.3f}; movements from"
        f" {min(movements):.2f} to {max(movements):.2f}. So far apart are losses of one recipe on other"
        " movements: two key numbers say little of it.",
    ]


def medians(pieces: Mapping[str, Any], form: str) -> list[list[Any]]:
    """Of the musical score and the original's six metrics: its title, the medians of the model alone, with rules and of
    Bach, Bach's quartiles, and whether the one with rules lies inside them.
    """
    ruled, alone = pieces[form], pieces["alone"][form]
    scores = (alone["score"]["ours"], ruled["score"]["ours"], ruled["score"]["bach"])
    rows = [["musical score", *(f"{value:.1f}" for value in scores), "", False]]
    for name, title in SEED_METRICS:
        own, bach = ruled["metrics"][name]["ours"]["median"], ruled["metrics"][name]["bach"]
        figures = (alone["metrics"][name]["ours"]["median"], own, bach["median"])
        quartiles = f"{bach['q1']:.3f} - {bach['q3']:.3f}"
        rows.append([title, *(f"{v:.3f}" for v in figures), quartiles, bach["q1"] <= own <= bach["q3"]])
    return rows


def pieces_section(pieces: Mapping[str, Any]) -> list[str]:
    """What the pieces are, their musical score, and the original's six metrics."""
    rows, inside = [], 0
    for form in ("prelude", "fugue"):
        (_, *scores, _), *metrics = medians(pieces, form)
        rows.append(["**musical score**", form, *scores, ""])
        for title, *figures, is_in in metrics:
            rows.append([title, form, *figures, "yes" if is_in else "**no**"])
            inside += is_in
    notes = " and ".join(f"{pieces[form]['bach_length']} of {form}s" for form in ("prelude", "fugue"))
    text = (
        f"{pieces['count']} preludes and {pieces['count']} fugues by the `Composer` with its rules, and"
        f" {pieces['alone']['fugue']['pieces']} of each by the model alone (`rules=False`), asked for what Bach's movements are (key, meter, voices, tempo),"
        f" seeds in order, none left out. Medians; Bach is held out. Of both the first {notes} are looked at;"
        " the musical score looks at whole pieces. Who else scores what, and every metric: [metrics](metrics.md)."
        f" The original's six metrics are reported and choose nothing; {inside} of 12 medians lie inside Bach's"
        " quartiles. The original's own score, 59.55 for its music and 60.12 for Bach, is on another scale."
    )
    head = ["what", "form", "model alone", "with rules", "Bach", "quartiles of Bach", "inside"]
    return ["## Pieces beside Bach", text, table(head, rows)]


def told_section(pieces: Mapping[str, Any]) -> list[str]:
    """The classifier's AUC by family, with floor and control."""
    shown = {form: pieces[form]["apart"] for form in ("prelude", "fugue")}
    rows = []
    for family in shown["fugue"]["families"]:
        cells = []
        for apart in shown.values():
            for kind in ("families", "floor", "control"):
                one = apart[kind].get(family)
                cells.append(f"{one['auc']:.2f} ({one['low']:.2f} - {one['high']:.2f})" if one else "-")
        rows.append([family, *cells])
    text = (
        "AUC of a cross-validated logistic regression (`musical_metrics.compare`), by family and by all scored"
        " metrics, with 95 % intervals over pieces (of Bach's over key numbers): 0.5 means that it cannot tell our"
        " pieces with rules from Bach's, 1 that it always can. Floor: two halves of Bach against each other; less"
        " than 0.5 is chance."
        " Control: first-order chains of our pieces against Bach."
    )
    head = ["family", *(f"{form}s{kind}" for form in shown for kind in ("", ", floor", ", control"))]
    picture = "![AUC of each family: our pieces, two halves of Bach, and chains, against Bach](images/results_told.png)"
    return ["## Can a classifier tell", text, picture, table(head, rows)]


def copy_section(pieces: Mapping[str, Any]) -> list[str]:
    """Memorisation, and what ends in a cadence."""
    rows = []
    for form in ("prelude", "fugue"):
        own = pieces[form]["metrics"]
        run, like, end = own["longest_run"], own["passage_similarity"], own["final_cadence"]
        rows.append(
            [
                f"longest run shared with the train split, {form}s",
                (
                    f"median {run['ours']['median']:.0f}, 95 % {run['ours']['p95']:.1f}, most in a whole"
                    f" piece {pieces[form]['longest_run_whole']} notes"
                ),
                f"median {run['bach']['median']:.0f}, 95 % {run['bach']['p95']:.1f} notes",
            ]
        )
        if exact := pieces[form].get("exact_run"):
            cells = [
                f"median {one['median']:.0f}, 95 % {one['p95']:.1f}, most {one['max']}"
                for one in (exact["ours"], exact["bach"])
            ]
            rows.append([f"the same by every window, the scores at hand, {form}s", *cells])
        rows.append(
            [
                f"likeness to passages of the train split, {form}s",
                f"median {like['ours']['median']:.3f}",
                f"median {like['bach']['median']:.3f}",
            ]
        )
        rows.append(
            [
                f"full close at the end (0 to 1), {form}s",
                f"mean {end['ours']['mean']:.2f}",
                f"mean {end['bach']['mean']:.2f}",
            ]
        )
    text = f"Of the {2 * pieces['count']} pieces {pieces['alike']} have the same notes as another one."
    return ["## Copying, and endings", text, table(["what", "generated", "held-out Bach"], rows)]


def card_section(pieces: Mapping[str, Any]) -> str:
    """What the card of the shipped weights says of pieces: beside Bach's bands, and how much of the train
    split is in them.
    """
    rows = []
    for form in ("prelude", "fugue"):
        ruled, alone = pieces[form], pieces["alone"][form]
        for title, without, own, bach, quartiles, _ in medians(pieces, form):
            rows.append([title, form, own, without, bach, quartiles])
        rows.append(
            [
                "AUC of a classifier",
                form,
                f"{ruled['told_apart']['auc']:.2f}",
                f"{alone['told_apart']['auc']:.2f}",
                "0.5",
                "",
            ]
        )
    text = (
        f"`{COMMAND}`, {pieces['count']} preludes and {pieces['count']} fugues by `musicgpt.Composer` with"
        f" its rules and {alone['pieces']} of each by the model alone; medians, of Bach those of movements"
        " held out. The classifier looks at all scored metrics (`docs/results.md`)."
    )
    head = ["what", "form", "with rules", "model alone", "Bach", "quartiles of Bach"]
    memory = "Passages are looked up at any pitch and speed by hashes of one window of nine notes in five."
    return "\n\n".join(
        [
            "## Pieces beside Bach",
            text,
            table(head, rows),
            "## Memorisation",
            memory,
            *copy_section(pieces)[1:],
        ]
    )


def syntax_section(syntax: Mapping[str, Any]) -> list[str]:
    """Errors with and without the grammar."""
    rows = [
        [
            f"{which} the grammar",
            str(own["pieces"]),
            str(own["faulty"]),
            *(str(own[name]) for name in ("type", "time", "duplicate", "tokens")),
        ]
        for which, own in syntax.items()
    ]
    return [
        "## Syntax errors",
        "Forty pieces of at most 600 tokens, sampled with the defaults of `generate()`.",
        table(["`generate()`", "pieces", "with an error", "type", "time", "duplicate", "tokens"], rows),
    ]


def sample_section(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """The twenty samples."""
    rows = [
        [
            str(one["seed"]),
            one["title"],
            one["meter"],
            str(one["bars"]),
            f"{one['used']} of {one['tokens']}",
            "yes" if one["closes"] else "no",
            ", ".join(f"[{kind}](samples/{one['stem']}.{kind})" for kind in ("mid", "musicxml", "png")),
        ]
        for one in samples
    ]
    return [
        "## Samples",
        "In the order of their seeds, none picked by hand. A piece ends with a cadence where it closes from the"
        " dominant on the tonic (`final_cadence`).",
        table(["seed", "piece", "meter", "bars", "tokens", "ends with a cadence", "files"], rows),
    ]
