"""Write `docs/metrics.md`: every metric for held-out Bach, shuffled Bach, first-order Markov and an untrained
model.

    python -m musical_metrics.report [--source DIR] [--untrained N] [--model DIR --pieces N]

Everything held out: a movement, and the fakes made of it, are measured with an n-gram and an index that have
not seen the movement's key number (prelude and fugue, both books), and scored against bands of the other key
numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenization.midi_writer import write_whole
from tokenization.score import Score

from . import fakes
from .build_reference import HeldOut, build_table, openings
from .catalogue import METRICS
from .compare import auc, feature_rows, row_measures, two_sample_auc
from .corpus import Movement, read_corpus
from .originality import HOP, WINDOW, originality_report
from .reference import WHOLE, Table
from .reference import table as shipped_table
from .report_text import MetricRow, Page, ScoreRow, render
from .score import combine, judge_all

BACH, SHUFFLED, MARKOV, UNTRAINED, MODEL = "bach", "shuffled", "markov", "untrained", "model"
FAKES: dict[str, Callable[[Score, int], Score]] = {SHUFFLED: fakes.shuffled, MARKOV: fakes.markov}
OPENING = "256"


@dataclass
class Sets:
    """Rows of metrics, one for each movement that is long enough, for Bach and the fakes made of him.

    Attributes:
        movements (list of `Movement`), table (`Table`): Bach's values, held out.
        length (`str`): `"whole"` or a number of notes.
        rows (dict of arrays `(movements, metrics)`): by set.
    """

    movements: list[Movement]
    table: Table
    length: str
    rows: dict[str, np.ndarray]


def measure_sets(
    movements: Sequence[Movement], length: str, held_out: HeldOut | None = None, table: Table | None = None
) -> Sets:
    """Measure Bach, shuffled and Markov versions at one length; fake `i` has seed `i`.

    Args:
        movements (sequence of `Movement`): the corpus.
        length (`str`): `"whole"` or a number of notes.
        held_out (`HeldOut`, *optional*): of those movements; made when not given.
        table (`Table`, *optional*): Bach's values; the shipped ones (which a test holds equal to those of the
        corpus) when not given.
    """
    from tqdm import tqdm

    held_out = held_out or HeldOut(movements)
    table = table or shipped_table()
    if list(table.ids) != [m.id for m in movements]:
        table = build_table(movements, held_out)
    rows = {BACH: table.rows(length), **{name: np.full(table.values[length].shape, np.nan) for name in FAKES}}
    for i, movement in enumerate(tqdm(movements, desc=f"fakes, {length}", unit="movement")):
        score = openings(movement.score).get(length)
        if score is not None:
            for name, fake in FAKES.items():
                rows[name][i] = held_out.values(fake(score, i), movement.number)
    rows = {name: without_end(found) if length != WHOLE else found for name, found in rows.items()}
    keep = [length == WHOLE or len(m.score) >= int(length) for m in movements]
    return Sets(
        [m for m, k in zip(movements, keep, strict=True) if k],
        table,
        length,
        {n: r[keep] for n, r in rows.items()},
    )


def without_end(rows: np.ndarray) -> np.ndarray:
    """The rows without the metrics that look at the end of a piece: an opening, Bach's or a fake's, has
    none to compare.
    """
    return np.where([metric.whole for metric in METRICS], np.nan, rows)


def held_out_scores(sets: Sets, rows: np.ndarray, by_form: bool = True) -> np.ndarray:
    """Musical scores of rows that belong to the movements, each against the bands of other key numbers;
    NaN for none.
    """
    found = np.full(len(rows), np.nan)
    for i, (movement, row) in enumerate(zip(sets.movements, rows, strict=True)):
        form = movement.score.form if by_form else None
        bands = sets.table.bands(form, sets.length, without=[movement.number])
        value = combine(judge_all(row_measures(row), bands)).value
        found[i] = np.nan if value is None else value
    return found


def pair_aucs(scores: Mapping[str, np.ndarray]) -> dict[str, float]:
    """AUC of Bach's scores above each other set's."""
    return {name: auc(scores[BACH], values).value or 0.0 for name, values in scores.items() if name != BACH}


def untrained_pieces(count: int, tokens: int, seed: int = 0) -> list[Score]:
    """Pieces by the model with random weights, masked by the grammar, sampled without cuts; in the keys C
    major and A minor by turns.
    """
    import torch

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM
    from tokenization import decode, prefix_ids

    torch.manual_seed(seed)
    model = MusicGPTForCausalLM(MusicGPTConfig()).eval()
    # The prefixes are equally long, so both modes go through the model together.
    prefixes = [prefix_ids(mode=mode, form="fugue", meter="4/4", voices=3) for mode in ("major", "minor")]
    ids = torch.tensor([prefixes[i % 2] for i in range(count)])  # (pieces, prefix)
    with torch.no_grad():
        # Random weights end a piece after a few notes; `min_new_tokens` keeps <eos> away so that there is
        # something to measure.
        made = model.generate(
            ids,
            do_sample=True,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            constrain_grammar=True,
        )
    return [decode(row.tolist(), strict=False).score for row in made]


def model_pieces(model: str | None, count: int, tokens: int, form: str, seed: int = 0) -> list[Score]:
    """Pieces by a trained model (`None`: the shipped one) at the default sampling, in four keys by turns."""
    from musicgpt import Composer, Settings

    composer = Composer.from_pretrained(model)
    keys = ("C major", "D minor", "Eb major", "B minor")
    scores: list[Score] = []
    for i, key in enumerate(keys):
        settings = Settings(key=key, form=form, max_new_tokens=tokens, seed=seed + 1000 * i)
        scores += [made.score for made in composer.compose(settings, num=count // len(keys))]
    return scores


def _interval(values: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the median."""
    rng = np.random.default_rng(0)
    values = values[~np.isnan(values)]
    if len(values) < 3:
        return float("nan"), float("nan")
    medians = np.median(values[rng.integers(0, len(values), (draws, len(values)))], axis=1)
    return float(np.quantile(medians, 0.025)), float(np.quantile(medians, 0.975))


def metric_rows(sets: Mapping[str, np.ndarray]) -> list[MetricRow]:
    """One row for each metric: Bach's median with the interval and the band, the medians of the others,
    AUCs, n.
    """
    found = []
    for i, metric in enumerate(METRICS):
        bach = sets[BACH][:, i]
        known = bach[~np.isnan(bach)]
        if not len(known):
            continue
        medians = {
            name: float(np.nanmedian(r[:, i])) if (~np.isnan(r[:, i])).any() else None
            for name, r in sets.items()
        }
        counts = {name: int((~np.isnan(r[:, i])).sum()) for name, r in sets.items()}
        aucs = {name: auc(bach, r[:, i]).value for name, r in sets.items() if name != BACH}
        band = (float(np.quantile(known, 0.05)), float(np.quantile(known, 0.95)))
        found.append(MetricRow(metric, medians, _interval(bach), band, counts, aucs))
    return found


def score_rows(sets: Sets, extra: Mapping[str, Sequence[Score]]) -> list[ScoreRow]:
    """The musical score of every set, for preludes, fugues and both, and how well it and the two-sample
    test tell them from Bach.
    """
    forms = np.array([m.score.form for m in sets.movements])
    numbers = np.array([m.number for m in sets.movements])
    scores = {name: held_out_scores(sets, rows) for name, rows in sets.rows.items()}
    found = []
    for form in ("prelude", "fugue", None):
        keep = forms == form if form else np.ones(len(forms), dtype=bool)
        bach_rows, bach = sets.rows[BACH][keep], scores[BACH][keep]
        for name, rows in sets.rows.items():
            test = (
                two_sample_auc(bach_rows, rows[keep], numbers[keep], numbers[keep]).value
                if name != BACH
                else None
            )
            value = auc(bach, scores[name][keep]).value if name != BACH else None
            found.append(ScoreRow(form, name, scores[name][keep], value, test))
        for name, pieces in extra.items():
            if not pieces or form != pieces[0].form:
                continue
            rows = without_end(feature_rows(pieces))
            bands = sets.table.bands(form, sets.length)
            values = np.array(
                [
                    np.nan if (v := combine(judge_all(row_measures(r), bands)).value) is None else v
                    for r in rows
                ]
            )
            test = two_sample_auc(bach_rows, rows, numbers[keep]).value
            found.append(ScoreRow(form, name, values, auc(bach, values).value, test))
    return found


def exact_originality(movements: Sequence[Movement], windows: int = 50, seed: int = 0) -> np.ndarray:
    """Highest cardinality scores against the train split of some windows of the validation movements,
    drawn at random.
    """
    from tqdm import tqdm

    corpus = [m.score.replace(title=m.id) for m in movements if m.split == "train"]
    held = [m.score for m in movements if m.split == "validation"]
    rng = np.random.default_rng(seed)
    places = [(i, start) for i, score in enumerate(held) for start in range(0, score.end - WINDOW, HOP)]
    drawn = rng.choice(len(places), min(windows, len(places)), replace=False)
    found = []
    for i, start in tqdm([places[k] for k in drawn], desc="originality report", unit="window"):
        cut = held[i].between(start, start + WINDOW)
        cut = cut.replace(notes=cut.array - [start, 0, 0, 0], meters=None)
        found += [window.share for window in originality_report(cut, corpus)[:1]]
    return np.array(found)


def make_page(source: Path, untrained: int, model: str | None, pieces: int) -> Page:
    """Measure everything that the page shows."""
    movements = read_corpus(source)
    held_out = HeldOut(movements)
    whole = measure_sets(movements, WHOLE, held_out)
    opening = measure_sets(movements, OPENING, held_out)
    extra: dict[str, list[Score]] = {}
    if untrained:
        extra[UNTRAINED] = untrained_pieces(untrained, 5 * int(OPENING))  # long steps take several tokens
    if pieces:
        extra[MODEL] = model_pieces(model, pieces, 4 * int(OPENING), "fugue")
    fugues = np.array([m.score.form == "fugue" for m in opening.movements])
    opening_sets = {name: rows[fugues] for name, rows in opening.rows.items()}
    opening_sets.update({name: without_end(feature_rows(scores)) for name, scores in extra.items()})
    forms = np.array([m.score.form for m in whole.movements])
    by_form = {
        form: {name: rows[forms == form] for name, rows in whole.rows.items()}
        for form in ("fugue", "prelude")
    }
    return Page(
        whole={form: metric_rows(sets) for form, sets in by_form.items()},
        opening=metric_rows(opening_sets),
        scores={
            "whole movements": score_rows(whole, {}),
            f"first {OPENING} notes": score_rows(opening, extra),
        },
        originality=exact_originality(movements),
        movements=len(movements),
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data/wtc"), help="folder with catalogue.csv and notes/"
    )
    parser.add_argument(
        "--untrained", type=int, default=16, help="pieces by a model with random weights; 0 leaves them out"
    )
    parser.add_argument("--model", help="folder of a trained model; default the shipped one")
    parser.add_argument(
        "--pieces", type=int, default=0, help="pieces by the trained model; 0 leaves them out"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/metrics.md"), help="the page")
    parser.add_argument(
        "--card",
        type=Path,
        default=Path(__file__).with_name("README.md"),
        help="the card whose table of Bach's values is renewed",
    )
    arguments = parser.parse_args()
    page = make_page(arguments.source, arguments.untrained, arguments.model, arguments.pieces)
    text, card = render(page, arguments.card.read_text(encoding="utf-8"))
    write_whole(arguments.out, text.encode())
    write_whole(arguments.card, card.encode())


if __name__ == "__main__":
    main()
