"""Many visitors: each opens a session of its own, asks for pieces, and must get exactly those with all files.

    python benchmarks/space_load.py [--visitors 20] [--seconds 60] [--pieces 1] [--tokens 1000] [--url http://127.0.0.1:7860]
    python benchmarks/space_load.py --visitors 200 --seconds 600 --kill-every 60          # the soak: ten minutes, one death a minute
    python benchmarks/space_load.py --visitors 4 --seconds 4 --pieces 250 --tokens 64     # memory over a thousand pieces

Without `--url` a Space is started for it; only then can its processes be killed. Every visitor has an address
of its own and asks for a key and seeds of its own; what comes back is checked against both, and at the end
the last piece of every tenth visitor who was served is asked for again, alone, and must be the same to the
byte. The server's memory is read a hundred times on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from tokenization import read_score
from tokenization.key import KEY_NAMES

ROOT = Path(__file__).resolve().parent.parent


def healthy(url: str) -> dict[str, Any]:
    """What the server says of itself; nothing as long as it has no model."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return {}


@contextlib.contextmanager
def started() -> Iterator[tuple[str, int]]:
    """Start a Space; its address and its process, once its page answers."""

    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        begun = time.perf_counter()
        with open(log, "wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "space.app"], cwd=ROOT, env=environment, stdout=stream, stderr=stream
            )
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                if process.poll() is not None:
                    raise RuntimeError(f"the Space did not start:\n{log.read_text()}")
                time.sleep(0.05)
            urllib.request.urlopen(found[0], timeout=60).read()
            print(f"page ready {time.perf_counter() - begun:.1f} s after the start")
            while not healthy(found[0]):
                time.sleep(0.1)
            print(f"model ready {time.perf_counter() - begun:.1f} s after the start")
            yield found[0], process.pid
        finally:
            process.terminate()
            process.wait(120)  # on a machine that has much to do


class Visitor(threading.Thread):
    """One visitor.

    Args:
        url (`str`): the Space.
        number (`int`): gives the key and the seed.
        delay (`float`): seconds until the visitor comes.
        pieces (sequence of `int`): which of the visitor's pieces are asked for, one after the other; each has
            its seed.
        tokens (`int`): the length asked for.
        folder (`Path`): where downloads go; what a visitor has downloaded is removed again.
    """

    def __init__(self, url: str, number: int, delay: float, pieces: Sequence[int], tokens: int, folder: Path):
        super().__init__(daemon=True)
        self.url, self.number, self.delay, self.pieces, self.tokens = url, number, delay, pieces, tokens
        self.folder = folder / str(number)
        self.key = KEY_NAMES[number % len(KEY_NAMES)]
        self.seconds: list[float] = []
        self.midi = b""
        self.errors: list[str] = []

    def seed(self, piece: int) -> int:
        """That of one of the visitor's pieces."""
        return 10_000 * (self.number + 1) + piece

    def run(self) -> None:
        """Come, ask, check."""
        from gradio_client import Client

        time.sleep(self.delay)
        # From this machine the server believes what it is told of an address, as it does of a proxy.
        address = {"X-Forwarded-For": f"10.0.{self.number // 250}.{self.number % 250 + 1}"}
        try:
            client = Client(self.url, verbose=False, headers=address, download_files=str(self.folder))
        except Exception as error:
            self.errors.append(f"no page: {type(error).__name__}: {error}")
            return
        for piece in self.pieces:
            begun = time.perf_counter()
            try:
                answer = client.predict(
                    key=self.key, seed=self.seed(piece), max_tokens=self.tokens, api_name="/compose"
                )
                self.check(answer, self.seed(piece))
                self.seconds.append(time.perf_counter() - begun)
            except Exception as error:  # every failure is counted, whatever it is
                self.errors.append(f"piece {piece}: {type(error).__name__}: {error}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self, answer: Any, seed: int) -> None:
        """The piece must be the one that was asked for, in every file."""
        midi, musicxml, picture, sound, facts = answer
        self.midi = Path(midi).read_bytes()
        score = read_score(musicxml)
        asked = (seed, self.key)
        came = (facts["seed"], facts["key"])
        assert came == asked, f"seed and key are {came}, not {asked}"
        for path in (midi, musicxml, picture, sound):
            assert f"seed-{asked[0]}" in Path(path).name, f"a file of somebody else: {Path(path).name}"
        # Two equal notes of one voice at once are one note on paper.
        assert abs(len(score) - facts["notes"]) <= 2, (
            f"the score has {len(score)} notes, not {facts['notes']}"
        )
        assert Path(picture).read_bytes()[:4] == b"\x89PNG", "no picture"
        assert Path(sound).stat().st_size > 10_000, "no sound"


class Watch(threading.Thread):
    """Reads the server's memory a hundred times, and kills one of its processes now and then.

    Args:
        url (`str`), pid (`int`, *optional*): the Space and its process, if it was started here.
        visitors (list of `Visitor`): who is served.
        kill_every (`float`): seconds between two deaths; 0: nobody is killed.
    """

    def __init__(self, url: str, pid: int | None, visitors: list[Visitor], kill_every: float):
        super().__init__(daemon=True)
        self.url, self.pid, self.visitors, self.kill_every = url, pid, visitors, kill_every
        self.done = threading.Event()
        self.killed = 0
        self.memory: list[tuple[int, float, float]] = []  # pieces, megabytes of the server, of its processes
        self.health: dict[str, Any] = {}

    def children(self) -> list[psutil.Process]:
        """The processes beside the server."""
        found = psutil.Process(self.pid).children() if self.pid else []
        return [process for process in found if "spawn_main" in " ".join(process.cmdline())]

    def look(self) -> None:
        """Read the memory, if a hundredth of all pieces has come since the last time."""
        pieces = sum(len(visitor.seconds) for visitor in self.visitors)
        every = sum(len(visitor.pieces) for visitor in self.visitors) / 100
        if self.memory and pieces - self.memory[-1][0] < every and not self.done.is_set():
            return
        self.health = healthy(self.url)
        beside = sum(process.memory_info().rss for process in self.children()) / 2**20
        self.memory.append((pieces, self.health["memory_megabytes"], beside))
        if len(self.memory) % 10 == 1 or self.done.is_set():
            tqdm.write(
                f"after {pieces:5} pieces: server {self.health['memory_megabytes']:.0f} MB, its processes"
                f" {beside:.0f} MB"
            )

    def run(self) -> None:
        """Until `done`."""
        rng, last = random.Random(0), time.monotonic()
        while not self.done.wait(0.5):
            with contextlib.suppress(psutil.NoSuchProcess):  # one that was killed by us
                self.look()
                if self.kill_every and time.monotonic() - last > self.kill_every:
                    last = time.monotonic()
                    rng.choice(self.children()).kill()
                    self.killed += 1


def main() -> int:
    """Run it; returns 1 if anybody got an error or a piece of somebody else's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="within which they come")
    parser.add_argument("--pieces", type=int, default=1, help="for each visitor, one after the other")
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument(
        "--kill-every",
        type=float,
        default=0.0,
        help="seconds after which one of the server's processes is killed",
    )
    parser.add_argument("--url")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url, pid = (given.url.rstrip("/"), None) if given.url else stack.enter_context(started())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gap = given.seconds / given.visitors
        visitors = [
            Visitor(url, i, i * gap, range(given.pieces), given.tokens, folder) for i in range(given.visitors)
        ]
        watch = Watch(url, pid, visitors, given.kill_every)
        begun = time.perf_counter()
        for thread in (*visitors, watch):
            thread.start()
        for visitor in tqdm(visitors, desc="visitors served", mininterval=1.0):
            visitor.join()
        total = time.perf_counter() - begun
        watch.done.set()
        watch.join()
        watch.look()
        mixed = 0
        for visitor in [visitor for visitor in visitors if visitor.midi][::10]:
            again = Visitor(url, visitor.number, 0.0, visitor.pieces[-1:], given.tokens, folder / "again")
            again.run()
            mixed += again.midi != visitor.midi
        waits = sorted(seconds for visitor in visitors for seconds in visitor.seconds)
        errors = [f"visitor {visitor.number}: {error}" for visitor in visitors for error in visitor.errors]
        print(
            f"{len(visitors)} visitors within {given.seconds:.0f} s, {given.pieces} x {given.tokens} tokens"
            f" each: {len(waits)} pieces served, {len(errors)} errors, {mixed} mixed up"
        )
        if waits:
            print(
                f"all served after {total:.1f} s; a visitor waited {statistics.median(waits):.1f} s (median),"
                f" {waits[-1]:.1f} s (longest)"
            )
        health = watch.health
        print(
            f"{watch.killed} processes killed, {health['processes_replaced']} replaced; "
            f"files on the server: {health['files_megabytes']} MB"
        )
        print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors or mixed else 0


if __name__ == "__main__":
    raise SystemExit(main())
