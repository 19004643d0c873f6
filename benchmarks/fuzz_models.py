"""Hostile configs and weight files against loading and generating: `python -m benchmarks.fuzz_models --cases
10000`.

Every second case or more is a config of random values, given to `MusicGPTConfig` and, where that takes it, to
a model that generates; the others are damaged weight files. Both go as a folder to the composer, too. All
that may happen is a piece or a named error. Cases run in processes of their own: a signal, a traceback, or a
case that takes longer than a minute is a finding, and its number is printed with which `--first N --cases 1`
shows it again.
"""

from __future__ import annotations

import argparse
import faulthandler
import inspect
import json
import multiprocessing
import random
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 512,
}
CASE_SECONDS, START_SECONDS = 60, 600
ADDRESS_SPACE = 12 << 30  # more than torch maps, less than what would freeze the machine
MOST_PARAMETERS = 2_000_000
# One case in so many is a weight file.
WEIGHTS_EVERY = 5
# Fields of transformers' own, which only the composer has to withstand: it leaves them out.
FOREIGN = [
    *("quantization_config", "auto_map", "rope_scaling", "dtype"),
    *("return_dict", "layer_types", "id2label", "is_encoder_decoder"),
]
STRANGE = [
    *(0, 1, -1, 2, 3, 7, 17, 64, 149, 150, 151, 255, 256, 1024, 1025, 65_537),
    *(2**31, 2**63, -(2**63), 2**70),
    *(0.0, 0.5, -0.5, 1.0, 1e-300, 1e300, float("nan"), float("inf")),
    *(True, False, None, "", "gelu", "none", "both", "relu", "0"),
    *([], [0], [1, 2, 3], [-1], {}, {"NOTE": [0, 0]}),
]


def strange_config(rng: random.Random) -> dict[str, Any]:
    """A config of a tiny model with up to four fields of other values, about half of which fit together."""
    from modeling_musicgpt import MusicGPTConfig

    base = MusicGPTConfig(**TINY).to_dict()
    data = {**base}
    fields = list(inspect.get_annotations(MusicGPTConfig))
    for _ in range(rng.randint(1, 4)):
        name = rng.choice(fields)
        data[name] = rng.choice(_mild(name, base[name], rng)) if rng.random() < 0.6 else rng.choice(STRANGE)
    if rng.random() < 0.1:
        data[rng.choice(FOREIGN)] = rng.choice(STRANGE)
    return data


def _mild(name: str, value: Any, rng: random.Random) -> list[Any]:
    """Values of a field's own type, inside and just outside of its range."""
    if name == "token_blocks":
        blocks = {key: list(block) for key, block in value.items()}
        blocks[rng.choice(list(blocks))][rng.randrange(2)] = rng.choice([0, 1, 5, 22, 64, 127, 150, -1])
        return [blocks]
    if isinstance(value, list):
        changed = list(value)
        changed[rng.randrange(len(changed))] = rng.choice(
            [0, 1, 143, 144, 145, 199, 255, 256, 1024, 1025, -1]
        )
        return [changed, changed[1:], sorted(changed, reverse=True)]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [max(0, value + rng.choice([-2, -1, 1, 2])), value * 2, value // 2, 1, 0, 16, 48]
    if isinstance(value, float):
        return [value * 2, 0.0, 1.0, 0.5]
    return ["time", "token", "none", "both", "bar", "relu", "silu", value]


def damaged(weights: bytes, rng: random.Random) -> bytes:
    """A weight file with one thing wrong: its length, some bits, its header, or its numbers."""
    import numpy as np

    size = int.from_bytes(weights[:8], "little")
    kind, data = rng.randrange(6), bytearray(weights)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:  # bits of the header or its length
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(8 + size)] ^= 1 << rng.randrange(8)
    elif kind == 2:  # bits of the numbers
        for _ in range(rng.randint(1, 64)):
            data[rng.randrange(8 + size, len(data))] ^= 1 << rng.randrange(8)
    elif kind == 3:
        at = 8 + size + 4 * rng.randrange((len(data) - 8 - size) // 4)
        data[at : at + 4] = np.float32(rng.choice([np.nan, np.inf, -np.inf, 3e38, -1e30, 1e20])).tobytes()
    elif kind == 4:
        return rng.randbytes(rng.randrange(4096))
    else:
        return _other_header(json.loads(data[8 : 8 + size]), bytes(data[8 + size :]), rng)
    return bytes(data)


def _other_header(header: dict[str, Any], rest: bytes, rng: random.Random) -> bytes:
    name = rng.choice([key for key in header if key != "__metadata__"])
    entry = header[name]
    change = rng.randrange(6)
    if change == 0:
        del header[name]
    elif change == 1:
        header[name + "x"] = header.pop(name)
    elif change == 2:
        entry["shape"] = rng.choice(
            [entry["shape"][::-1], [*entry["shape"], 1], [-1], [2**62, 2**62], [0], "x"]
        )
    elif change == 3:
        entry["dtype"] = rng.choice(["F16", "I32", "U8", "F64", "BOOL", "X", 3])
    elif change == 4:
        entry["data_offsets"] = rng.choice([[0, 4], [5, 1], [0, 2**63], [-4, 4], [0], None])
    else:
        header["extra"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def run_case(number: int, folder: Path, base: Path) -> str:
    """One case; returns what came of it: `refused` or `composed`.

    Raises:
        Exception: anything that a user should never see.
    """
    rng = random.Random(number)
    if number % WEIGHTS_EVERY == 0:
        (folder / "config.json").write_bytes((base / "config.json").read_bytes())
        (folder / "model.safetensors").write_bytes(damaged((base / "model.safetensors").read_bytes(), rng))
        return compose(folder, number)
    data = strange_config(rng)
    (folder / "config.json").write_text(json.dumps(data))
    (folder / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes())
    alone = generate(data, folder, number)
    whole = compose(folder, number)
    return "composed" if "composed" in (alone, whole) else "refused"


def generate(data: dict[str, Any], folder: Path, seed: int) -> str:
    """Build a model of a config, save its weights and let it generate, as transformers' users do."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors.torch import save_model

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    try:
        config = MusicGPTConfig(
            **{name: data[name] for name in inspect.get_annotations(MusicGPTConfig) if name in data}
        )
    except (StrictDataclassError, ValueError, TypeError):
        return "refused"
    with torch.device("meta"):
        if sum(p.numel() for p in MusicGPTForCausalLM(config).parameters()) > MOST_PARAMETERS:
            return "refused"
    torch.manual_seed(seed)
    model = MusicGPTForCausalLM(config).eval()
    save_model(model, str(folder / "model.safetensors"))
    first = config.bos_token_id if config.bos_token_id is not None and config.bos_token_id >= 0 else 0
    room = min(16, config.max_position_embeddings - 1)
    model.generate(
        torch.full((1, 1), first),
        do_sample=True,
        max_new_tokens=room,
        attention_mask=torch.ones(1, 1, dtype=torch.long),
    )
    return "composed"


def compose(folder: Path, seed: int) -> str:
    """The folder given to the composer, as `musicgpt generate --model` does."""
    from musicgpt import Composer, Settings
    from tokenization.errors import MusicGPTError

    form = ("prelude", "fugue")[seed % 2]
    try:
        Composer.from_pretrained(folder).compose(Settings(form=form, seed=seed, max_new_tokens=24))
    except MusicGPTError as error:
        if len(str(error).splitlines()) != 1:
            raise RuntimeError("the error is not one line") from error
        return "refused"
    return "composed"


def work(first: int, cases: int, told: Connection) -> None:
    """Run cases in this process; sends the number of each and what came of it, and last its memory in MB."""
    import torch
    from transformers.utils import logging

    from modeling_musicgpt import MusicGPTConfig, MusicGPTForCausalLM

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        base, folder = Path(scratch) / "base", Path(scratch) / "case"
        folder.mkdir()
        torch.manual_seed(0)
        MusicGPTForCausalLM(MusicGPTConfig(**TINY)).save_pretrained(base)
        for number in range(first, first + cases):
            told.send((number, ""))
            try:
                outcome = run_case(number, folder, base)
            except Exception:
                outcome = "traceback " + " | ".join(traceback.format_exc().splitlines()[-3:])
            told.send((number, outcome))
    told.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "peak"))


def supervise(first: int, cases: int) -> tuple[Counter, list[str], int]:
    """Run cases in processes, a new one after each that died or hung.

    Returns:
        how often which outcome; the findings; the largest memory of a process in MB.
    """
    from tqdm import tqdm

    outcomes: Counter = Counter()
    findings: list[str] = []
    peak, last = 0, first + cases
    with tqdm(total=cases, desc="cases", disable=None) as bar:
        while first < last:
            heard, told = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.get_context("spawn").Process(
                target=work, args=(first, last - first, told)
            )
            process.start()
            told.close()
            for number, outcome in _reports(heard, process):
                if outcome == "peak":
                    peak = max(peak, number)
                    continue
                first = number + bool(outcome)
                if outcome:
                    bar.update()
                    outcomes[outcome.split()[0]] += 1
                    if outcome.startswith("traceback"):
                        findings.append(f"{number}: {outcome}")
            process.join()
            if process.exitcode:  # what it said of it stands above
                outcomes["died"] += 1
                findings.append(f"{first}: {_end(process.exitcode)}")
                first += 1
                bar.update()
    return outcomes, findings, peak


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"


def _reports(heard: Connection, process: Any) -> Iterator[tuple[int, str]]:
    """What a worker sends; it is killed when nothing comes for a minute, or for ten before the first, while
    it imports.
    """
    wait = START_SECONDS
    while heard.poll(wait):
        try:
            yield heard.recv()
        except EOFError:
            return
        wait = CASE_SECONDS
    process.kill()


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz_models", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=1)
    given = parser.parse_args(argv)
    outcomes, findings, peak = supervise(given.first, given.cases)
    print(
        f"{sum(outcomes.values())} cases: {dict(outcomes)}; largest process {peak} MB; {len(findings)}"
        " findings"
    )
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
