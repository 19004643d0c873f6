"""What particles (`musicgpt/particles.py`) bring, and what they cost.

    python -m benchmarks.particles seams [--pieces 24] [--particles 1,8,32] [--source ../shared/data/wtc]
    python -m benchmarks.particles speed [--particles 1,4,8,16] [--source ../shared/data/wtc]
    python -m benchmarks.particles free [--pieces 8] [--particles 1,4] [--tokens 400] [--source ../shared/data/wtc]

`seams`: two bars of validation movements composed anew, in one voice or in all, for several numbers of particles, and
Bach's own. By the model alone: nats a new note by what stands before it; nats a new note by all that is given, behind
the gap too; nats a given note among and behind the new ones; and nats of the pitches of some new notes by what stands
before them and by both sides. `speed`: eight
bars of four voices. `free`: nothing given, so that particles are weighed by what the rules leave of the model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from benchmarks.given import command_line, movements
from tokenization import markdown
from tokenization.score import ONSET, VOICE, Score

# New notes of a gap whose pitches are asked for, and tokens behind them that are heard.
MASKED, BEHIND = 6, 32


def nats(composer: Any, piece: Any, given: Any) -> tuple[float, float, int, int]:
    """By the model alone: nats of the new notes, of the given notes among and behind them, and how many."""
    import torch

    from musicgpt.around import around_given
    from musicgpt.frame import is_given
    from tokenization.vocabulary import EOS_ID, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

    task = around_given(piece.settings, given, composer.context)
    ids = [token for token in piece.ids if token != EOS_ID]
    with torch.no_grad():
        logits = composer.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    cost = -logits[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0].numpy()  # of ids[1:]
    kinds, values = TYPE_OF_ID[ids], VALUE_OF_ID[ids]
    ticks = np.cumsum(np.where(kinds == TYPE_INDEX["TIME"], values, 0))
    sums, counts, run = [0.0, 0.0], [0, 0], 0.0
    for i in range(len(task.ids), len(ids)):
        run += float(cost[i - 1])
        if kinds[i] == TYPE_INDEX["DUR"]:
            kind = is_given(task.frame, int(ticks[i]), int(values[i - 2]), int(values[i - 1]))
            sums[kind] += run
            counts[kind] += 1
            run = 0.0
    return sums[0], sums[1], counts[0], counts[1]


def evidence(composer: Any, given: Any, seed: int) -> float:
    """Nats of what is given and of nothing else where nothing may be, `-log Z`, by the model alone: what 32 particles
    estimate, which is a little too much on average (Jensen's inequality).
    """
    from contextlib import suppress
    from unittest.mock import patch

    from musicgpt import Composer, Settings, SettingsError, particles

    seen: list[Any] = []
    choose = particles.Particles.choose
    plain = Settings(
        seed=seed, particles=32, temperature=1.0, top_p=1.0, rhythm_temperature=1.0, rhythm_top_p=1.0
    )
    with (
        patch.object(particles, "SHARPNESS", 0.0),
        patch.object(particles.Particles, "choose", lambda swarm: seen.append(swarm) or choose(swarm)),
        suppress(SettingsError),  # the one that was chosen rests throughout
    ):
        Composer(composer.model, rules=False).compose(plain, given=given)
    return -particles.log_mean(seen[0].log_weights)


def original_ids(composer: Any, score: Score, given: Any, settings: Any) -> list[int]:
    """The tokens of Bach's own notes, as if they had been composed around what is given."""
    from musicgpt.around import around_given, as_tokens
    from tokenization.codec import encode_body
    from tokenization.key import normal_key
    from tokenization.vocabulary import TYPE_INDEX, TYPE_OF_ID

    task = around_given(settings, given, composer.context)
    last = int(task.frame.notes[-1, ONSET])
    array = score.array.copy()
    array[:, ONSET] -= task.shift
    array = as_tokens(array[(array[:, ONSET] >= 0) & (array[:, ONSET] <= last)], -task.transposition)
    later = array[array[:, ONSET] >= given.begins - task.shift]
    read = Score(array, meters=score.meters[:1], key=normal_key(score.key.mode))
    body = encode_body(read)
    ends = np.flatnonzero(TYPE_OF_ID[body] == TYPE_INDEX["DUR"]) + 1  # of the notes
    before = len(array) - len(later)
    return [*task.ids, *body[ends[before - 1] if before else 0 : ends[-1]].tolist()]


def masked(composer: Any, piece: Any, given: Any, seed: int) -> tuple[float, float, int]:
    """Pitches of some of the new notes, each among those up to six semitones away: nats by what stands before
    the note, nats by that and the tokens behind it (Bayes' rule over these pitches), and how many notes.
    """
    from musicgpt.around import around_given
    from musicgpt.engine import Rows
    from musicgpt.frame import is_given
    from tokenization.vocabulary import OFFSET, TYPE_INDEX, TYPE_OF_ID, VALUE_OF_ID

    task = around_given(piece.settings, given, composer.context)
    ids = np.array(piece.ids)
    kinds, values = TYPE_OF_ID[ids], VALUE_OF_ID[ids]
    ticks = np.cumsum(np.where(kinds == TYPE_INDEX["TIME"], values, 0))
    places = np.flatnonzero((kinds == TYPE_INDEX["NOTE"]) & (np.arange(len(ids)) >= len(task.ids)))
    new = [i for i in places if not is_given(task.frame, int(ticks[i]), int(values[i]), int(values[i + 1]))]
    chosen = np.sort(np.random.default_rng(seed).choice(new, min(MASKED, len(new)), replace=False))
    steps = np.arange(-6, 7)
    rows = Rows(composer.model, len(steps), len(ids) + 1)
    rows.start(np.tile(ids[: len(task.ids) - 1], (len(steps), 1)))
    rows.feed_one()
    read, sums = len(task.ids) - 1, np.zeros(2)
    for place in chosen.tolist():
        said = log_softmax(rows.step(np.tile(ids[read:place], (len(steps), 1))), axis=1)[0]
        others = ids[place] + steps
        on_keyboard = (others >= OFFSET["NOTE"]) & (others < OFFSET["VOICE"])
        tokens = np.where(on_keyboard, others, ids[place])
        log = np.where(on_keyboard, said[tokens], -np.inf)
        sums[0] += np.logaddexp.reduce(log) - log[6]
        for token in ids[place + 1 : place + 1 + BEHIND].tolist():
            log = log + log_softmax(rows.step(tokens), axis=1)[:, token]
            tokens = np.full(len(steps), token)
        sums[1] += np.logaddexp.reduce(log) - log[6]
        rows.crop(place)
        read = place
    return float(sums[0]), float(sums[1]), len(chosen)


def gaps(source: Path, number: int) -> Iterator[tuple[int, Score, Any]]:
    """Two bars of validation movements, by turns of one voice and of all: the movement, its score, and what is
    given of it.
    """
    from musicgpt import Given

    scores, rng = movements(source, "validation"), np.random.default_rng(1)
    scores = [score for score in scores if len(score.meters) == 1]
    for i in range(number):
        movement = i % len(scores)
        score = scores[movement]
        first = int(rng.integers(3, 7))  # early: there is less to read
        voices = np.unique(score.array[:, VOICE]).tolist()
        every = (i // len(scores) + movement) % 2
        chosen = voices if every else [voices[i // 2 % len(voices)]]
        yield movement, score, Given.around(score, (first, first + 1), chosen)


def seams(composer: Any, given: argparse.Namespace) -> None:
    """The table of particles."""
    from musicgpt import Settings, SettingsError
    from musicgpt.composition import Composition

    rows: dict[Any, list] = {"Bach": [], **{n: [] for n in given.particles}}
    at = []
    for i, (movement, score, stays) in enumerate(gaps(given.source, given.pieces)):
        settings = Settings(seed=i)
        ids = original_ids(composer, score, stays, settings)
        found: dict[Any, Any] = {"Bach": (Composition(score, ids, settings, 0, 0, 0.0, True), 0.0)}
        for number in given.particles:
            begun = time.process_time()
            try:
                [piece] = composer.compose(Settings(seed=i, particles=number), given=stays)
            except SettingsError:  # it rests throughout
                print(f"{i}: nothing was written by {number}", flush=True)
                break
            found[number] = (piece, time.process_time() - begun)
        if len(found) < len(rows):
            continue
        at.append(movement)
        known = evidence(composer, stays, i)
        for name, (piece, seconds) in found.items():
            new, old, *numbers = nats(composer, piece, stays)
            sides = masked(composer, piece, stays, i)
            one = (new, old, new + old - known, *numbers, *sides, seconds)
            rows[name].append(one)
        print(i, {n: [round(float(v), 2) for v in r[-1]] for n, r in rows.items()}, flush=True)
    print(table_of_seams(rows, np.array(at), given.particles[0]))


def table_of_seams(rows: dict[Any, list], at: np.ndarray, base: Any) -> str:
    """The table of what `seams` found of each gap, with 95 % intervals of how much less the nats of new notes are than
    those of `base`, by drawing movements, `at`, anew.
    """
    head = (
        "particles",
        "new notes",
        "nats a new note, by what is before",
        "by all that is given",
        "a given note",
    )
    head += ("all", "a pitch by what is before", "by both sides", "processor seconds")
    lines = []
    values = {name: np.array(found) for name, found in rows.items()}
    rng, own = np.random.default_rng(0), np.unique(at)
    draws = [
        np.concatenate([np.flatnonzero(at == m) for m in rng.choice(own, len(own))]) for _ in range(2000)
    ]

    def less(name: Any, column: int) -> str:
        def a_note(of: Any, which: Any) -> float:
            return values[of][which, column].sum() / values[of][which, 3].sum()

        gains = [1 - a_note(name, which) / a_note(base, which) for which in [slice(None), *draws]]
        low, high = np.quantile(gains[1:], (0.025, 0.975))
        return f" ({gains[0]:.0%} less, {low:.0%} to {high:.0%})"

    for name, found in values.items():
        new, old, both, n, m, before, behind, notes, seconds = found.sum(axis=0)
        cells = [f"{n:.0f}", f"{new / n:.2f}{less(name, 0)}", f"{both / n:.2f}{less(name, 2)}"]
        others = (old / m, (new + old) / (n + m), before / notes, behind / notes)
        cells += [*(f"{cell:.2f}" for cell in others), f"{seconds / len(found):.1f}"]
        lines.append((str(name), *cells))
    return markdown.table(head, lines)


def speed(composer: Any, given: argparse.Namespace) -> None:
    """Eight bars of all voices of the first validation fugue of four, composed anew."""
    from musicgpt import Given, Settings

    scores = [s for s in movements(given.source, "validation") if s.form == "fugue" and s.num_voices == 4]
    stays = Given.around(scores[0], (20, 27))
    for number in given.particles:
        clock, begun = time.perf_counter(), time.process_time()
        [piece] = composer.compose(Settings(seed=2, particles=number), given=stays)
        seconds = time.process_time() - begun
        print(
            f"{number} particles: {piece.num_new_notes} new notes, {len(piece.ids)} tokens, {seconds:.1f} seconds of"
            f" the processor, {time.perf_counter() - clock:.1f} by the clock",
            flush=True,
        )


def free(composer: Any, given: argparse.Namespace) -> None:
    """Pieces on which nothing is given, by several numbers of particles: nats a token by the model alone, form
    (`benchmarks.form`), and seconds.
    """
    import torch

    from benchmarks.form import summary, table, values
    from benchmarks.result_pieces import conditions
    from musical_metrics.corpus import read_corpus
    from musicgpt import Settings

    asked = conditions(read_corpus(given.source), "fugue", given.pieces)
    made: dict[int, list[Score]] = {n: [] for n in given.particles}
    cost: dict[int, list[tuple[float, float]]] = {n: [] for n in given.particles}
    for seed, how in enumerate(asked):
        for number in given.particles:
            begun = time.process_time()
            settings = Settings(**how, seed=seed, particles=number, max_new_tokens=given.tokens)
            [piece] = composer.compose(settings)
            seconds = time.process_time() - begun
            ids = torch.tensor([piece.ids])
            with torch.no_grad():
                loss = composer.model(ids, labels=ids).loss
            made[number].append(piece.score)
            cost[number].append((float(loss), seconds))
        print(seed, {n: [round(v, 3) for v in rows[-1]] for n, rows in cost.items()}, flush=True)
    for number, rows in cost.items():
        loss, seconds = np.mean(rows, axis=0)
        print(f"{number} particles: {loss:.3f} nats a token, {seconds:.1f} seconds of the processor a piece")
    print(table({f"{n} particles": summary(values(scores)) for n, scores in made.items()}))


WHAT: dict[str, Callable[[Any, argparse.Namespace], None]] = {"seams": seams, "speed": speed, "free": free}


def main() -> None:
    """The command line."""
    import torch

    from musicgpt import Composer

    assert __doc__ is not None
    parser = command_line(__doc__, WHAT, (1, 8, 32), Path("../shared/data/wtc"))
    parser.add_argument("--tokens", type=int, help="free: of each piece (default: whole pieces)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    WHAT[given.what](Composer.from_pretrained(), given)


if __name__ == "__main__":
    main()
