"""Many pieces with different seeds: are all legal, none empty, no two alike, none looping on one note?

    python benchmarks/many_pieces.py [--pieces 100] [--tokens 1000] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# More than in any movement of the WTC here: the largest share of one pitch is 0.126, the longest run of one pitch in a voice 16 (BWV 846).
LARGEST_SHARE, LONGEST_RUN = 0.2, 16


def main() -> int:
    """Print the counts; exit code 1 if one of them is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = generate(arguments.pieces, arguments.tokens, arguments.first_seed)
    result = judge(rows)
    print(json.dumps(result, indent=1) if arguments.json else "\n".join(f"{k:28}{v}" for k, v in result.items()))
    wrong = ("illegal", "empty", "alike", "looping")
    return int(any(result[name] for name in wrong))


def generate(pieces: int, tokens: int, first_seed: int) -> list[list[int]]:
    """Ids of each piece, prompt included: form and mode by turns, sampling as the checkpoint's generation config says."""
    import torch
    from tqdm import tqdm

    from modeling_musicgpt import MusicGPTForCausalLM, shipped_checkpoint
    from tokenization import prefix_ids

    model = MusicGPTForCausalLM.from_pretrained(shipped_checkpoint())
    rows = []
    for k in tqdm(range(pieces), desc="pieces", unit="piece", disable=None):
        prompt = prefix_ids(mode=("major", "minor")[k % 2], form=("prelude", "fugue")[k // 2 % 2], meter="4/4")
        torch.manual_seed(first_seed + k)
        ids = torch.tensor([prompt])
        rows.append(model.generate(ids, max_new_tokens=tokens, attention_mask=torch.ones_like(ids))[0].tolist())
    return rows


def judge(rows: list[list[int]]) -> dict[str, float | int]:
    """Counts over the pieces."""
    from tokenization import TokenError, decode
    from tokenization.score import PITCH, VOICE

    scores, illegal = [], 0
    for ids in rows:
        try:
            scores.append(decode(ids).score)
        except TokenError:
            illegal += 1
    looping, shares, runs = 0, [], []
    for score in scores:
        pitches = score.array[:, PITCH].tolist()
        shares.append(max(Counter(pitches).values()) / max(1, len(pitches)))
        runs.append(max((_longest_run(score.array[score.array[:, VOICE] == v, PITCH].tolist()) for v in range(5)), default=0))
        looping += shares[-1] > LARGEST_SHARE or runs[-1] > LONGEST_RUN
    notes = sorted(len(score) for score in scores)
    return {
        "pieces": len(rows),
        "illegal": illegal,
        "empty": sum(not len(score) for score in scores),
        "alike": len(rows) - len({tuple(score.array.ravel().tolist()) for score in scores}) - illegal,
        "looping": looping,
        "largest share of one pitch": round(max(shares), 3),
        "longest run of one pitch": max(runs),
        "ended by <eos>": sum(ids[-1] == 2 for ids in rows),
        "notes, least": notes[0],
        "notes, median": notes[len(notes) // 2],
        "notes, most": notes[-1],
    }


def _longest_run(values: list[int]) -> int:
    best = run = 0
    before = None
    for value in values:
        run = run + 1 if value == before else 1
        best, before = max(best, run), value
    return best


if __name__ == "__main__":
    sys.exit(main())
