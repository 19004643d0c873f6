"""What is fuzzed: each target takes bytes of anyone's and says what became of them, or fails where a defect
shows.

Everything that the targets use is imported when they are called: the fuzzer loads it with its counters of
coverage.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# What a call of the API may hold in place of what is asked for: nobody but JSON has looked at it.
NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 1, 3, 5.0, 2.5, -0.0, 1e-320, 1e308, 10**30, -(2**63), math.nan, math.inf, -math.inf,
    "", "any", "3", "٣", " 4 ", "-1", "1e3", "9" * 5000, "\x00", "\ud800", "C minor", "c-sharp minor", "H", "b", "es",
    "Cb major", "x" * 10**5, "prelude", "6/8", "5/4", "slow", "serene", "kazoo", "organ", "wav", "../../etc/passwd",
    [], [1], ["fugue"], {}, {"a": 1}, [[[]]],
)  # fmt: skip
USUAL: dict[str, Any] = {
    "key": "C minor", "form": "fugue", "bars": "any", "meter": "4/4", "voices": "3", "tempo": "moderate", "mood": "any",
    "temperature": 1.0, "top_k": 0, "top_p": 0.95, "max_tokens": 1000, "seed": 7, "instrument": "piano",
    "sound_format": "mp3", "subject": "C5/8 D5",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        check: takes the bytes; returns one word for what became of them; raises for a defect.
        seeds: whole inputs to begin from.
        mutate: changes an input so that it stays near to what is read; the fuzzer changes bytes besides.
        megabytes: what the process may have in all.
        share: this target's part of all inputs, in hundredths.
    """

    check: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    mutate: Callable[[bytes, random.Random], bytes]
    share: int
    megabytes: int = 400


def one_sentence(error: Exception, most: int = 400) -> None:
    """An error is for people: some text, on one line, not long."""
    text = str(error)
    assert text.strip() and "\n" not in text and len(text) <= most, (
        f"an error that is no sentence: {text[:500]!r}"
    )


def check_file(suffix: str, data: bytes) -> str:
    """A score file: a score within its limits, or the named error."""
    from tokenization.errors import ScoreError
    from tokenization.reading import read_score_bytes

    try:
        score = read_score_bytes(data, suffix)
    except ScoreError as error:
        one_sentence(error)
        return "refused"
    assert len(score) and score.array[:, 3].min() >= 0 and score.array[:, 3].max() < 5
    return "read"


def check_ids(data: bytes) -> str:
    """Token ids, a byte each, from 8 below the vocabulary on: legal ones spell a score that is spelt by them
    again.
    """
    import numpy as np

    from tokenization.codec import decode, encode, first_error, token_errors
    from tokenization.errors import TokenError

    ids = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - 8
    error = first_error(ids)
    share = token_errors(ids)["share"]
    assert 0 <= share <= 3, share
    try:
        score = decode(ids).score
    except TokenError as caught:
        score = None
        one_sentence(caught)
    if score is None:
        assert error is not None and 0 <= (error.position or 0) <= len(ids)
        decode(ids, strict=False)
        return "refused"
    assert error is None
    if len(score):
        again = encode(score)
        assert first_error(again) is None
        assert decode(again).score == score.quantised()
    return "read"


def check_api(data: bytes) -> str:
    """The arguments of `/compose` as JSON: a wish that the composer can resolve, or one named error."""
    from space.controls import MUSICAL, SAMPLING, wish_from
    from space.own import own_wish
    from space.studio import LONGEST_MESSAGE, sentence
    from tokenization.errors import MusicGPTError

    assert (*MUSICAL, *SAMPLING, "instrument", "sound_format", "subject") == tuple(USUAL)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(values, list) or len(values) != len(USUAL):
        return "other arguments"
    try:
        asked = dict(zip(USUAL, values, strict=True))
        subject, played = asked.pop("subject"), [asked.pop(name) for name in ("instrument", "sound_format")]
        wish = wish_from(asked, *played)
        wish = own_wish(wish, "fugue", text=subject) if subject else wish
    except MusicGPTError as error:
        one_sentence(ValueError(sentence(error)), LONGEST_MESSAGE + 1)
        return "refused"
    resolved = wish.settings.resolved()
    assert resolved.temperature > 0 and resolved.max_new_tokens >= 8
    json.dumps(wish.settings.to_dict(), allow_nan=False)
    return "accepted"


def _file_seeds(suffix: str) -> list[bytes]:
    from tests.tokenization.fuzzing import seeds

    return [data for ending, data in seeds() if ending == suffix]


def _file_target(suffix: str, share: int) -> Target:
    def mutate(data: bytes, rng: random.Random) -> bytes:
        from tests.tokenization.fuzzing import damage, damage_bytes

        try:
            return damage(suffix, data, rng)
        except Exception:  # an archive that cannot be opened any more is changed as bytes
            return damage_bytes(data, rng)

    return Target(lambda data: check_file(suffix, data), lambda: _file_seeds(suffix), mutate, share)


def _ids_seeds() -> list[bytes]:
    from tests.tokenization.fuzzing import sample_score
    from tokenization.codec import encode

    return [
        (encode(sample_score(i, notes)) + 8).astype("uint8").tobytes() for i, notes in enumerate((2, 9, 60))
    ]


def _mutate_ids(data: bytes, rng: random.Random) -> bytes:
    """Another id of the same kind is the likeliest, so that more of the grammar is seen."""
    ids = bytearray(data or b"\0")
    for _ in range(rng.randint(1, 4)):
        at, kind = rng.randrange(len(ids)), rng.randrange(5)
        if kind < 2:
            ids[at] = min(255, max(0, ids[at] + rng.choice((-1, 1, -4, 4))))
        elif kind == 2:
            ids[at] = rng.randrange(170)
        elif kind == 3:
            ids[at:at] = ids[at : at + rng.choice((1, 4, 8))]
        elif len(ids) > 8:
            del ids[at : at + rng.choice((1, 4))]
    return bytes(ids)


def _mutate_api(data: bytes, rng: random.Random) -> bytes:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    usual = list(USUAL.values())
    if not isinstance(values, list) or len(values) != len(usual):
        values = list(usual)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(values))
        value = values[at]
        if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.3:
            values[at] = value * rng.choice((-1, 0.5, 2, 10**6)) + rng.choice((0, 1, -0.5))
        elif rng.random() < 0.5:
            values[at] = rng.choice(NASTY)
        else:
            values[at] = usual[at]
    return json.dumps(values).encode()


TARGETS = {
    "midi": _file_target(".mid", 25),
    "musicxml": _file_target(".musicxml", 20),
    "mxl": _file_target(".mxl", 15),
    "table": _file_target(".tsv", 15),
    "ids": Target(check_ids, _ids_seeds, _mutate_ids, 15),
    "api": Target(
        check_api, lambda: [json.dumps(list(USUAL.values())).encode()], _mutate_api, 10, megabytes=600
    ),
}
assert sum(target.share for target in TARGETS.values()) == 100


def try_mutations(name: str, seed: int, count: int) -> Counter[str]:
    """What became of so many inputs that were changed between one and four times, without a fuzzer."""
    target, rng = TARGETS[name], random.Random(seed)
    seeds = target.seeds()
    outcomes: Counter[str] = Counter()
    for number in range(count):
        data = rng.choice(seeds)
        for _ in range(rng.randint(1, 4)):
            data = target.mutate(data, rng)
        try:
            outcomes[target.check(data)] += 1
        except Exception as error:
            raise AssertionError(
                f"input {number} of seed {seed} ({name}): {type(error).__name__}: {error}"
            ) from error
    return outcomes
