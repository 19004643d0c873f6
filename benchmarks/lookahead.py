"""Whether a particle can be told early: how far what is known before the end of a gap says how likely the notes
behind it become.

    python -m benchmarks.lookahead [--gaps 4] [--source ../shared/data/wtc]

Two bars of validation fugues, all voices, are composed anew sixteen times. A potential that looks ahead
(twisted sequential Monte Carlo: Whiteley and Lee, Twisted particle filters, Annals of Statistics 42, 2014)
helps as far as it agrees with the weight that comes later.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from .given import movements

BEAT, LINES = 24, 16  # ticks; how often each gap is filled


def lookahead(composer: Any, given: argparse.Namespace) -> None:
    """Over lines that fill the same two bars, correlations with the log-probability of the notes behind
    them: of the log-probability that the model gives to the first beat of these when the line is cut off and
    goes right there, by ticks before the end; and of how near, in semitones, each voice is to its next note.
    """
    from musicgpt import Given, Settings
    from musicgpt.around import around_given
    from tokenization.vocabulary import EOS_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

    scores = [s for s in movements(given.source, "validation") if s.form == "fugue" and len(s.meters) == 1]
    for seed, score in enumerate([s for s in scores if s.num_voices in (3, 4)][: given.gaps]):
        stays, settings = Given.around(score, (6, 7)), Settings(seed=10 * seed, particles=1)
        task = around_given(settings, stays, composer.context)
        lines = []
        for piece in composer.compose(settings, num=LINES, given=stays):
            ids = np.array([token for token in piece.ids if token != EOS_ID])
            ticks = np.cumsum(np.where(TYPE_OF_ID[ids] == TYPE_INDEX["TIME"], VALUE_OF_ID[ids], 0))
            behind = np.flatnonzero(
                (TYPE_OF_ID[ids] == TYPE_INDEX["NOTE"]) & (ticks >= stays.end - task.shift)
            )[0]
            lines.append((ids, ticks, int(behind), int(np.searchsorted(ticks, ticks[behind] + BEAT))))
        real = likelihoods(composer, [(ids, behind) for ids, _, behind, _ in lines])
        found = {"nearness": correlation(real, np.array([_nearness(*line) for line in lines]))}
        for back in (BEAT // 2, BEAT, 2 * BEAT):
            cut = [_gone_there(*line, back, len(task.ids)) for line in lines]
            found[f"{back} ticks before"] = correlation(real, likelihoods(composer, cut))
        print(f"{score.num_voices} voices: deviation {real.std():.1f} nats; correlations", found, flush=True)


def likelihoods(composer: Any, rows: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Log-probability, by the model alone, of the tokens of each row from a place on."""
    import torch

    longest = max(len(ids) for ids, _ in rows)
    whole = torch.tensor(np.array([np.pad(ids, (0, longest - len(ids))) for ids, _ in rows]))
    with torch.no_grad():
        logits = composer.model(whole).logits.log_softmax(-1)
    said = logits[:, :-1].gather(2, whole[:, 1:, None])[..., 0].numpy()
    return np.array([said[i, start - 1 : len(ids) - 1].sum() for i, (ids, start) in enumerate(rows)])


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; 0 where one does not vary."""
    return round(float(np.corrcoef(a, b)[0, 1]), 2) if a.std() > 0 and b.std() > 0 else 0.0


def _gone_there(
    ids: np.ndarray, ticks: np.ndarray, behind: int, beat: int, back: int, prompt: int
) -> tuple[np.ndarray, int]:
    """The line up to so many ticks before the notes behind the gap, then their first beat; and where it is."""
    from tokenization.vocabulary import MAX_STEP, OFFSET, STEP_SPELLING, TYPE_INDEX, TYPE_OF_ID

    notes = np.flatnonzero((TYPE_OF_ID[ids] == TYPE_INDEX["DUR"]) & (ticks < ticks[behind] - back))
    cut = max(prompt, int(notes.max(initial=0)) + 1)
    step = STEP_SPELLING[min(int(ticks[behind] - ticks[cut - 1]), MAX_STEP)]
    made = np.concatenate([ids[:cut], OFFSET["TIME"] + np.array(step), ids[behind:beat]])
    return made, cut + len(step)


def _nearness(ids: np.ndarray, ticks: np.ndarray, behind: int, beat: int) -> float:
    """Minus the semitones from the last note of each voice to its first note behind the gap."""
    from tokenization.vocabulary import TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

    last: dict[int, int] = {}
    total = 0
    for i in np.flatnonzero(TYPE_OF_ID[ids[:beat]] == TYPE_INDEX["DUR"]):
        voice, pitch = int(VALUE_OF_ID[ids[i - 1]]), int(VALUE_OF_ID[ids[i - 2]])
        if i < behind:
            last[voice] = pitch
        elif voice in last:
            total -= min(12, abs(pitch - last.pop(voice)))
    return float(total)


def main() -> None:
    """The command line."""
    import torch

    from musicgpt import Composer

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gaps", type=int, default=4, help="how many (default 4)")
    parser.add_argument(
        "--source", type=Path, default=Path("../shared/data/wtc"), help="folder with catalogue.csv and notes/"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    lookahead(Composer.from_pretrained(), given)


if __name__ == "__main__":
    main()
