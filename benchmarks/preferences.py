"""Preference tuning: does a model that learns from pairs of its own pieces hear what it is asked for?

    python -m benchmarks.preferences --out DIR [--prompts 600] [--beta 0.1] [--learning-rate 2e-5] [--model DIR]

From each prompt (MODE, FORM, VOICES, TEMPO and METER, as `benchmarks.alone` draws them) the model continues four
times by itself. The best and the worst by `reward` are a pair, where they differ, and the model learns to prefer
the better (direct preference optimisation: Rafailov et al. 2023, arXiv 2305.18290). `DIR` then holds its weights.
What the reward counts cannot judge them: `python -m training.validate --checkpoint DIR` and the rows of `python -m
benchmarks.alone --model DIR` that are not in it can, and what the composer makes with them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from musicgpt.loading import load_model
from tokenization.codec import decode, prefix_ids
from tokenization.interruption import errors_in_one_line, interruptible
from training.errors import TrainingError
from training.losses import token_losses

from .alone import asked, measured

CANDIDATES, TOKENS = 4, 400
# What a piece that does all it is asked loses with dissonances alone, and the least difference of a pair.
PRICE_OF_DISSONANCE, CLEAR = 4.0, 0.5
BATCH = 4  # pairs a step
SAID = 48  # pairs after which it is said how it goes


def reward(wishes: dict[str, Any], score: Any) -> float:
    """A point each for how the piece begins, the key it opens in and the keyboard it keeps to, less its
    struck dissonance.
    """
    found = measured(wishes, score, ended=False) if len(score) else {}
    points = [
        value
        for name, value in found.items()
        if "begins with" in name or "opens in" in name or "C2 to C6" in name
    ]
    price = found.get(f"{wishes['form']}'s struck dissonance") or 0.0
    return float(sum(value or 0.0 for value in points)) - PRICE_OF_DISSONANCE * price


def pair_of(model: Any, wishes: dict[str, Any], seed: int) -> torch.Tensor | None:
    """The ids of the best and of the worst of `CANDIDATES` pieces, `(2, length)`; `None` where they are as good
    as each other.
    """
    torch.manual_seed(seed)
    ids = torch.tensor([prefix_ids(**wishes)] * CANDIDATES)
    rows = model.generate(ids, do_sample=True, max_new_tokens=TOKENS, min_new_tokens=TOKENS, end_at_bar=False)
    rewards = [reward(wishes, decode(row, strict=False).score) for row in rows.tolist()]
    best, worst = int(np.argmax(rewards)), int(np.argmin(rewards))
    return rows[[best, worst]] if rewards[best] - rewards[worst] >= CLEAR else None


def log_likelihood(model: Any, pairs: torch.Tensor) -> torch.Tensor:
    """Nats, negative, of each piece's tokens, of shape `(n, 2)`, from pairs of shape `(n, 2, length)`."""
    rows = pairs.flatten(0, 1)
    return -token_losses(model(rows).logits, rows).sum(dim=1).view(-1, 2)


def preference_loss(found: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """The loss of each pair, `(n,)`, from the nats of both pieces by the model and by the one it began as."""
    gained = found - reference
    return -F.logsigmoid(beta * (gained[:, 0] - gained[:, 1]))


def tune(model: Any, pairs: torch.Tensor, beta: float, learning_rate: float) -> None:
    """Learns from each pair once, and says how it goes."""
    with torch.no_grad():
        reference = torch.cat([log_likelihood(model, part) for part in tqdm(pairs.split(BATCH), "before")])
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    said: list[list[float]] = []
    for step, (part, before) in enumerate(
        zip(tqdm(pairs.split(BATCH), "learns"), reference.split(BATCH), strict=True)
    ):
        found = log_likelihood(model, part)
        loss = preference_loss(found, before, beta)
        optimizer.zero_grad()
        loss.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        gained = (found - before).detach()
        right = (gained[:, 0] > gained[:, 1]).float()
        said += torch.stack((loss.detach(), right, *gained.T), dim=1).tolist()
        if (step + 1) * BATCH % SAID == 0:
            loss_, right_, better, worse = np.mean(said, axis=0)
            print(
                f"{(step + 1) * BATCH} pairs: loss {loss_:.3f}, the better gains more {right_:.2f},", end=" "
            )
            print(f"nats of the better {better:+.2f}, of the worse {worse:+.2f}", flush=True)
            said = []


def main(argv: Sequence[str] | None = None) -> int:
    """Compose, pair, learn, save; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    parser.add_argument("--model", type=Path, help="a checkpoint; the shipped one if not given")
    parser.add_argument("--prompts", type=int, default=600, help="default 600")
    parser.add_argument("--first-seed", type=int, default=700_000)
    parser.add_argument(
        "--beta", type=float, default=0.1, help="how dear it is to leave the model (default 0.1)"
    )
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    given = parser.parse_args(argv)
    return interruptible(lambda: _run(given))


@errors_in_one_line
def _run(given: argparse.Namespace) -> int:
    model = load_model(given.model).float().eval()
    wishes = asked(-(-given.prompts // 8), given.first_seed)
    order = np.random.default_rng(given.first_seed).permutation(len(wishes))[: given.prompts]
    drawn = [pair_of(model, wishes[i], given.first_seed + int(i)) for i in tqdm(order, "pairs")]
    pairs = [pair for pair in drawn if pair is not None]
    if not pairs:
        raise TrainingError(f"No pair of {len(drawn)} prompts: give more with --prompts ({given.prompts}).")
    print(f"{len(pairs)} pairs of {len(drawn)} prompts")
    tune(model, torch.stack(pairs), given.beta, given.learning_rate)
    model.save_pretrained(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
