"""What the model alone does of what it is asked: whole pieces by plain `generate()`, without the composer's rules.

    python -m benchmarks.alone [--pieces 8] [--first-seed 40000] [--tokens N] [--temperature T] [--model DIR] [--json FILE]

So many pieces for each form and each of two to five voices, MODE, METER and TEMPO drawn at random, by the
checkpoint's own generation config, each with a seed of its own. What is counted stands in `MEASURES`, with its
aim; shares have Wilson's 95 % interval. `benchmarks.conditioning` asks about each value of the prefix, in short
pieces, against pieces that were asked otherwise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tokenization import markdown
from tokenization.codec import decode, prefix_ids
from tokenization.score import PITCH, VOICE, Score
from tokenization.vocabulary import EOS_ID, FORMS, METERS, MODES, OFFSET, TEMPO_CLASSES
from training.validate import write_json

from .conditioning import begins_alone, interval

LOWEST, HIGHEST = 36, 84  # C2 to C6, Bach's keyboard; pieces are looked at in C major or A minor
VOICES = (2, 3, 4, 5)
# Tokens from which on `end_at_bar` may be what ends a piece.
NEAR_THE_BUDGET = 200
MEASURES = {
    "a fugue begins with one voice alone": ".95",
    "a prelude begins with several voices": "",
    "prelude opens in its key": ".80",
    "fugue opens in its key": ".65",
    "exactly two voices of two": "",
    "exactly three voices of three": ".70",
    "exactly four voices of four": ".50",
    "exactly five voices of five": "",
    "no note outside of C2 to C6": "all",
    "ends by itself": "",
    "ends by itself, after a full close": ".50",
    "prelude's struck dissonance": ".135",
    "fugue's struck dissonance": ".125",
}


def asked(pieces: int, seed: int) -> list[dict[str, Any]]:
    """What each piece is asked for."""
    rng = np.random.default_rng(seed)
    drawn = {"mode": MODES, "meter": METERS, "tempo": TEMPO_CLASSES}
    return [
        {"form": form, "voices": voices} | {name: str(rng.choice(values)) for name, values in drawn.items()}
        for form in FORMS
        for voices in VOICES
        for _ in range(pieces)
    ]


def compose(model: Any, wishes: dict[str, Any], seed: int, **sampling: Any) -> tuple[Score, bool]:
    """A piece, and whether it ended before its budget was near."""
    import torch

    torch.manual_seed(seed)
    ids = torch.tensor([prefix_ids(**wishes)])
    meters = list(range(OFFSET["METER"], OFFSET["METER"] + len(METERS)))
    row = model.generate(ids, suppress_tokens=meters, **sampling)[0].tolist()
    budget = ids.shape[1] + int(sampling.get("max_new_tokens") or model.generation_config.max_new_tokens)
    return decode(row).score, row[-1] == EOS_ID and len(row) < budget - NEAR_THE_BUDGET


def measured(wishes: dict[str, Any], score: Score, ended: bool) -> dict[str, float | None]:
    """What of `MEASURES` can be said of a piece; `None` where nothing can."""
    from musical_metrics.counterpoint import final_cadence
    from musical_metrics.keys import opening_in_key
    from musical_metrics.verticals import struck_dissonance

    form, words = wishes["form"], {2: "two", 3: "three", 4: "four", 5: "five"}
    count = words[wishes["voices"]]
    pitches = score.array[:, PITCH]
    return {
        f"a {form} begins with {'one voice alone' if form == 'fugue' else 'several voices'}": float(
            begins_alone(score) == (form == "fugue")
        ),
        f"{form} opens in its key": opening_in_key(score).value,
        f"exactly {count} voices of {count}": float(
            len(np.unique(score.array[:, VOICE])) == wishes["voices"]
        ),
        "no note outside of C2 to C6": float(pitches.min() >= LOWEST and pitches.max() <= HIGHEST),
        "ends by itself": float(ended),
        "ends by itself, after a full close": float(ended and (final_cadence(score).value or 0) == 1),
        f"{form}'s struck dissonance": struck_dissonance(score).value,
    }


def table(found: dict[str, list[float]]) -> str:
    """The measures as a Markdown table."""
    rows = []
    for name, aim in MEASURES.items():
        values = found.get(name, [])
        if len(values) > 1:
            mean, low, high = interval(values, set(values) <= {0.0, 1.0})
            rows.append((name, len(values), f"{mean:.3f}", f"{low:.3f} - {high:.3f}", aim))
    return markdown.table(("what", "n", "mean", "95 % interval", "aim"), rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Compose, measure, print."""
    from tqdm import tqdm

    from musicgpt.loading import load_model

    parser = argparse.ArgumentParser(prog="python -m benchmarks.alone", description=__doc__)
    parser.add_argument("--pieces", type=int, default=8, help="of each form and number of voices (default 8)")
    parser.add_argument("--first-seed", type=int, default=40_000)
    parser.add_argument("--tokens", type=int, help="longest piece, in place of the generation config's")
    parser.add_argument("--temperature", type=float, help="in place of the generation config's")
    parser.add_argument("--top-p", type=float, help="in place of the generation config's")
    parser.add_argument("--model", type=Path, help="a checkpoint; the shipped one if not given")
    parser.add_argument("--json", type=Path, help="write the values of all pieces there, too")
    given = parser.parse_args(argv)
    model, begun = load_model(given.model), time.process_time()
    sampling = {"temperature": given.temperature, "top_p": given.top_p, "max_new_tokens": given.tokens}
    sampling = {name: value for name, value in sampling.items() if value is not None}
    found: dict[str, list[float]] = {}
    for number, wishes in enumerate(tqdm(asked(given.pieces, given.first_seed), disable=None)):
        score, ended = compose(model, wishes, given.first_seed + number, **sampling)
        if len(score):
            for name, value in measured(wishes, score, ended).items():
                found.setdefault(name, []).extend([] if value is None else [float(value)])
    print(f"{table(found)}\n\n{time.process_time() - begun:.0f} s of the processor")
    if given.json:
        write_json(given.json, found)


if __name__ == "__main__":
    main()
