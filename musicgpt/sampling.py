"""Sampling in which every piece of a batch has its own seed.

`generate(do_sample=True)` draws all rows of a batch from one random stream, so a piece depends on its
neighbours. Here each row has its own generator: piece k of a batch is the piece that its seed makes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import StoppingCriteria

from tokenization.errors import MusicGPTError
from tokenization.vocabulary import DUR_TYPE, TYPES, VOCAB_SIZE, VOICE_TYPE

from .defaults import MIN_P, RHYTHM_TEMPERATURE_SCALE, RHYTHM_TOP_P, TEMPERATURE, TOP_K, TOP_P
from .state import State

# Whether the next token is one of rhythm, by the type of the last one (the last place: no token yet): DUR and
# TIME come after VOICE and DUR.
_IS_RHYTHM = np.zeros(len(TYPES) + 1, dtype=np.intp)
_IS_RHYTHM[[VOICE_TYPE, DUR_TYPE]] = 1
# Draws of noise at a time: so many steps of one row, or fewer of several.
_DRAWS = 512


class Sampling(NamedTuple):
    """How tokens are sampled: temperature and what is cut off; some of it for rhythm (durations and steps in
    time) on its own.
    """

    temperature: float
    rhythm_temperature: float
    top_k: int
    top_p: float
    rhythm_top_p: float
    min_p: float

    @classmethod
    def like(cls, config: Any, temperature: float | None, top_p: float | None) -> Sampling:
        """As a generation config or settings say, and these two for rhythm; `None`: the defaults."""
        of_notes = TEMPERATURE if config.temperature is None else config.temperature
        return cls(
            of_notes,
            RHYTHM_TEMPERATURE_SCALE * of_notes if temperature is None else temperature,
            TOP_K if config.top_k is None else config.top_k,
            TOP_P if config.top_p is None else config.top_p,
            RHYTHM_TOP_P if top_p is None else top_p,
            MIN_P if config.min_p is None else config.min_p,
        )


class SeededSampling:
    """Temperature, top-k, top-p, min-p and Gumbel noise, so that the largest score is a sample.

    Adding standard Gumbel noise to log-probabilities and taking the largest draws from the softmax exactly
    (the Gumbel-max trick; Gumbel 1954). With greedy decoding behind it this is sampling, with one random
    generator a row.

    Args:
        wanted (`Sampling`): temperature, rhythm_temperature, top_k, top_p, rhythm_top_p, min_p.
        seeds (sequence of `int`): one a row.

    Attributes:
        state (`State`, *optional*): where the rows stood before the last token that was drawn.
    """

    state: State | None = None

    def __init__(self, wanted: Sampling, seeds: Sequence[int]):
        # The noise is drawn on the CPU, so that a seed means the same on every device.
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.noise, self.used = np.zeros((0, 0, VOCAB_SIZE), dtype=np.float32), 0
        # For notes and voices, and for rhythm.
        self.heat = np.array([wanted.temperature, wanted.rhythm_temperature], dtype=np.float32)
        self.top_p = np.array([wanted.top_p, wanted.rhythm_top_p])
        self.top_k, self.min_p = wanted.top_k, wanted.min_p
        self.wanted = wanted

    def __call__(self, state: State, scores: np.ndarray) -> np.ndarray:
        """`scores` of shape `(rows, vocab_size)` as a sample: the largest of a row is its next token.

        Raises:
            MusicGPTError: if the model gives no numbers.
        """
        self.state = state
        is_rhythm = _IS_RHYTHM[state.kind]  # (rows,)
        heat, top_p = self.heat[is_rhythm, None], self.top_p[is_rhythm]
        highest = np.maximum.reduce(scores, axis=1, keepdims=True)
        if not all(map(isfinite, highest[:, 0].tolist())):
            raise MusicGPTError(
                "The model gives no numbers: its weights are damaged, or too large for their type."
            )
        scores = (scores - highest) / heat
        if self.top_k or min(top_p.tolist()) < 1:
            scores = np.where(scores < self._lowest(scores, top_p), -np.inf, scores)
        if self.min_p > 0:
            scores = np.where(scores < np.log(self.min_p), -np.inf, scores)
        return scores + self._draw(len(scores))

    def _lowest(self, scores: np.ndarray, top_p: np.ndarray) -> np.ndarray:
        """What top-k and top-p leave of each row begins with this score, `(rows, 1)`; scores are at most 0,
        and equal ones stay together.
        """
        ordered, rows = np.sort(scores, axis=1)[:, ::-1], np.arange(len(scores))
        if self.top_k:
            ordered = np.where(ordered < ordered[:, self.top_k - 1, None], -np.inf, ordered)
        weight = np.exp(ordered, dtype=np.float64)
        whole = np.add.accumulate(weight, axis=1)
        within = whole - weight < top_p[:, None] * np.add.reduce(weight, axis=1, keepdims=True)
        last = np.maximum(np.add.reduce(within, axis=1) - 1, 0)
        if self.top_k or max(top_p.tolist()) == 1:
            # All that is left, where nothing more is cut off.
            last = np.where(top_p < 1, last, np.add.reduce(ordered > -np.inf, axis=1) - 1)
        return ordered[rows, last, None]

    def temperature(self, state: State) -> np.ndarray:
        """What divides the scores of each row, `(rows, 1)`."""
        return self.heat[_IS_RHYTHM[state.kind], None]

    def _draw(self, rows: int) -> np.ndarray:
        """The noise of one step, `(rows, vocab_size)`, of the first rows where not all are there yet."""
        if len(self.noise) != rows or self.used == self.noise.shape[1]:
            shape, self.used = (max(1, _DRAWS // rows), VOCAB_SIZE), 0
            generators = self.generators[:rows]
            drawn = [torch.rand(shape, generator=g, dtype=torch.float64).numpy() for g in generators]
            uniform = np.clip(np.stack(drawn), 1e-300, 1 - 1e-16)
            self.noise = -np.log(-np.log(uniform)).astype(np.float32)  # (rows, steps, vocab_size)
        self.used += 1
        return self.noise[:, self.used - 1]


def particle_seeds(seed: int, particles: int) -> list[int]:
    """Seeds of the particles of a piece: the first has the piece's own, so that one particle is free
    composing.
    """
    words = np.random.SeedSequence((seed, particles)).generate_state(particles, np.uint64) >> 2
    return [seed, *words[1:].tolist()]


class StopAndReport(StoppingCriteria):
    """Ends all rows when the event is set, and reports after every token.

    Args:
        stop (`threading.Event`, *optional*): set it from anywhere to end the generation after the current
            token.
        report (callable, *optional*): called with how many tokens each row has so far, the prompt not
            counted.
        prompt_length (`int`): tokens of the prompt.
        put (callable, *optional*): given each token of the first row.
    """

    def __init__(
        self,
        stop: Event | None,
        report: Callable[[int], None] | None,
        prompt_length: int,
        put: Callable[[int], None] | None = None,
    ):
        self.stop, self.report, self.prompt_length, self.put = stop, report, prompt_length, put

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        if self.put:
            self.put(int(input_ids[0, -1]))
        if self.report:
            self.report(input_ids.shape[1] - self.prompt_length)
        stopped = self.stop is not None and self.stop.is_set()
        return torch.full((input_ids.shape[0],), stopped, dtype=torch.bool, device=input_ids.device)
