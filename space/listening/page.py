"""The page and its key: sound inside one HTML file, the truth in a JSON file of its own, so that nobody who
listens holds it.
"""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from space.audio import Sound, mp3_bytes, synthesise
from tokenization.midi_writer import write_whole

from .design import BOUND, POWER, Clip, Trial, listeners_needed

TEMPLATE = Path(__file__).parent / "page.html"
FADE = 1.5  # seconds in which an excerpt dies away
KILOBITS = 64  # of one channel
# Seconds of each clip that must be heard before an answer counts.
LEAST_HEARD = 10.0


def write_test(
    trials: Sequence[Trial],
    out: str | os.PathLike,
    seed: int,
    instrument: str = "piano",
    least_heard: float = LEAST_HEARD,
) -> Path:
    """Write the page and, beside it, `NAME.key.json`; each whole or not at all.

    Args:
        trials: of `design.design`.
        out: the HTML file.
        seed: of the design; names of clips follow from it.
        instrument: one for all, see `space.audio.INSTRUMENTS`.
        least_heard: seconds of each clip before an answer is taken.

    Returns:
        The key's path.

    Raises:
        MusicGPTError: if a clip cannot be played.
    """
    from tqdm import tqdm

    out = Path(out)
    names = _names(2 * len(trials), seed)
    key: dict[str, Any] = {"test": f"{seed}-{names[0]}", "instrument": instrument, "clips": {}, "trials": {}}
    sounds, shown = {}, []
    for i, trial in enumerate(tqdm(trials, desc="Rendering", unit="trial", disable=None)):
        pair = names[2 * i : 2 * i + 2]
        for name, clip in zip(pair, (trial.first, trial.second), strict=True):
            sounds[name] = base64.b64encode(_sound_of(clip, instrument)).decode()
            key["clips"][name] = {"source": clip.source, "piece": clip.piece, "bars": clip.bars}
        key["trials"][f"t{i + 1:02d}"] = {"clips": pair, "catch": trial.catch}
        shown.append({"trial": f"t{i + 1:02d}", "clips": pair})
    real = sum(not trial.catch for trial in trials)
    answers, listeners = listeners_needed(real)
    key["planned"] = {"bound": BOUND, "power": POWER, "independent_answers": answers, "listeners": listeners}
    facts = {"test": key["test"], "trials": shown, "least_heard": least_heard}
    text = (
        TEMPLATE.read_text(encoding="utf-8")
        .replace("__FACTS__", _as_script(facts))
        .replace("__SOUNDS__", _as_script(sounds))
    )
    text = text.replace("__TRIALS__", html.escape(str(len(trials))))
    place = out.with_name(f"{out.stem}.key.json")
    write_whole(place, json.dumps(key, indent=1).encode())
    write_whole(out, text.encode())
    return place


def _names(count: int, seed: int) -> list[str]:
    """Names that say nothing of what they name."""
    numbers = np.random.default_rng([seed, 1]).choice(16**6, size=count, replace=False)
    return [f"{number:06x}" for number in numbers]


def _sound_of(clip: Clip, instrument: str) -> bytes:
    """The clip as MP3 of one channel, faded out."""
    sound = synthesise(clip.score, instrument)
    samples = sound.samples.mean(axis=1, dtype=np.float32)
    fade = min(len(samples), int(FADE * sound.rate))
    samples[len(samples) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return mp3_bytes(Sound(samples.astype("<i2")[:, None], sound.rate), KILOBITS)


def _as_script(value: Any) -> str:
    """JSON that may stand inside a `<script>`."""
    return json.dumps(value).replace("<", "\\u003c")
