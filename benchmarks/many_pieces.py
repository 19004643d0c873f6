"""Many pieces with different seeds: are all legal, none empty, no two alike, none looping on one note?

python benchmarks/many_pieces.py [--pieces 100] [--tokens 1000] [--unlimited] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    """Print the counts; exit code 1 if one of them is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--unlimited", action="store_true", help="let notes repeat without the limit of generate()"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = generate(arguments.pieces, arguments.tokens, arguments.first_seed, not arguments.unlimited)
    result = judge(rows)
    print(
        json.dumps(result, indent=1) if arguments.json else "\n".join(f"{k:28}{v}" for k, v in result.items())
    )
    wrong = ("illegal", "empty", "alike", "looping")
    return int(any(result[name] for name in wrong))


def generate(pieces: int, tokens: int, first_seed: int, limit: bool) -> list[list[int]]:
    """Ids of each piece, prompt included: form and mode by turns, sampling as the checkpoint's generation
    config says.
    """
    import torch
    from tqdm import tqdm

    from modeling_musicgpt import MusicGPTForCausalLM, shipped_checkpoint
    from tokenization import prefix_ids

    model = MusicGPTForCausalLM.from_pretrained(shipped_checkpoint())
    rows = []
    for k in tqdm(range(pieces), desc="pieces", unit="piece", disable=None):
        prompt = prefix_ids(
            mode=("major", "minor")[k % 2], form=("prelude", "fugue")[k // 2 % 2], meter="4/4"
        )
        torch.manual_seed(first_seed + k)
        ids = torch.tensor([prompt])
        rows.append(
            model.generate(
                ids, max_new_tokens=tokens, attention_mask=torch.ones_like(ids), limit_repetition=limit
            )[0].tolist()
        )
    return rows


def judge(rows: list[list[int]]) -> dict[str, float | int]:
    """Counts over the pieces. One loops on a note if some passage holds it more often than any passage of Bach's
    (`WINDOWS`).
    """
    import numpy as np

    from modeling_musicgpt.repetition_musicgpt import WINDOWS
    from tokenization import TokenError, decode
    from tokenization.score import PITCH

    scores, illegal = [], 0
    for ids in rows:
        try:
            scores.append(decode(ids).score)
        except TokenError:
            illegal += 1
    looping, shares = 0, []
    for score in scores:
        pitches = score.array[:, PITCH]
        shares.append(np.bincount(pitches).max() / len(pitches))
        looping += any(_most_often(pitches, window) > limit for window, limit in WINDOWS)
    notes = sorted(len(score) for score in scores)
    return {
        "pieces": len(rows),
        "illegal": illegal,
        "empty": sum(not len(score) for score in scores),
        "alike": len(rows) - len({tuple(score.array.ravel().tolist()) for score in scores}) - illegal,
        "looping": looping,
        "largest share of one pitch": round(float(max(shares)), 3),
        "ended by <eos>": sum(ids[-1] == 2 for ids in rows),
        "notes, least": notes[0],
        "notes, median": notes[len(notes) // 2],
        "notes, most": notes[-1],
    }


def _most_often(pitches: np.ndarray, window: int) -> int:
    """The most often that one pitch stands in `window` successive notes."""
    import numpy as np

    # (n,) -> (n - window + 1, window)
    parts = np.lib.stride_tricks.sliding_window_view(pitches, min(window, len(pitches)))
    return max(int(np.bincount(part).max()) for part in parts)


if __name__ == "__main__":
    sys.exit(main())
