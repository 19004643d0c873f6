"""Coverage-guided fuzzing by Atheris (libFuzzer) with ceilings on memory and time.

    pip install atheris                                    # wheels for Linux; not needed by the tests
    python -m tests.fuzz --inputs 100000                   # all targets; the working corpus is kept in .fuzz
    python -m tests.fuzz --target midi --inputs 5000

It goes on from the inputs that earlier runs kept, and ends with 1 where something was found: the input lies
in `.fuzz/TARGET/found-*` then. Once mended, copy it to `tests/fuzz/corpus/TARGET`, where the tests read it
from then on.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 10  # for one input: the largest that the readers admit take less than four on a slow core
LONGEST = 64 * 1024  # bytes of an input
PACKAGES = ["tokenization", "space", "musicgpt"]


def fuzz(name: str, inputs: int, seed: int, work: Path) -> None:
    """Fuzz one target in this process; libFuzzer ends the process, with 0 where nothing was found."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.targets import TARGETS

        target = TARGETS[name]
        for data in target.seeds():
            target.check(data)  # imports what is fuzzed

    def mutate(data: bytes, longest: int, number: int) -> bytes:
        rng = random.Random(number)
        return target.mutate(data, rng)[:longest] if rng.random() < 0.5 else atheris.Mutate(data, longest)

    kept = work / "corpus"
    kept.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (kept / f"seed-{number}").write_bytes(data)
    limits = [f"-rss_limit_mb={target.megabytes}", f"-timeout={SECONDS}", f"-max_len={LONGEST}"]
    paths = [str(kept), *([str(CORPUS / name)] if (CORPUS / name).is_dir() else [])]
    options = [
        f"-runs={inputs}",
        f"-seed={seed}",
        f"-artifact_prefix={work}/found-",
        "-print_final_stats=1",
        "-len_control=0",
    ]
    atheris.Setup(
        [sys.argv[0], *limits, *options, *paths], lambda data: target.check(data), custom_mutator=mutate
    )
    atheris.Fuzz()


def run_target(name: str, inputs: int, seed: int, work: Path) -> tuple[bool, str]:
    """Fuzz one target in a process of its own; whether nothing was found, and a line of figures."""
    from tests.fuzz.targets import TARGETS

    begun = time.perf_counter()
    command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--work", str(work.parent), "--here"]
    command += ["--inputs", str(inputs), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr)
    if done.returncode != 0:
        print(done.stderr[-4000:], file=sys.stderr)
    cells = (
        name,
        f"{int(stats.get('number_of_executed_units', 0)):,}",
        covered[-1][0] if covered else "-",
        covered[-1][2] if covered else "-",
        stats.get("slowest_unit_time_sec", "-"),
        f"{stats.get('peak_rss_mb', '-')} of {TARGETS[name].megabytes}",
        f"{time.perf_counter() - begun:.0f}",
        "nothing" if done.returncode == 0 else f"exit code {done.returncode}",
    )
    return done.returncode == 0, "| " + " | ".join(cells) + " |"


def main() -> int:
    """Fuzz the targets one after the other and print a table; 1 if anything was found."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--target", choices=list(TARGETS), help="only this one, with all inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, default=ROOT / ".fuzz", help="where what it learns is kept")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        fuzz(given.target, given.inputs, given.seed, given.work / given.target)
    print("| target | inputs | edges | kept | slowest, s | peak memory, MB | time, s | found |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)
    clean = True
    for name in [given.target] if given.target else list(TARGETS):
        inputs = given.inputs if given.target else given.inputs * TARGETS[name].share // 100
        fine, line = run_target(name, inputs, given.seed, given.work / name)
        clean &= fine
        print(line, flush=True)
    return 0 if clean else 1


if __name__ == "__main__":
    raise SystemExit(main())
