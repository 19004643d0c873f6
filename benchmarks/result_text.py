"""The text of `docs/results.md`, from what `benchmarks.results` measured and from the logs of training
runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .conditioning import composer_table
from .conditioning import table as conditioning_table

COMMAND = "python -m benchmarks.results"
SEED_METRICS = (
    ("out_of_key_ratio", "out-of-key ratio"),
    ("interval_entropy", "interval entropy (bits)"),
    ("rhythmic_variety", "rhythmic variety (bits)"),
    ("phrase_length_mean", "average phrase length (quarters)"),
    ("large_leap_ratio_7", "large-leap ratio (beyond a fifth)"),
    ("parallel_fifths", "parallel fifths (per 1,000 chances)"),
)
TERMS = ("NOTE", "VOICE", "DUR", "TIME")


def measured_section(results: Mapping[str, Any]) -> str:
    """When each part was measured; those without a day are of the first release."""
    days = results.get("measured", {})
    told = [f"{part} on {day}" for part, day in days.items() if part in results]
    older = [part for part in results if part not in (*days, "measured")]
    text = f"Measured: {', '.join(told)}." if told else ""
    if older:
        text += (
            f" **Of the weights and rules of 0.1.0, and not measured anew yet: {', '.join(older)}.** What stands"
            " there is no longer what is shipped."
        )
    return text.strip()


def page(results: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """The page, of the parts that are there."""
    parts = [
        "# Results",
        (
            f"All of this page is written by `{COMMAND}` (what it measures is kept in `docs/results.json`)"
            " from the shipped checkpoint and the code as they stand. The test split was not used for"
            " anything here; validation is key numbers 11 and 14, eight movements, and it chose among"
            " epochs."
        ),
        measured_section(results),
    ]
    if "losses" in results:
        parts += loss_section(results["losses"], runs)
    if "pieces" in results:
        pieces = results["pieces"]
        parts += (
            original_section(pieces)
            + six_section(pieces)
            + told_section(pieces)
            + copy_section(pieces)
            + metric_section(pieces)
        )
    if "syntax" in results:
        parts += syntax_section(results["syntax"])
    if "conditioning" in results:
        parts += [
            "## Is it obeyed what is asked for",
            (
                "`python -m benchmarks.conditioning`, in brackets 95 %"
                f" intervals:\n\n{conditioning_table(results['conditioning'])}"
            ),
        ]
    if "composer" in results:
        parts += [
            f"`python -m benchmarks.conditioning --composer --pieces {results['composer'][0]['pieces']}"
            " --tokens 800`, what the composer makes of the same"
            f" wishes:\n\n{composer_table(results['composer'])}"
        ]
    if "sweep" in results:
        parts += sweep_section(results["sweep"])
    if runs:
        parts += ablation_section(runs)
    if "samples" in results:
        parts += sample_section(results["samples"])
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


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
                f"{best['nats_per_note'] / 0.693147:.3f}",
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


def original_section(pieces: Mapping[str, Any]) -> list[str]:
    """The original's table beside ours."""
    rows = [["musical score, the original's own", "59.55", "60.12", "0.99"]]
    for form in ("prelude", "fugue"):
        own = pieces[form]
        rows.append(
            [
                f"musical score, {form}s",
                f"{own['score']['ours']:.1f}",
                f"{own['score']['bach']:.1f}",
                f"{own['score']['ours'] / own['score']['bach']:.2f}",
            ]
        )
        for name, title in SEED_METRICS[:3]:
            ours, bach = own["metrics"][name]["ours"]["median"], own["metrics"][name]["bach"]["median"]
            rows.append(
                [f"{title}, {form}s", f"{ours:.3f}", f"{bach:.3f}", f"{ours / bach:.2f}" if bach else ""]
            )
    text = (
        f"{pieces['count']} preludes and {pieces['count']} fugues, asked for what Bach's movements are (key,"
        " meter, voices, tempo) and with seeds 0, 1, 2, ... None is left out. They are the `Composer`'s,"
        " whose rules decide when a fugue's subject is over and who states it where, make parallels,"
        " crossings and leaps less likely, give an n-gram of Bach's steps a say, break long quotations off,"
        " let voices that were asked for enter, and close every piece with a cadence (`musicgpt/rules/fugue.py`,"
        " `counterpoint.py`, `idiom.py`, `quotation.py`, `entries.py`, `close.py`); the notes are the"
        f" model's. Medians; Bach is held out. Of both the first {pieces['prelude']['bach_length']} notes of"
        f" preludes and {pieces['fugue']['bach_length']} of fugues are looked at, for the score and the"
        " cadence the whole pieces. The original's score and ours are different measures: five of its six"
        " metrics cannot tell Bach from a Markov chain (`docs/metrics.md`), ours tells them apart and leaves"
        " more room to fail."
    )
    return ["## The original's table", text, table(["what", "generated", "Bach", "ratio"], rows)]


def six_section(pieces: Mapping[str, Any]) -> list[str]:
    """Whether the medians of the six basic metrics lie inside Bach's quartiles."""
    rows, inside = [], 0
    for name, title in SEED_METRICS:
        for form in ("prelude", "fugue"):
            own = pieces[form]["metrics"][name]
            is_in = own["bach"]["q1"] <= own["ours"]["median"] <= own["bach"]["q3"]
            inside += is_in
            rows.append(
                [
                    title,
                    form,
                    f"{own['ours']['median']:.3f}",
                    f"{own['bach']['median']:.3f}",
                    f"{own['bach']['q1']:.3f} - {own['bach']['q3']:.3f}",
                    "yes" if is_in else "**no**",
                ]
            )
    return [
        "## The six basic metrics",
        f"{inside} of 12 medians lie inside the interquartile range of held-out Bach.",
        table(["metric", "form", "generated", "Bach", "quartiles of Bach", "inside"], rows),
    ]


def told_section(pieces: Mapping[str, Any]) -> list[str]:
    """The classifier's AUC, and by which metrics it tells."""
    rows = []
    for form in ("prelude", "fugue"):
        own = pieces[form]
        told = sorted(own["metrics"].items(), key=lambda item: -abs(item[1]["auc"] - 0.5))[:5]
        words = ", ".join(f"{name} {value['auc']:.2f}" for name, value in told)
        tests = (own[name] for name in ("two_sample_auc", "auc_without_pitch_nll", "whole_auc"))
        figures = [f"{one['mean']:.3f} ({one['low']:.3f} - {one['high']:.3f})" for one in tests]
        rows.append([form, str(own["pieces"]), str(own["bach_movements"]), *figures, words])
    text = (
        "AUC of a cross-validated logistic regression on all scored metrics"
        " (`musical_metrics.compare.two_sample_auc`; mean and range over five ways of dealing the folds): 0.5"
        " would mean that it cannot tell our pieces from Bach's, 1 that it always can. Of both the"
        " beginnings, of as many notes; the same without `pitch_nll`, because the n-gram of that metric has a"
        " say in our pieces, too (`musicgpt/rules/idiom.py`); and our whole pieces, whose ends are theirs, against"
        " Bach's beginnings of about their length. Beside it the metrics that alone tell them best (AUC of"
        " ours above Bach's)."
    )
    found = [
        "## Can a classifier tell",
        text,
        table(
            [
                "form",
                "ours",
                "Bach's",
                "AUC",
                "AUC without pitch_nll",
                "AUC of whole pieces",
                "single metrics",
            ],
            rows,
        ),
    ]
    return found + (alone_text(pieces) if "alone" in pieces else [])


def alone_text(pieces: Mapping[str, Any]) -> list[str]:
    """What the composer's rules bring: the same figures without them."""
    rows = []
    for form in ("prelude", "fugue"):
        ruled, alone = pieces[form], pieces["alone"][form]
        rows.append(
            [
                f"musical score, {form}s",
                f"{alone['score']['ours']:.1f}",
                f"{ruled['score']['ours']:.1f}",
                f"{ruled['score']['bach']:.1f}",
            ]
        )
        rows.append(
            [
                f"AUC of the classifier, {form}s",
                f"{alone['two_sample_auc']['mean']:.3f}",
                f"{ruled['two_sample_auc']['mean']:.3f}",
                "0.5",
            ]
        )
        for name in (
            "parallel_fifths",
            "parallel_octaves",
            "voice_crossing",
            "subject_entries",
            "subject_recurrence",
        ):
            if name in ruled["metrics"] and name in alone["metrics"]:
                values = [
                    f"{value['mean']:.3f}"
                    for value in (
                        alone["metrics"][name]["ours"],
                        ruled["metrics"][name]["ours"],
                        ruled["metrics"][name]["bach"],
                    )
                ]
                rows.append([f"{name}, {form}s, mean", *values])
    count = pieces["alone"]["fugue"]["pieces"]
    text = (
        f"What the composer's rules bring: {count} pieces of each form by `Composer(model,"
        ' rules=["close", "length"])`, the model alone until the cadence, beside those with them.'
    )
    return [text, table(["what", "model alone", "with rules", "Bach"], rows)]


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
        rows.append(
            [
                "musical score",
                form,
                f"{ruled['score']['ours']:.1f}",
                f"{alone['score']['ours']:.1f}",
                f"{ruled['score']['bach']:.1f}",
                "",
            ]
        )
        for name, title in SEED_METRICS:
            own, bach = ruled["metrics"][name], ruled["metrics"][name]["bach"]
            medians = [
                f"{value:.3f}"
                for value in (own["ours"]["median"], alone["metrics"][name]["ours"]["median"], bach["median"])
            ]
            rows.append([title, form, *medians, f"{bach['q1']:.3f} - {bach['q3']:.3f}"])
        rows.append(
            [
                "AUC of a classifier",
                form,
                f"{ruled['two_sample_auc']['mean']:.3f}",
                f"{alone['two_sample_auc']['mean']:.3f}",
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


def metric_section(pieces: Mapping[str, Any]) -> list[str]:
    """All metrics."""
    found = ["## All metrics"]
    for form in ("prelude", "fugue"):
        rows = []
        for name, own in pieces[form]["metrics"].items():
            bach = own["bach"]
            rows.append(
                [
                    f"`{name}`",
                    f"{own['ours']['median']:.3f}",
                    f"{bach['median']:.3f}",
                    f"{bach['q1']:.3f} - {bach['q3']:.3f}",
                    f"{own['auc']:.2f}",
                ]
            )
        found += [
            (
                f"{form.capitalize()}s ({pieces[form]['notes']} notes in the median, of which the first"
                f" {pieces[form]['bach_length']} are looked at, as of Bach's):"
            ),
            table(["metric", "generated", "Bach", "quartiles of Bach", "AUC"], rows),
        ]
    return found


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


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table; of a pair of figures the first is of the preludes, the second of the
    fugues.
    """
    lines = []
    for row in rows:
        pairs = [
            (row["prelude"][name], row["fugue"][name])
            for name in (
                "score",
                "auc",
                "out_of_key_ratio",
                "rhythmic_variety",
                "final_cadence",
                "longest_run",
            )
        ]
        cells = [f"{a:.{d}f} / {b:.{d}f}" for (a, b), d in zip(pairs, (1, 2, 3, 2, 2, 1), strict=True)]
        cells.insert(1, f"{row['prelude']['inside']} + {row['fugue']['inside']} of 12")
        cells.append(f"{row['fugue']['subject_entries']:.2f}")
        lines.append([", ".join(f"{k} {v}" for k, v in row["sampling"].items()), *cells])
    head = [
        "sampling",
        "musical score",
        "medians inside",
        "AUC",
        "out of key",
        "rhythmic variety",
        "full close",
        "longest run",
        "entries with the subject",
    ]
    return table(head, lines)


def sweep_section(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The sampling defaults and what else was tried."""
    note = (
        f"`python -m benchmarks.sampling_sweep --pieces {rows[0]['pieces']}`, {rows[0]['pieces']} preludes /"
        f" {rows[0]['pieces']} fugues for each setting, other seeds than above; means but for the score's"
        " median."
    )
    return ["## Sampling", note, sweep_table(rows)]


def ablation_section(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Runs whose names begin with `ablation-`, against the first of their group (`ablation-GROUP-0-...`)."""
    names = {
        run["name"].removeprefix("ablation-"): best_of(run)
        for run in runs
        if run["name"].startswith("ablation-")
    }
    if not names:
        return []
    base: dict[str, float] = {}
    rows = []
    for name, best in sorted(names.items()):
        group = name.split("-")[0]
        reference = base.setdefault(group, best["nats_per_note"])
        terms = [f"{best[term]:.3f}" for term in TERMS]
        rows.append(
            [name, f"{best['nats_per_note']:.3f}", f"{best['nats_per_note'] - reference:+.3f}", *terms]
        )
    text = (
        "Short runs that differ from the first one of their group in one thing; see `docs/LOG.md` for how"
        " they were made. They were made before the defaults changed: their base has the index of the bar and"
        " no embedded prefix (`bar_encoding: both, prefix_encoding: false`). In `staff-voices` the voices of"
        " preludes are their staves, for validation too: there NOTE, DUR and TIME compare, VOICE and the sum"
        " do not. One seed an arm; another seed moved the base of `scratch` by 0.06 and that of `branch` by"
        " 0.003."
    )
    return ["## Ablations", text, table(["run", "nats a note", "difference", *TERMS], rows)]


def sample_section(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """The twenty samples."""
    rows = []
    for one in samples:
        links = ", ".join(f"[{kind}](samples/{one['stem']}.{kind})" for kind in ("mid", "musicxml", "png"))
        rows.append(
            [
                str(one["seed"]),
                str(one["tokens"]),
                str(one["notes"]),
                "" if one["score"] is None else f"{one['score']:.1f}",
                links,
            ]
        )
    return [
        "## Samples",
        "In the order of their seeds, none picked by hand.",
        table(["seed", "tokens at most", "notes", "musical score", "files"], rows),
    ]
