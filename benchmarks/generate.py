"""Speed of MusicGPT beside Hugging Face's own GPT-2 of the same size, with the same arguments, in the same run.

    python benchmarks/generate.py                       # one piece and 16, with one thread and with two; a GPU too where there is one
    python benchmarks/generate.py --batch 1 --threads 1 --json out.json
    python benchmarks/generate.py --ways engine stock-loop    # several ways of MusicGPT in turns, see below
    python benchmarks/generate.py --threads 1 --cpu-time   # seconds of the processor, where others use the computer too

The ways are `engine`, the usual one; `own-processor`, with a logits processor that only Python knows, which
changes nothing; `stock-loop`, without the engine; `composer`, all its rules, fugues in four voices. Both
models sample with top-k 50 and top-p 0.95, MusicGPT with its grammar; all take turns, and of every setting
the median counts. The ratio is between each side's best number of threads. GPT-2 (4 layers, 256 wide,
150 tokens, 4,096 positions) has random weights and composes nothing: its notes and its seconds of music are
its tokens over MusicGPT's tokens a note and a second. Peak memory and start are measured in processes of
their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TICKS_PER_QUARTER, QUARTERS_PER_MINUTE = 24, 80
MODELS = ("gpt2", "musicgpt")
WAYS = ("engine", "own-processor", "stock-loop", "composer")
PREFIX = [1, 4, 7, 10, 22]  # <bos>, major, fugue, 4/4, four voices
SAMPLING = {"do_sample": True, "top_k": 50, "top_p": 0.95, "pad_token_id": 0}


def load(name: str, checkpoint: str | None, device: str) -> Any:
    """One of the two models."""
    import torch

    if name == "gpt2":
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        sizes = {"vocab_size": 150, "n_positions": 4096, "n_embd": 256, "n_layer": 4, "n_head": 8}
        return (
            GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=None, pad_token_id=0))
            .eval()
            .to(device)
        )
    from modeling_musicgpt import MusicGPTForCausalLM, shipped_checkpoint

    return MusicGPTForCausalLM.from_pretrained(checkpoint or shipped_checkpoint()).eval().to(device)


def compose(model: Any, batch: int, new_tokens: int, seed: int) -> Any:
    """The tokens of fugues by the composer, one after another: they close, so that their lengths differ."""
    import torch

    from musicgpt import Composer, Settings

    settings = Settings(form="fugue", voices=4, seed=1 + 100 * seed, max_new_tokens=new_tokens, min_bars=1000)
    pieces = Composer(model).compose(settings, num=batch)
    return torch.tensor([token for piece in pieces for token in piece.ids[len(PREFIX) :]])


def own_processor(input_ids: Any, scores: Any) -> Any:
    """A logits processor that changes nothing."""
    return scores


def generate(
    model: Any, batch: int, new_tokens: int, seed: int, streamer: Any = None, processors: Any = None
) -> Any:
    """The new tokens, `(batch, new_tokens)`: pieces do not end before, so that all have the same length."""
    import torch

    ids = torch.tensor([PREFIX] * batch, device=model.device)
    torch.manual_seed(seed)
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens,
        streamer=streamer,
        logits_processor=processors,
        **SAMPLING,
    )
    return out[:, len(PREFIX) :].cpu()


class FirstNote:
    """A streamer that notes when the first note is complete: the TIME at the beginning, and four tokens."""

    def __init__(self):
        self.begun, self.seconds, self.seen = time.perf_counter(), 0.0, 0

    def put(self, value: Any) -> None:
        self.seen += 1
        if self.seen == 6:  # the prompt comes first
            self.seconds = time.perf_counter() - self.begun

    def end(self) -> None:
        pass


def run(models: dict[str, Any], way: str, batch: int, new_tokens: int, seed: int) -> Any:
    """The new tokens of GPT-2, or of a way of MusicGPT."""
    if way == "gpt2":
        return generate(models["gpt2"], batch, new_tokens, seed)
    model = models["musicgpt"]
    model.fast_decoding = way != "stock-loop"
    if way == "composer":
        return compose(model, batch, new_tokens, seed)
    return generate(
        model, batch, new_tokens, seed, processors=[own_processor] if way == "own-processor" else None
    )


def measure(models: dict[str, Any], batch: int, threads: int, args: argparse.Namespace) -> dict[str, dict]:
    """All in turns: tokens a second (median and all), what a token is worth in music, and of the models
    themselves the first note.
    """
    import torch

    torch.set_num_threads(threads)
    clock = time.process_time if args.cpu_time else time.perf_counter
    runs: dict[str, list[float]] = {way: [] for way in ("gpt2", *args.ways)}
    first: dict[str, float] = {}
    music = (0.0, 0.0)
    for way in runs:
        run(models, way, batch, 16, 0)  # warm
        if way != "composer":
            streamer = FirstNote()
            generate(models["gpt2" if way == "gpt2" else "musicgpt"], 1, 8, 0, streamer)
            first[way] = streamer.seconds
    for seed in range(args.repeats):
        for way, speeds in runs.items():
            begun = clock()
            ids = run(models, way, batch, args.new_tokens, seed)
            speeds.append(ids.numel() / (clock() - begun))
            if way != "gpt2":
                music = worth(ids, models["musicgpt"].config)
    return {way: row(speeds, first.get(way, 0.0), music) for way, speeds in runs.items()}


def worth(ids: Any, config: Any) -> tuple[float, float]:
    """Notes and seconds of music in a token."""
    first, count = config.token_blocks["NOTE"]
    notes = ((ids >= first) & (ids < first + count)).sum().item()
    start, steps = config.token_blocks["TIME"][0], config.time_steps
    ticks = sum(steps[i - start] for i in ids.flatten().tolist() if 0 <= i - start < len(steps))
    return notes / ids.numel(), ticks / TICKS_PER_QUARTER / QUARTERS_PER_MINUTE * 60 / ids.numel()


def row(tokens: list[float], first: float, music: tuple[float, float]) -> dict:
    """The figures of one way and number of threads: tokens/s of each run, seconds to the first note, notes
    and seconds of music a token.
    """
    speed = statistics.median(tokens)
    return {
        "tokens_per_second": speed,
        "all_runs": tokens,
        "notes_per_second": speed * music[0],
        "music_seconds_per_second": speed * music[1],
        "first_note_ms": 1000 * first,
    }


def cost_of_start(name: str, batch: int, args: argparse.Namespace) -> dict:
    """Import, start (load and first eight tokens) and peak memory of a model, in a process of its own."""
    command = [sys.executable, __file__, "--start-of", name, "--batch", str(batch)]
    command += ["--new-tokens", str(args.new_tokens)]
    command += ["--checkpoint", args.checkpoint] if args.checkpoint else []
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def memory(what: str) -> float:
    """Resident memory now (`VmRSS`) or at its peak (`VmHWM`), in MB; off Linux always the peak, with the
    parent's size up to the moment of the fork.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1 << 20 if sys.platform == "darwin" else 1 << 10
        )
    return (
        next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(what)) / 1024
    )


def forget_peak() -> None:
    """What an import needed for a moment does not count."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("# the peak of the memory includes the import's own", file=sys.stderr)


def start_of(args: argparse.Namespace) -> None:
    """The child of `cost_of_start`."""
    begun = time.perf_counter()
    import torch
    import transformers  # noqa: F401
    from transformers import GPT2LMHeadModel  # noqa: F401

    import modeling_musicgpt  # noqa: F401

    torch.set_num_threads(1)
    imported, base = time.perf_counter() - begun, memory("VmRSS")
    forget_peak()
    begun = time.perf_counter()
    model = load(args.start_of, args.checkpoint, "cpu")
    generate(model, 1, 8, 0)
    started = time.perf_counter() - begun
    generate(model, args.batch[0], args.new_tokens, 0)
    peak = memory("VmHWM")
    result = {
        "import_s": imported,
        "start_s": started,
        "import_mb": base,
        "peak_mb": peak,
        "above_import_mb": peak - base,
    }
    print(json.dumps(result))


def compare(device: str, args: argparse.Namespace) -> list[dict]:
    """All settings on one device."""
    models = {name: load(name, args.checkpoint, device) for name in MODELS}
    threads = args.threads if device == "cpu" else args.threads[:1]
    results = []
    for batch in args.batch:
        settings = {n: measure(models, batch, n, args) for n in threads}
        best = {
            way: max(settings, key=lambda n: settings[n][way]["tokens_per_second"])
            for way in settings[threads[0]]
        }
        speed = {way: settings[n][way]["tokens_per_second"] for way, n in best.items()}
        result = {
            "device": device,
            "batch": batch,
            "by_threads": settings,
            "best_threads": best,
            "ratios": {way: speed[way] / speed["gpt2"] for way in args.ways},
        }
        if device == "cpu" and not args.cpu_time:
            result["start"] = {name: cost_of_start(name, batch, args) for name in MODELS}
        results.append(result)
        show(result)
    return results


def show(result: dict) -> None:
    """Print the table of one batch size."""
    print(f"\n{result['device']}, batch {result['batch']}")
    print(f"{'':14}{'threads':>8}{'tokens/s':>10}{'notes/s':>9}{'music s/s':>11}{'first note ms':>15}")
    for threads, ways in result["by_threads"].items():
        for way, r in ways.items():
            best = " best" if result["best_threads"][way] == threads else ""
            first = f"{r['first_note_ms']:>15.1f}" if r["first_note_ms"] else f"{'':15}"
            print(
                f"{way:14}{threads:>8}{r['tokens_per_second']:>10.0f}{r['notes_per_second']:>9.0f}"
                f"{r['music_seconds_per_second']:>11.1f}{first}{best}"
            )
    for name, r in result.get("start", {}).items():
        print(
            f"{name:14}import {r['import_s']:.1f} s, load and first 8 tokens {r['start_s']:.1f} s, peak"
            f" memory {r['peak_mb']:.0f} MB ({r['above_import_mb']:.0f} MB above the import)"
        )
    for way, ratio in result["ratios"].items():
        print(f"{way} / GPT-2, each at its best: {ratio:.2f}", flush=True)


def main() -> None:
    """Measure what is asked for, print it, write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--new-tokens", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["engine"], help="of MusicGPT")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count seconds of the processor instead of those of the clock (one thread), and not the start",
    )
    parser.add_argument("--checkpoint", help="folder of a MusicGPT checkpoint (default: the shipped one)")
    parser.add_argument("--device", choices=("cpu", "cuda", "all"), default="all")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--start-of", choices=MODELS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    if args.start_of:
        start_of(args)
        return
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    devices = ["cpu"] if args.device != "cuda" else []
    devices += ["cuda"] if args.device != "cpu" and torch.cuda.is_available() else []
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__},"
        f" {args.new_tokens} new tokens"
    )
    results = [result for device in devices for result in compare(device, args)]
    if args.json:
        from training.validate import write_json

        write_json(args.json, {"new_tokens": args.new_tokens, "torch": torch.__version__, "results": results})


if __name__ == "__main__":
    main()
