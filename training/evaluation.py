"""The loss of a model on whole pieces: sliding windows over those that are longer than its context, every
note counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenization.score import Score
from tokenization.vocabulary import MAX_TIME_TOKENS, PAD_ID

from .crops import TERMS, Piece, cut_body, cut_prefix, notes_in, type_of_positions
from .errors import TrainingError
from .legal import legal_after
from .units import PieceLoss, Report, report

if TYPE_CHECKING:
    import torch

MOST_TOKENS_A_NOTE = 4 + MAX_TIME_TOKENS  # NOTE, VOICE, DUR, TIMEs and a METER
OVERLAP = 0.5  # share of a window that the next one sees again, as context


@dataclass(frozen=True)
class Window:
    """A stretch of a piece and which of its tokens are counted here.

    Attributes:
        piece (`int`): its place in the list of pieces.
        ids (`np.ndarray` of shape `(tokens,)`): with the whole prefix.
        terms (`np.ndarray` of shape `(tokens,)`): 0 NOTE, 1 VOICE, 2 DUR, 3 TIME where counted, else -1.
    """

    piece: int
    ids: np.ndarray
    terms: np.ndarray


def windows(piece: Piece, number: int, context: int) -> Iterator[Window]:
    """Windows of at most `context` tokens that together count every note of a piece once.

    A piece that fits is one window. Otherwise each window begins at a note, with the prefix and its position
    in the bar, and repeats `OVERLAP` of the one before; the last one is moved back to be full. A note is
    counted in the first window that holds it.
    """
    score, fit = piece.score, notes_in(context)
    # The whole piece may fit although a window of `fit` notes would be shorter: its tokens are counted, not
    # estimated.
    whole = np.concatenate([cut_prefix(score, 0), cut_body(score, 0, len(score))])
    if len(whole) <= context:
        yield Window(number, whole, type_of_positions(whole)[1])
        return
    # Room for the rare steps of several TIME tokens and for changes of meter; a window that needs more holds
    # fewer notes.
    fit = max(1, fit - 8)
    stride = max(1, int(fit * (1 - OVERLAP)))
    counted, start = 0, 0
    while counted < len(score):
        # The last window is moved back to be full; none begins after a note that is still to be counted.
        start = max(0, min(start, len(score) - fit, counted))
        ids, stop = _window_ids(score, start, start + fit, context)
        if stop <= counted:  # steps of several TIME tokens: so far back the window reaches nothing new
            start = counted
            ids, stop = _window_ids(score, start, start + fit, context)
        note, term = type_of_positions(ids)
        yield Window(number, ids, np.where(note + start >= counted, term, -1))
        counted, start = stop, start + stride


def _window_ids(score: Score, start: int, stop: int, context: int) -> tuple[np.ndarray, int]:
    """The ids of a window from note `start` on, and the note before which it ends: `stop`, or earlier if
    `context` is too short for that.
    """
    prefix = cut_prefix(score, start)
    while True:
        ids = np.concatenate([prefix, cut_body(score, start, stop)])
        if len(ids) <= context:
            return ids, stop
        if stop - start == 1:
            raise TrainingError(
                f"One note with its prefix takes {len(ids)} tokens, more than the context of {context}:"
                " validate with a longer --context."
            )
        stop = max(start + 1, stop - -(-(len(ids) - context) // MOST_TOKENS_A_NOTE))


def evaluate(model: Any, pieces: Sequence[Piece], context: int | None = None, **how: Any) -> list[PieceLoss]:
    """What each piece costs a causal language model; the arguments are those of `passes`, and with a `share`
    the sums of what is not done here stay 0.
    """
    results = [PieceLoss(p.name, p.unit, quarters=p.quarters) for p in pieces]
    for batch, ids, logits in passes(model, pieces, context, **how):
        _add(results, batch, ids, logits)
    return results


def passes(
    model: Any,
    pieces: Sequence[Piece],
    context: int | None = None,
    tokens_a_batch: int = 8192,
    progress: bool = False,
    autocast: Callable[[], Any] | None = None,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[list[Window], torch.Tensor, torch.Tensor]]:
    """The forward passes over some pieces.

    Args:
        model: called as `model(input_ids=...)`, returns `.logits` of shape `(rows, length, 150)`.
        pieces (sequence of `Piece`): whole pieces.
        context (`int`, *optional*): tokens a window; the model's `max_position_embeddings` when not given.
        tokens_a_batch (`int`): rows are put together up to so many tokens.
        progress (`bool`): show a bar.
        autocast (*optional*): makes a context manager for the forward pass; fp32 when not given.
        share (`tuple`): `(process, processes)`: only every so many-th batch is done here.

    Yields:
        windows, their ids `(rows, length)`, and the logits `(rows, length, vocab)` in float32 on the CPU.
    """
    import contextlib

    import torch
    from tqdm import tqdm

    context = context or int(model.config.max_position_embeddings)
    todo = [window for number, piece in enumerate(pieces) for window in windows(piece, number, context)]
    todo.sort(key=lambda window: -len(window.ids))
    batches = list(_batches(todo, tokens_a_batch))[share[0] :: share[1]]
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    for batch in tqdm(batches, desc="evaluating", disable=not progress, leave=False):
        ids = torch.full((len(batch), len(batch[0].ids)), PAD_ID, dtype=torch.int64)
        for row, window in enumerate(batch):
            ids[row, : len(window.ids)] = torch.from_numpy(window.ids)
        with torch.no_grad(), autocast() if autocast else contextlib.nullcontext():
            # Padding stands at the right, where a causal model cannot see it: no mask is needed.
            logits = model(input_ids=ids.to(device)).logits
        yield batch, ids, logits.float().cpu()
    model.train(training)


def evaluate_report(
    model: Any, pieces: Sequence[Piece], about: dict[str, Any] | None = None, **options: Any
) -> Report:
    """`evaluate` in the published units."""
    return report(evaluate(model, pieces, **options), about)


def _batches(todo: Sequence[Window], tokens: int) -> Iterator[list[Window]]:
    """Windows of falling length in groups whose padded size stays within `tokens`."""
    batch: list[Window] = []
    for window in todo:
        if batch and (len(batch) + 1) * len(batch[0].ids) > tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _add(results: list[PieceLoss], batch: list[Window], ids: torch.Tensor, logits: torch.Tensor) -> None:
    """Add a batch's sums to its pieces."""
    import torch

    nxt = ids[:, 1:, None]  # (rows, length - 1, 1)
    scores = logits[:, :-1]
    chosen = scores.gather(2, nxt)[..., 0]  # (rows, length - 1)
    full = torch.logsumexp(scores, dim=-1) - chosen
    masked = torch.logsumexp(scores.masked_fill(~legal_after(ids)[:, :-1], -torch.inf), dim=-1) - chosen
    for row, window in enumerate(batch):
        result, terms = results[window.piece], window.terms[1:]
        for place in range(len(TERMS)):
            here = torch.from_numpy(np.flatnonzero(terms == place))
            result.nats[place] += float(full[row, here].double().sum())
            result.masked[place] += float(masked[row, here].double().sum())
        result.notes += int((terms == 0).sum())
        result.tokens += int((terms >= 0).sum())
