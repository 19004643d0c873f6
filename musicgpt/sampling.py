"""Sampling in which every piece of a batch has its own seed.

`generate(do_sample=True)` draws all rows of a batch from one random stream, so a piece depends on its
neighbours. Here each row has its own generator: piece k of a batch is the piece that its seed makes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tokenization.errors import MusicGPTError
from tokenization.vocabulary import TYPE_INDEX, TYPE_OF_ID

from .settings import Resolved

# The tokens of rhythm, DUR and TIME, come after these.
_BEFORE_RHYTHM = torch.tensor([TYPE_INDEX["VOICE"], TYPE_INDEX["DUR"]])
_TYPES = torch.from_numpy(TYPE_OF_ID.copy())


class SeededSampling(LogitsProcessor):
    """Temperature, top-k, top-p, min-p and Gumbel noise, so that the largest score is a sample.

    Adding standard Gumbel noise to log-probabilities and taking the largest draws from the softmax exactly
    (the Gumbel-max trick; Gumbel 1954). With greedy decoding behind it this is sampling, with one random
    generator a row.

    Args:
        wanted (`Resolved`): temperature, rhythm_temperature, top_k, top_p, rhythm_top_p, min_p.
        seeds (sequence of `int`): one a row.
    """

    def __init__(self, wanted: Resolved, seeds: Sequence[int]):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.of_notes = _warpers(wanted, wanted.temperature, wanted.top_p)
        self.of_rhythm = _warpers(wanted, wanted.rhythm_temperature, wanted.rhythm_top_p)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape `(rows, vocab_size)` as a sample: the largest of a row is its next token.

        Raises:
            MusicGPTError: if the model gives no numbers.
        """
        if not torch.isfinite(scores.amax(dim=-1)).all():
            raise MusicGPTError(
                "The model gives no numbers: its weights are damaged, or too large for their type."
            )
        is_rhythm = torch.isin(_TYPES[input_ids[:, -1].cpu()], _BEFORE_RHYTHM)  # (rows,)
        if is_rhythm.all() or not is_rhythm.any():  # one row always is: nothing is sorted twice
            scores = (self.of_rhythm if is_rhythm.all() else self.of_notes)(input_ids, scores.float())
        else:
            both = self.of_rhythm(input_ids, scores.float()), self.of_notes(input_ids, scores.float())
            scores = torch.where(is_rhythm[:, None].to(scores.device), *both)
        # The noise is drawn on the CPU, so that a seed means the same on every device.
        uniform = torch.stack(
            [torch.rand(scores.shape[-1], generator=g, dtype=torch.float64) for g in self.generators]
        )
        noise = -torch.log(-torch.log(uniform.clamp(1e-300, 1 - 1e-16)))  # (rows, 150)
        return scores + noise.to(scores.device, scores.dtype)


def _warpers(wanted: Resolved, temperature: float, top_p: float) -> LogitsProcessorList:
    warpers = LogitsProcessorList()
    if temperature != 1:
        warpers.append(TemperatureLogitsWarper(float(temperature)))
    if wanted.top_k:
        warpers.append(TopKLogitsWarper(wanted.top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(float(top_p)))
    if wanted.min_p > 0:
        warpers.append(MinPLogitsWarper(float(wanted.min_p)))
    return warpers


class StopAndReport(StoppingCriteria):
    """Ends all rows when the event is set, and reports after every token.

    Args:
        stop (`threading.Event`, *optional*): set it from anywhere to end the generation after the current
        token. report (callable, *optional*): called with how many tokens each row has so far, the prompt not
        counted. prompt_length (`int`): tokens of the prompt.
    """

    def __init__(self, stop: Event | None, report: Callable[[int], None] | None, prompt_length: int):
        self.stop, self.report, self.prompt_length = stop, report, prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        if self.report:
            self.report(input_ids.shape[1] - self.prompt_length)
        stopped = self.stop is not None and self.stop.is_set()
        return torch.full((input_ids.shape[0],), stopped, dtype=torch.bool, device=input_ids.device)
