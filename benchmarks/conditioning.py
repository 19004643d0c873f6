"""Is the conditioning obeyed? Pieces for each value of each prefix token, against pieces that were asked
otherwise or nothing.

    python -m benchmarks.conditioning [--pieces 100] [--tokens 320] [--model DIR] [--source ../shared/data/wtc] [--json FILE] [--composer]

As many pieces are composed for each meter, with full prefixes whose other values are drawn at random, each on
its own: a value can only be brought about by its token. What is looked at:

- meter: whether the asked bar length fits better than all that neither divide it nor are divided by it (4/4
  against bars of three eighths, 3/4, 9/8 and 3/2): at its bar lines begin the most and longest notes. Whether
  two bars of 2/4 are one of 4/4 cannot be heard reliably;
- mode: whether the key that `estimate_key` hears is of the asked mode;
- form: whether the first bar with a note has one voice alone, as a fugue begins;
- voices: whether exactly so many voices play;
- tempo: notes a quarter note, mean and 95 % interval.

With `--composer` in place of this: what `musicgpt.Composer` makes of the same wishes, which rules out voices
beyond those asked for and closes pieces with a cadence, and of those that only it knows:

- form and tempo: whether one voice begins alone, and notes a second (the tempo is the piece's own);
- key: whether `estimate_key` hears it; each piece is another one, in the twelve keys of the mode in turn (a piece
  moved to twelve keys is one piece);
- mood: whether the key heard is of the mood's mode, and notes a second.

With `--source` Bach's own pieces of that value are looked at in the same way, as many notes at a time: what
can be expected at best.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np

from space.listening.analysis import wilson
from tokenization import estimate_key, markdown
from tokenization.codec import decode, prefix_ids
from tokenization.score import DURATION, ONSET, VOICE, Score
from tokenization.vocabulary import FORMS, METER_TICKS, METERS, MODES, OFFSET, TEMPO_CLASSES
from training.validate import write_json

BATCH = 50
VALUES = {"meter": METERS, "mode": MODES, "form": FORMS, "voices": (2, 3, 4, 5), "tempo": TEMPO_CLASSES}
BAR_LENGTHS = tuple(sorted(set(METER_TICKS)))
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LONGEST = 96  # ticks up to which a longer note weighs more


def bar_fit(score: Score, bar_ticks: int) -> float:
    """How much begins at the bar lines of a bar length: mean over them of the ticks of the notes that begin
    there.
    """
    weights = np.minimum(score.array[:, DURATION], _LONGEST)
    lines = np.arange(0, int(score.array[-1, ONSET]) + 1, bar_ticks)
    return float(weights[score.array[:, ONSET] % bar_ticks == 0].sum() / len(lines))


def fits_best(score: Score, bar_ticks: int) -> bool:
    """Whether a bar length fits better than all others that are no multiple or part of it."""
    others = [length for length in BAR_LENGTHS if max(length, bar_ticks) % min(length, bar_ticks)]
    return bar_fit(score, bar_ticks) > max(bar_fit(score, length) for length in others)


def begins_alone(score: Score) -> bool:
    """Whether one voice plays alone in the bar of the first note."""
    bar = score.meters[0].bar_ticks
    first = score.array[score.array[:, ONSET] // bar == score.array[0, ONSET] // bar]
    return len(np.unique(first[:, VOICE])) == 1


def density(score: Score) -> float:
    """Notes a quarter note."""
    return len(score) / max(1.0, (int(score.array[-1, ONSET]) - int(score.array[0, ONSET])) / 24)


def notes_a_second(score: Score) -> float:
    """Density at the piece's own tempo."""
    return density(score) * (score.tempo or 0.0) / 60


def obeys(name: str, value: str | int, score: Score) -> float:
    """1 or 0, whether a piece is what it was asked to be; for the tempo its density."""
    if name == "meter":
        return float(fits_best(score, METER_TICKS[METERS.index(str(value))]))
    if name == "mode":
        return float(estimate_key(score)[0].mode == value)
    if name == "form":
        return float(begins_alone(score) == (value == "fugue"))
    if name == "voices":
        return float(len(np.unique(score.array[:, VOICE])) == value)
    return density(score)


def compose(model, prefixes: list[list[int]], tokens: int, seed: int) -> list[Score | None]:
    """Pieces that go on from prefixes of equal length; `None` for one without a note."""
    import torch
    from tqdm import trange

    scores = []
    torch.manual_seed(seed)
    meters = list(range(OFFSET["METER"], OFFSET["METER"] + len(METERS)))
    for start in trange(0, len(prefixes), BATCH, desc="batches", disable=None):
        ids = torch.tensor(prefixes[start : start + BATCH])
        output = model.generate(
            ids,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=0.95,
            max_new_tokens=tokens,
            suppress_tokens=meters,
            min_new_tokens=tokens // 2,
        )
        scores += [decode(row).score for row in output.tolist()]
    return [score if len(score) else None for score in scores]


def drawn(pieces: int, seed: int) -> list[dict]:
    """Full sets of values: `pieces` for each meter, the others drawn evenly and independently."""
    generator = np.random.default_rng(seed)
    others = {name: values for name, values in VALUES.items() if name != "meter"}
    return [
        {
            "meter": meter,
            **{name: values[int(generator.integers(len(values)))] for name, values in others.items()},
        }
        for meter in METERS
        for _ in range(pieces)
    ]


def interval(values: list[float], is_share: bool) -> tuple[float, float, float]:
    """Mean and 95 % interval: Wilson's for shares, normal for the rest."""
    n, mean = len(values), float(np.mean(values))
    if is_share:
        return (mean, *wilson(round(sum(values)), n))
    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def figures(values: list[float], is_share: bool) -> dict[str, float]:
    """`interval` by name, as rows have it."""
    found = (round(x, 3) for x in interval(values, is_share))
    return dict(zip(("mean", "low", "high"), found, strict=True))


def windows(score: Score, notes: int) -> list[Score]:
    """Up to four stretches of so many notes from the beginning on, each from a bar line; only while the first
    meter lasts.
    """
    bar = score.meters[0].bar_ticks
    last = score.meters[1].onset if len(score.meters) > 1 else math.inf
    parts = []
    for start in range(0, 4 * notes, notes):
        part = score.array[start : start + notes].copy()
        if len(part) < notes or part[-1, ONSET] >= last:
            break
        part[:, ONSET] -= part[0, ONSET] // bar * bar
        parts.append(score.replace(notes=part, meters=score.meters[:1]))
    return parts


def of_bach(source: Path, notes: int) -> dict[tuple, list[float]]:
    """What `obeys` says of Bach's own pieces, for each value; of the form only their beginnings."""
    from musical_metrics.corpus import read_corpus

    found: dict[tuple, list[float]] = {}
    for movement in read_corpus(source):
        score = movement.score.quantised()
        voices = score.num_voices
        own = {
            "meter": score.meters[0].name,
            "mode": score.key.mode,
            "form": score.form,
            "voices": voices,
            "tempo": score.tempo_class,
        }
        for place, part in enumerate(windows(score.normalised(), notes)):
            for name, value in own.items():
                if value is not None and (name != "form" or place == 0):
                    found.setdefault((name, value), []).append(obeys(name, value, part))
    return found


def measure(model, pieces: int, tokens: int, seed: int, source: Path | None = None) -> list[dict]:
    """One row a value: the mean with its interval for pieces that were asked for it, for something else, for
    nothing, and for Bach's.
    """
    bach = of_bach(source, tokens // 4) if source else {}
    free = compose(model, [prefix_ids()] * pieces, tokens, seed)
    asked = drawn(pieces, seed)
    scores = compose(model, [prefix_ids(**values) for values in asked], tokens, seed + 1)
    made = list(zip(asked, scores, strict=True))
    rows = []
    for name, value in ((name, value) for name, values in VALUES.items() for value in values):
        those = {
            "asked for": [score for wish, score in made if wish[name] == value],
            "asked otherwise": [score for wish, score in made if wish[name] != value],
            "not asked": free,
        }
        found = {
            who: [obeys(name, value, score) for score in scores if score] for who, scores in those.items()
        }
        row = {
            "asked": name,
            "value": value,
            "pieces": len(found["asked for"]),
            "unit": "notes a quarter" if name == "tempo" else "share",
        }
        for who, values in {**found, "Bach": bach.get((name, value), [])}.items():
            if len(values) > 1:
                row[who] = figures(values, name != "tempo")
        rows.append(row)
    return rows


def by_composer(model, pieces: int, tokens: int, seed: int) -> list[dict]:
    """One row a wish: what of the composer's pieces is so."""
    from tqdm import tqdm

    from musicgpt import MOODS, Composer, Settings

    composer = Composer(model)

    def made(num: int = pieces, first: int = seed, **wishes) -> list[Score]:
        settings = Settings(max_new_tokens=tokens, seed=first, **wishes)
        return [piece.score for piece in composer.compose(settings, num=num)]

    rows: list[dict] = []

    def note(name: str, value: str | int, what: str, values: list[float], is_share: bool = True) -> None:
        unit = "share" if is_share else "mean"
        row = {"asked": name, "value": value, "what": what, "pieces": len(values), "unit": unit}
        rows.append({**row, **figures(values, is_share)})

    for form in tqdm(FORMS, desc="forms", disable=None):
        note(
            "form", form, "one voice begins alone", [float(begins_alone(score)) for score in made(form=form)]
        )
    for tempo in tqdm(TEMPO_CLASSES, desc="tempi", disable=None):
        note("tempo", tempo, "notes a second", list(map(notes_a_second, made(tempo=tempo))), is_share=False)
    for voices in tqdm(VALUES["voices"], desc="voices", disable=None):
        heard = [len(np.unique(score.array[:, VOICE])) for score in made(voices=voices)]
        note("voices", voices, "exactly so many voices", [float(n == voices) for n in heard])
        note("voices", voices, "not more voices", [float(n <= voices) for n in heard])
    for mood in tqdm(MOODS, desc="moods", disable=None):
        scores = made(mood=mood)
        note(
            "mood",
            mood,
            f"heard in {MOODS[mood].mode}",
            [float(estimate_key(score)[0].mode == MOODS[mood].mode) for score in scores],
        )
        note("mood", mood, "notes a second", list(map(notes_a_second, scores)), is_share=False)
    for mode in tqdm(MODES, desc="keys", disable=None):
        scores = [made(1, first=seed + k, key=f"{TONICS[k % 12]} {mode}")[0] for k in range(pieces)]
        note("key", f"{mode}, 12 in turn", "heard in that key", [float(heard_in_its_key(s)) for s in scores])
    return rows


def heard_in_its_key(score: Score) -> bool:
    """Whether tonic and mode that are heard are those of the score's key."""
    found = estimate_key(score)[0]
    return score.key is not None and (found.pitch_class, found.mode) == (
        score.key.pitch_class,
        score.key.mode,
    )


def composer_table(rows: list[dict]) -> str:
    """The rows of `by_composer` as a Markdown table."""
    cells = []
    for row in rows:
        text = "{:.0%} ({:.0%}-{:.0%})" if row["unit"] == "share" else "{:.2f} ({:.2f}-{:.2f})"
        figures = text.format(row["mean"], row["low"], row["high"])
        cells.append([f"{row['asked']} {row['value']}", str(row["pieces"]), row["what"], figures])
    return markdown.table(["asked of the composer", "n", "what", "pieces that are so, or mean"], cells)


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table."""
    whose = ["pieces that are so", "of those asked otherwise", "of those asked nothing", "of Bach's"]
    lines = []
    for row in rows:
        cells = [f"{row['asked']} {row['value']}", str(row["pieces"])]
        for who in ("asked for", "asked otherwise", "not asked", "Bach"):
            if who not in row:
                cells.append("")
                continue
            figures = [row[who][name] for name in ("mean", "low", "high")]
            text = (
                "{:.2f} ({:.2f}-{:.2f}) notes a quarter"
                if row["unit"] != "share"
                else "{:.0%} ({:.0%}-{:.0%})"
            )
            cells.append(text.format(*figures))
        lines.append(cells)
    return markdown.table(["asked", "n", *whose], lines)


def main() -> None:
    """Compose, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pieces", type=int, default=100, help="pieces a meter; of the other values there are more"
    )
    parser.add_argument("--tokens", type=int, default=320, help="new tokens a piece, four a note")
    parser.add_argument("--model", type=Path, help="a checkpoint; the shipped one if not given")
    parser.add_argument(
        "--source", type=Path, help="the folder of the Well-Tempered Clavier's scores, for Bach's own values"
    )
    parser.add_argument(
        "--composer", action="store_true", help="what the composer makes of voices, moods and keys instead"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    arguments = parser.parse_args()

    from musicgpt.loading import load_model

    model = load_model(arguments.model)
    begun = time.perf_counter()
    if arguments.composer:
        rows = by_composer(model, arguments.pieces, arguments.tokens, arguments.seed)
        print(composer_table(rows))
    else:
        rows = measure(model, arguments.pieces, arguments.tokens, arguments.seed, arguments.source)
        print(table(rows))
    print(
        f"\n{arguments.pieces} pieces a {'wish' if arguments.composer else 'meter'}, {arguments.tokens}"
        f" tokens a piece, {time.perf_counter() - begun:.0f} s; in brackets 95 % intervals."
    )
    if arguments.json:
        write_json(arguments.json, rows)


if __name__ == "__main__":
    main()
