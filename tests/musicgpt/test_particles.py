"""Sequential Monte Carlo: its parts, and its sample against the exact posterior."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from musicgpt import Composer, Given, Settings
from musicgpt.given import Region
from musicgpt.particles import (
    SHARPNESS,
    Particles,
    effective_sample_size,
    in_place,
    log_mean,
    normalised,
    systematic,
    typicality,
)
from musicgpt.rules import Rule
from musicgpt.sampling import particle_seeds
from tokenization import Score
from tokenization.vocabulary import EOS_ID, OFFSET, PITCH_MIN, TIME_STEPS, TYPE_INDEX


def test_systematic_resampling_draws_each_as_often_as_its_weight_says():
    weights = normalised(np.log([0.5, 0.2, 0.2, 0.05, 0.05]))
    drawn = np.array([systematic(weights, u) for u in np.linspace(0, 0.999, 500)])
    assert (drawn.sum(axis=1) == 5).all() and (np.abs(drawn - 5 * weights) < 1).all()
    np.testing.assert_allclose(drawn.mean(axis=0), 5 * weights, atol=0.02)
    assert effective_sample_size(np.full(4, 0.25)) == pytest.approx(4)
    assert effective_sample_size(np.array([1.0, 0, 0])) == 1
    assert log_mean(np.log([1.0, 3.0]) - 500) == pytest.approx(np.log(2) - 500)


def test_what_is_likelier_than_the_choices_are_on_average_gains():
    with np.errstate(divide="ignore"):
        scores = np.log([[0.5, 0.25, 0.25, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    found, cold = typicality(scores), typicality(scores, 0.5)
    np.testing.assert_allclose(found[0, :3], np.log(2) * np.array([0.5, -0.5, -0.5]), atol=1e-12)
    assert found[1, 0] == 0 and (found[2] == 0).all()
    drawn = np.array([4, 1, 1]) / 6  # at that temperature
    assert drawn @ cold[0, :3] == pytest.approx(0) and cold[0, 0] - cold[0, 1] == pytest.approx(np.log(2))


def test_who_is_drawn_stays_in_its_place():
    for seed in range(50):
        counts = np.random.default_rng(seed).multinomial(8, np.full(8, 1 / 8))
        ancestors = in_place(counts)
        np.testing.assert_array_equal(np.bincount(ancestors, minlength=8), counts)
        assert all(ancestors[i] == i for i in np.flatnonzero(counts))


class Toy(Rule):
    """Puts a table of its own in the place of the model: one new note a beat, of three pitches, whose chances
    depend on the pitch before; the voice below is given. So the posterior can be summed up.
    """

    pitches = (60, 62, 64)
    table = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.1, 0.8]])
    # Chances of the given pitch of the lower voice, 48, by the pitch that sounds above it.
    below = np.array([0.05, 0.3, 0.9])

    def __call__(self, state, scores):
        said = np.full(scores.shape, -30.0)
        for row in range(state.rows):
            self.row(state, row, said[row])
        return said - np.where(np.isfinite(scores), scores, 0)

    def row(self, state, row, said):
        kind, now = state.kind[row], state.ticks[row]
        upper = state.onset[row, 0] == now
        if kind == TYPE_INDEX["NOTE"]:
            said[OFFSET["VOICE"] + int(state.note_pitch[row] < 60)] = 0
        elif kind == TYPE_INDEX["VOICE"]:
            said[OFFSET["DUR"] + 10] = 0  # DUR_24
        elif kind == TYPE_INDEX["TIME"] and upper:
            above = self.pitches.index(int(state.pitch[row, 0]))
            said[OFFSET["NOTE"] + 48 - PITCH_MIN] = np.log(self.below[above])
            said[OFFSET["NOTE"] + 50 - PITCH_MIN] = np.log(1 - self.below[above])
        elif kind == TYPE_INDEX["TIME"]:
            before = int(state.pitch[row, 0])
            chances = self.table[self.pitches.index(before)] if before >= 0 else np.full(3, 1 / 3)
            for pitch, chance in zip(self.pitches, chances, strict=True):
                said[OFFSET["NOTE"] + pitch - PITCH_MIN] = np.log(chance)
        elif upper and state.onset[row, 1] < now:
            said[OFFSET["TIME"]] = 0
        else:
            said[OFFSET["TIME"] + (TIME_STEPS.index(24) if state.num_notes[row] else 0)] = 0


class FreeToy(Toy):
    """The toy where nothing is given: the rule itself leaves the lower voice but one pitch, and ends the piece
    after four beats. What it adds is `log r` on top of the model's own probabilities.
    """

    def __call__(self, state, scores):
        said = np.full(scores.shape, -30.0)
        for row in range(state.rows):
            if state.kind[row] == TYPE_INDEX["TIME"] and state.ticks[row] == 96:
                said[row, EOS_ID] = 0
            else:
                self.row(state, row, said[row])
        said[:, OFFSET["NOTE"] + 50 - PITCH_MIN] = -30
        total = np.log(np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
        model = scores - scores.max(axis=1, keepdims=True) - total
        return said - np.where(np.isfinite(model), model, 0)


class LateToy(Toy):
    """The toy where the lower voice is given only behind what is composed: twice, under the upper one's last
    pitch.
    """

    late = 10  # beats
    rows: dict[int, int] = {}

    def row(self, state, row, said):
        self.rows[int(state.ticks[row])] = state.rows
        if state.kind[row] == TYPE_INDEX["DUR"]:
            said[OFFSET["TIME"] + TIME_STEPS.index(24)] = 0
        elif state.kind[row] == TYPE_INDEX["TIME"] and state.ticks[row] >= 24 * self.late:
            chance = self.below[self.pitches.index(int(state.pitch[row, 0]))]
            said[OFFSET["NOTE"] + 48 - PITCH_MIN] = np.log(chance)
            said[OFFSET["NOTE"] + 50 - PITCH_MIN] = np.log(1 - chance)
        else:
            super().row(state, row, said)


def sharpened(sharpness: float) -> np.ndarray:
    """The toy's table, each chance times what its choice multiplies a weight by."""
    return Toy.table * np.exp(sharpness * typicality(np.log(Toy.table)))


def posterior(beats: int, sharpness: float = SHARPNESS) -> dict[tuple[int, ...], float]:
    """The chances of each upper voice, given the lower one, unnormalised; the first note's are equal."""
    found, table = {}, sharpened(sharpness)
    for line in itertools.product(range(3), repeat=beats):
        steps = [1 / 3] + [table[a, b] for a, b in itertools.pairwise(line)]
        found[tuple(Toy.pitches[i] for i in line)] = float(np.prod(steps) * np.prod(Toy.below[list(line)]))
    return found


def _upper(piece) -> tuple[int, ...]:
    return tuple(note.pitch for note in piece.score.notes if note.voice == 0)


@pytest.mark.parametrize("stock", [False, True])
def test_the_sample_is_that_of_the_exact_posterior(composer, stock):
    beats = 4
    given = Given(
        Score([(24 * i, 24, 48, 1) for i in range(beats)], key="C major"), (Region(0, 24 * beats, (0,)),), 2
    )
    toy = Composer(composer.model, rules=[Toy])
    composer.model.fast_decoding = not stock
    how = {"top_p": 1.0, "temperature": 1.0, "rhythm_temperature": 1.0}
    try:
        settings = Settings(seed=0, particles=16, **how)
        lines = [_upper(p) for p in toy.compose(settings, num=8 if stock else 60, given=given)]
        blind = [_upper(p) for p in toy.compose(Settings(seed=0, particles=1, **how), num=60, given=given)]
    finally:
        composer.model.fast_decoding = True
    exact = posterior(beats)
    total = sum(exact.values())
    # The share of lines that end high, which the given notes make likelier than the model does.
    wanted = sum(p for line, p in exact.items() if line[1] == 64) / total
    prior = sum(line[1] == 64 for line in blind) / len(blind)
    share = sum(line[1] == 64 for line in lines) / len(lines)
    error = 3 * np.sqrt(wanted * (1 - wanted) / len(lines))
    assert abs(share - wanted) < error + 0.02, (share, wanted)
    assert wanted - prior > 0.15  # what one particle does is far from it


def test_rules_are_potentials_where_nothing_is_given(composer):
    """The chances of the lower voice weigh the upper one, which a rule that looks no further cannot do."""
    toy = Composer(composer.model, rules=[FreeToy])
    how = {"top_p": 1.0, "temperature": 1.0, "rhythm_temperature": 1.0, "min_bars": 0, "min_notes": 0}
    settings = Settings(seed=0, particles=16, max_new_tokens=64, **how)
    pieces = toy.compose(settings, num=60)
    lines = [_upper(piece) for piece in pieces]
    assert all(len(line) == 4 and piece.finished for line, piece in zip(lines, pieces, strict=True))
    exact = posterior(4, sharpness=0)
    wanted = sum(p for line, p in exact.items() if line[1] == 64) / sum(exact.values())
    share = sum(line[1] == 64 for line in lines) / len(lines)
    assert abs(share - wanted) < 3 * np.sqrt(wanted * (1 - wanted) / len(lines)) + 0.02, (share, wanted)
    blind = [_upper(piece) for piece in toy.compose(replace(settings, particles=1), num=60)]
    assert wanted - sum(line[1] == 64 for line in blind) / len(blind) > 0.15


@pytest.fixture
def seen(monkeypatch):
    """Of each piece its particles, as they were when one of them was chosen."""
    found, choose = [], Particles.choose
    monkeypatch.setattr(Particles, "choose", lambda self: found.append(self) or choose(self))
    return found


def evidence(seen) -> float:
    return float(np.mean([np.exp(log_mean(particles.log_weights)) for particles in seen]))


def test_the_weights_estimate_the_probability_of_what_is_given(composer, seen):
    beats = 5
    given = Given(
        Score([(24 * i, 24, 48, 1) for i in range(beats)], key="C major"), (Region(0, 24 * beats, (0,)),), 2
    )
    settings = Settings(seed=3, particles=32, top_p=1.0, temperature=1.0, rhythm_temperature=1.0)
    Composer(composer.model, rules=[Toy]).compose(settings, num=8, given=given)
    assert evidence(seen) == pytest.approx(sum(posterior(beats).values()), rel=0.15)
    assert sum(particles.drawings for particles in seen) > 0


@pytest.mark.parametrize("stock", [False, True])
def test_what_is_given_behind_all_that_is_new_chooses_the_end_of_it(composer, seen, stock):
    """One row composes the first beats alone, and where all is given only particles that differ go on."""
    beats, number = LateToy.late, 4 if stock else 24
    score = Score([(24 * beats, 24, 48, 1), (24 * beats + 24, 24, 48, 1)], key="C major")
    given = Given(score, (Region(0, 24 * beats, (0,)),), 2)
    toy = Composer(composer.model, rules=[LateToy])
    settings = Settings(seed=0, particles=16, top_p=1.0, temperature=1.0, rhythm_temperature=1.0)
    composer.model.fast_decoding = not stock
    try:
        pieces = toy.compose(settings, num=number, given=given)
    finally:
        composer.model.fast_decoding = True
    last = np.full(3, 1 / 3) @ np.linalg.matrix_power(Toy.table, beats - 1)
    # Of the first three one row alone chose the pitches, which nothing weighs.
    begun = np.full(3, 1 / 3) @ np.linalg.matrix_power(Toy.table, 2)
    exact = begun @ np.linalg.matrix_power(sharpened(SHARPNESS), beats - 3) * Toy.below**2
    wanted = exact[2] / exact.sum()
    share = np.mean([_upper(piece)[-1] == 64 for piece in pieces])
    assert abs(share - wanted) < 3 * np.sqrt(wanted * (1 - wanted) / number) + 0.02, (share, wanted)
    assert wanted - last[2] > 0.15
    assert evidence(seen) == pytest.approx(exact.sum(), rel=0.3 if stock else 0.15)
    assert all(len(_upper(piece)) == beats and piece.finished for piece in pieces)
    assert any(particles.given_up.any() for particles in seen)
    assert LateToy.rows == {0: 1, 24: 1} | {24 * beat: 16 for beat in range(2, beats + 2)}


def test_particles_are_the_same_with_and_without_the_engine_and_by_seed(composer, wandering, seen):
    score = wandering(2, notes=14).replace(key="A minor")
    made = [composer.revise(score, (2, 4), seed=1, settings=Settings(particles=5))]
    made += [composer.revise(score, (2, 4), seed=1, settings=Settings(particles=5))]
    composer.model.fast_decoding = False
    try:
        made += [composer.revise(score, (2, 4), seed=1, settings=Settings(particles=5))]
    finally:
        composer.model.fast_decoding = True
    assert made[0].ids == made[1].ids == made[2].ids and made[0].finished
    chosen, *others = seen  # of stock loop and engine
    assert all(np.array_equal(chosen.given_up, other.given_up) for other in others) and chosen.given_up.any()
    given = Given.around(score, (2, 4))
    stream = composer.stream(Settings(seed=1, particles=5), given=given)
    new = [n for n, old in zip(made[0].score.notes, made[0].is_given, strict=True) if not old]
    assert list(stream) == new and stream.composition.ids == made[0].ids


def test_a_piece_that_is_stopped_while_one_row_is_alone_ends_there(composer, wandering, seen):
    from threading import Event

    given = Given.around(wandering(2, notes=40).replace(key="A minor"), (3, 8))
    settings, task = composer._task(Settings(seed=1, particles=5), None, None, given)
    stop = Event()
    [(tokens, _)] = composer._generate(
        task, settings, [1], stop=stop, report=lambda count: stop.set() if count == 6 else None
    )
    assert len(tokens) == 6 and seen[0].is_alone


def test_every_rule_goes_on_with_what_the_other_row_remembers(composer):
    """Rows that are drawn anew compose as the row that they were made from: no rule forgets anything."""
    import torch

    from musicgpt.rules import Brief, RuleProcessor, build, chosen
    from tests.musicgpt.states import state_after
    from tokenization import encode, prefix_ids

    [piece] = composer.compose(Settings(seed=8, voices=3, form="fugue", max_new_tokens=700))
    start = prefix_ids("major", "fugue", "4/4", 3, "moderate")
    [other] = composer.compose(Settings(seed=9, voices=3, form="fugue", max_new_tokens=700))
    rows = np.array([[*start, *p.ids[len(start) :]][:500] for p in (piece, other, other)])
    brief = Brief(3, seeds=[8, 9, 10], form="fugue", voices=3, prompt=state_after(start), max_new_tokens=700)
    processor = RuleProcessor(build(chosen(True), brief), state_after(start, 3))
    rng = np.random.default_rng(0)
    ancestors = np.array([0, 0, 2])
    assert encode(piece.score) is not None
    for length in range(len(start), rows.shape[1]):
        scores = np.repeat(rng.normal(size=(1, 150)), 3, axis=0).astype(np.float32)
        said = processor(torch.from_numpy(rows[:, :length]), torch.from_numpy(scores)).numpy()
        if length > len(start) + 260:
            np.testing.assert_array_equal(said[0], said[1])
        if length == len(start) + 260:
            processor.select(ancestors)
            rows = rows[ancestors]


def test_seeds_of_particles():
    assert particle_seeds(7, 3)[0] == 7 and len(set(particle_seeds(7, 32))) == 32
    assert particle_seeds(7, 3) == particle_seeds(7, 3) != particle_seeds(8, 3)
