"""Sequential Monte Carlo: rows that compose one piece together, weighed by what is given, or by the rules.

The piece is a sample of the posterior `p(tokens | what is given)`, where `p` is model and rules. Each
row, a particle, samples from `p` restricted to the tokens that keep what is given, and its weight is
multiplied by the probability that `p` leaves to these (Lew et al., Sequential Monte Carlo Steering of Large
Language Models, 2023; Loula et al., Syntactic and Semantic Control of Large Language Models via Sequential
Monte Carlo, 2025, arXiv 2504.13139). Where nothing is given the rules are the potentials: what they add to
the logits is `log r`, each row samples from `m r` normalised at every token, where `m` is the model, and its
weight is multiplied by that normaliser, `sum(m r)`; so the piece is a sample of `m` times all potentials, and
rows that the rules drove where the model would not have gone are given up. Where weights have become unequal
the particles are drawn anew, by systematic resampling (Kitagawa, J. Comput. Graph. Stat. 5, 1996).

Between given notes the posterior is sharpened, as low temperature sharpens each choice, but over whole bars
(power sampling: Karan and Du, Reasoning with Sampling, 2025, arXiv 2510.14901). Each token `x` that a
particle chooses multiplies its weight by `exp(b (log p(x) - E log p))`: `p` is what model and rules say of
the tokens that keep what is given, `E` the mean over what is drawn there, at the temperature of the sampler,
and `b` is `SHARPNESS`. So what is likelier than other choices gains, and where there is no choice nothing is
lost: neither fewer notes nor more of them pay (at temperature 1 it is the measure of locally typical
sampling, `log p(x) + H`: Meister et al., TACL 11, 2023).

Particles write more or fewer tokens a bar, so that at one step they stand at different beats. They are
compared at the latest beat that all have reached: a particle is drawn by its weight there, and what it has
been multiplied by since goes on with it. (Drawing by scores `a` and dividing weights by `a` leaves a sample
properly weighted: Liu, Monte Carlo Strategies in Scientific Computing, 2001, section 2.)

There are as many particles as there is something to choose by (Fearnhead and Clifford, J. R. Stat. Soc. B 65,
2003, vary and prune their number like this). Where nothing is given for a while, one row composes alone up to
two bars before the first given note, from where all set out. So what is given has no say in what comes
earlier than that. Where all is given, copies of a particle would do the same: of each one that is drawn one
goes on, with the weight of all, and who is not drawn ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import StoppingCriteria

from tokenization.note import ONSET
from tokenization.vocabulary import SPECIAL_TYPE

from .frame import FAR, Frame
from .state import State

# Ticks from one place of comparison to the next: a beat.
BEAT = 24
# One row alone composes up to so many ticks before the first given note, where the others set out from it.
LEAD = 8 * BEAT
# `b` above: 0 is the posterior itself. docs/log/2026-11.md has what it does to the notes.
SHARPNESS = 0.75
# Particles are drawn anew when their effective number falls below this share.
EFFECTIVE = 0.5


def log_mean(log_weights: np.ndarray) -> float:
    """Logarithm of the mean of weights, `(n,)`."""
    highest = log_weights.max()
    return float(highest + np.log(np.exp(log_weights - highest).mean()))


def normalised(log_weights: np.ndarray) -> np.ndarray:
    """Weights that sum to 1, `(n,)`."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def effective_sample_size(weights: np.ndarray) -> float:
    """`1 / sum(w^2)` of normalised weights (Kong, Liu and Wong, JASA 89, 1994)."""
    return float(1 / np.square(weights).sum())


def typicality(scores: np.ndarray, heat: np.ndarray | float = 1.0) -> np.ndarray:
    """How much likelier each token is than those drawn: `log p - sum(q log p)`, in nats, where `p` is the
    softmax of scores `(rows, vocab_size)` and `q` that of scores divided by `heat`, `(rows, 1)`.
    """
    scores = (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
    drawn = np.exp(scores / heat)
    drawn /= drawn.sum(axis=1, keepdims=True)
    return scores - (drawn * np.where(drawn > 0, scores, 0)).sum(axis=1, keepdims=True)


def systematic(weights: np.ndarray, uniform: float) -> np.ndarray:
    """Systematic resampling: how often each of `n` particles is drawn.

    Args:
        weights (array of shape `(n,)`): they sum to 1.
        uniform (`float`): one draw from 0 to below 1.

    Returns:
        integers of shape `(n,)` that sum to `n`; each is `n * weights` on average, and less than 1 away.
    """
    number = len(weights)
    edges = np.minimum(np.cumsum(weights) * number, number)
    edges[-1] = number
    points = np.ceil(edges - uniform).astype(np.int64)  # points u, u + 1, ... that lie below each edge
    return np.diff(np.maximum(points, 0), prepend=0)


def in_place(counts: np.ndarray) -> np.ndarray:
    """For how often each particle is drawn: the particle that each becomes, `(n,)`. Who is drawn stays where
    it is, so that as few as possible are copied.
    """
    ancestors = np.arange(len(counts))
    spare = np.repeat(ancestors, np.maximum(counts - 1, 0))
    ancestors[counts == 0] = spare
    return ancestors


class Particles(StoppingCriteria):
    """The particles of one piece. `generate()` calls it after every token; it ends the piece where all
    particles have ended, and where one has composed alone up to where the others set out.

    Args:
        rows (`int`): how many.
        seed (`int`): of the drawing.
        prompt_length (`int`): tokens of the prompt.
        temperature (callable): from the state to what divides the scores of each row, `(rows, 1)`.
        put (callable, *optional*): given each token that all particles have in common, once.

    Attributes:
        log_weights (array of shape `(rows,)`): of the particles, unnormalised. `log_mean` of them estimates
            the logarithm of the probability of what is given.
    """

    def __init__(
        self,
        rows: int,
        seed: int,
        prompt_length: int,
        temperature: Callable[[State], np.ndarray],
        put: Callable[[int], None] | None = None,
    ):
        self.rng = np.random.default_rng((seed, 4))
        self.temperature, self.put, self.number = temperature, put, rows
        self.select: Callable[[np.ndarray], None] = lambda ancestors: None
        self.log_weights, self.sharpness = np.zeros(rows), 0.0
        self.gains: np.ndarray | None = None  # of each token that may come next, in log weight
        self.marks = np.zeros((rows, 64))  # the weight with which each came to each beat
        self.beats = np.zeros(rows, dtype=np.int64)  # how many each has come to
        self.ended = np.zeros(rows, dtype=bool)
        self.sets_out, self.closes, self.is_over = 0, FAR, False
        self.compared, self.shown, self.drawings = 0, prompt_length, 0
        self.engine: Any = None
        self.cache: Any = None

    def begin(self, frame: Frame | None, tick: int) -> int:
        """How many rows begin, at a tick, with what is given (`None`: nothing): one where it comes late."""
        if frame is not None and frame.is_bounded:
            self.sets_out, self.closes = int(frame.notes[0, ONSET]) - LEAD, frame.closes
            self.sharpness = SHARPNESS
            if self.sets_out > tick:
                self._become(np.zeros(1, dtype=np.int64))
        return len(self.log_weights)

    def steer(self, processor: Any) -> None:
        """Weighs what a `RuleProcessor` says, and has its state and rules follow the drawings."""
        processor.weigh, self.select = self.weigh, processor.select

    def hold(self, engine: Any = None, cache: Any = None) -> None:
        """What is copied when particles are drawn: the rows of the engine, or the stock loop's cache."""
        if engine is not None and self.engine is not None:  # that of the row which composed alone
            engine.go_on_from(self.engine)
        self.engine, self.cache = engine, cache

    def weigh(self, state: State, scores: np.ndarray, left: np.ndarray, choices: np.ndarray) -> None:
        """Multiplies the weights by what is left of the probability of what comes next, and says by what each
        choice will.

        Args:
            state (`State`): where the particles stand.
            scores (array of shape `(rows, vocab_size)`): of the model and all rules; where nothing is given
                of the model alone.
            left (of the same shape): these where what is given is kept, else -inf; with what the rules add.
            choices (of the same shape): of which the next token is drawn.
        """
        self.ended = self.given_up | ((state.kind == SPECIAL_TYPE) & (state.num_notes > 0))
        self.is_over = bool(self.ended.all()) or (self.is_alone and state.ticks[0] >= self.sets_out)
        self._mark(state.ticks // BEAT)
        highest, heat = scores.max(axis=1, keepdims=True), self.temperature(state)
        before, after = (np.exp((s - highest) / heat, dtype=np.float64).sum(axis=1) for s in (scores, left))
        kept = after / before
        live = ~self.ended
        self.log_weights[live] += np.log(np.maximum(kept[live], 1e-12))
        if self.sharpness and not self.is_alone:
            self.gains = self.sharpness * np.where(live[:, None], typicality(choices, heat), 0)

    def _mark(self, beats: np.ndarray) -> None:
        """Remembers the weights at beats that have been reached now."""
        while beats.max() >= self.marks.shape[1]:
            self.marks = np.concatenate([self.marks, np.zeros_like(self.marks)], axis=1)
        for row in np.flatnonzero((beats > self.beats) & ~self.ended).tolist():
            self.marks[row, self.beats[row] + 1 : beats[row] + 1] = self.log_weights[row]
            self.beats[row] = beats[row]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        live = ~self.ended
        if self.gains is not None:
            self.log_weights += self.gains[np.arange(len(live)), input_ids[:, -1].cpu().numpy()]
            self.gains = None
        if live.any() and self.beats[live].min() > self.compared:
            self.compared = int(self.beats[live].min())
            self._draw(input_ids)
        if self.put is not None:
            ids = input_ids[torch.from_numpy(~self.given_up), self.shown :]
            for column in range(ids.shape[1]):
                if not bool((ids[:, column] == ids[0, column]).all()):
                    break
                self.put(int(ids[0, column]))
                self.shown += 1
        return torch.from_numpy(self.given_up | self.is_over).to(input_ids.device)

    def _draw(self, input_ids: torch.Tensor) -> None:
        """Draws the particles anew, if their weights at the beat that all have reached are too unequal. One
        that has ended before stays as it is. Where all that follows is given, a copy would only do the same
        again: of each particle that is drawn one goes on, for as many as it was drawn.
        """
        group = np.flatnonzero((self.beats >= self.compared) & ~self.given_up)
        at = self.marks[group, self.compared]
        weights = normalised(at)
        if len(group) < 2 or effective_sample_size(weights) >= EFFECTIVE * len(group):
            return
        self.drawings += 1
        counts = systematic(weights, self.rng.random())
        scores = np.zeros(len(self.log_weights))
        scores[group] = at - log_mean(at)
        self.log_weights -= scores
        self.marks -= scores[:, None]
        if self.compared * BEAT >= self.closes:
            with np.errstate(divide="ignore"):
                times = np.log(counts)
            self.log_weights[group] += times
            self.marks[group] += times[:, None]
            return
        ancestors = np.arange(len(self.log_weights))
        ancestors[group] = group[in_place(counts)]
        self._become(ancestors)
        self._copy(ancestors, input_ids)

    def _become(self, ancestors: np.ndarray) -> None:
        """Each goes on as another one, `(rows,)`."""
        for name in ("log_weights", "marks", "beats", "ended"):
            setattr(self, name, getattr(self, name)[ancestors])
        self.select(ancestors)

    def _copy(self, ancestors: np.ndarray, input_ids: torch.Tensor) -> None:
        if self.engine is not None:
            targets = np.flatnonzero(ancestors != np.arange(len(ancestors)))
            self.engine.copy_rows(ancestors[targets], targets)
        if self.cache is not None:
            self.cache.batch_select_indices(torch.from_numpy(ancestors).to(input_ids.device))
        rows = torch.from_numpy(ancestors).to(input_ids.device)
        input_ids.copy_(input_ids[rows])  # the loop's own tensor: it goes on with what stands in it

    @property
    def given_up(self) -> np.ndarray:
        """The particles that nothing is left of, bool of shape `(rows,)`."""
        return self.log_weights == -np.inf

    @property
    def is_alone(self) -> bool:
        """Whether one row composes alone."""
        return len(self.log_weights) < self.number

    def set_out(self, ids: torch.Tensor) -> torch.Tensor:
        """All particles set out from where one has come alone: its tokens, `(1, length)`, in each row."""
        self._become(np.zeros(self.number, dtype=np.int64))
        return ids.expand(self.number, -1).contiguous()

    def choose(self) -> int:
        """The particle that becomes the piece, drawn by weight."""
        return int(self.rng.choice(len(self.log_weights), p=normalised(self.log_weights)))
