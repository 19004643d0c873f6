"""Twenty visitors in one minute: each opens a session of its own, asks for a piece, and must get exactly that piece with all files.

    python benchmarks/space_load.py [--visitors 20] [--seconds 60] [--tokens 1000] [--url http://127.0.0.1:7860]

Without `--url` a Space is started for it. Every visitor asks for a key and a seed of its own; what comes back is checked against
both, and at the end every tenth piece is asked for again, alone, and must be the same to the byte.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tokenization import read_score
from tokenization.key import KEY_NAMES

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def started() -> Iterator[str]:
    """Start a Space; its address, once its page answers."""
    import urllib.request

    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.txt"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        begun = time.perf_counter()
        with open(log, "wb") as stream:
            process = subprocess.Popen([sys.executable, "-m", "space.app"], cwd=ROOT, env=environment, stdout=stream, stderr=stream)
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                if process.poll() is not None:
                    raise RuntimeError(f"the Space did not start:\n{log.read_text()}")
                time.sleep(0.05)
            urllib.request.urlopen(found[0], timeout=60).read()
            print(f"page ready {time.perf_counter() - begun:.1f} s after the start")
            yield found[0]
        finally:
            process.terminate()
            process.wait(20)


class Visitor(threading.Thread):
    """One visitor.

    Args:
        url (`str`): the Space.
        number (`int`): gives the key and the seed.
        delay (`float`): seconds until the visitor comes.
        tokens (`int`): the length asked for.
        folder (`Path`): where downloads go.
    """

    def __init__(self, url: str, number: int, delay: float, tokens: int, folder: Path):
        super().__init__(daemon=True)
        self.url, self.number, self.delay, self.tokens, self.folder = url, number, delay, tokens, folder
        self.key = KEY_NAMES[number % len(KEY_NAMES)]
        self.seconds = 0.0
        self.midi = b""
        self.error: str | None = None

    def run(self) -> None:
        """Come, ask, check."""
        from gradio_client import Client

        time.sleep(self.delay)
        begun = time.perf_counter()
        try:
            client = Client(self.url, verbose=False, download_files=str(self.folder / str(self.number)))
            answer = client.predict(key=self.key, seed=1000 + self.number, max_tokens=self.tokens, api_name="/compose")
            self.seconds = time.perf_counter() - begun
            self.check(answer)
        except Exception as error:  # every failure is counted, whatever it is
            self.error = f"{type(error).__name__}: {error}"

    def check(self, answer: Any) -> None:
        """The piece must be the one that was asked for, in every file."""
        midi, musicxml, picture, sound, facts = answer
        self.midi = Path(midi).read_bytes()
        score = read_score(musicxml)
        asked = (1000 + self.number, self.key)
        came = (facts["seed"], facts["key"])
        assert came == asked, f"seed and key are {came}, not {asked}"
        for path in (midi, musicxml, picture, sound):
            assert f"seed-{asked[0]}" in Path(path).name, f"a file of somebody else: {Path(path).name}"
        # Two equal notes of one voice at once are one note on paper.
        assert abs(len(score) - facts["notes"]) <= 2, f"the score has {len(score)} notes, not {facts['notes']}"
        assert Path(picture).read_bytes()[:4] == b"\x89PNG", "no picture"
        assert Path(sound).stat().st_size > 10_000, "no sound"


def main() -> int:
    """Run it; returns 1 if anybody got an error or a piece of somebody else's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--url")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        url = given.url or stack.enter_context(started())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gap = given.seconds / given.visitors
        visitors = [Visitor(url, i, i * gap, given.tokens, folder) for i in range(given.visitors)]
        begun = time.perf_counter()
        for visitor in visitors:
            visitor.start()
        for visitor in tqdm(visitors, desc="visitors served", mininterval=1.0):
            visitor.join()
        total = time.perf_counter() - begun
        mixed = 0
        for visitor in visitors[::10]:
            again = Visitor(url, visitor.number, 0.0, given.tokens, folder / "again")
            again.run()
            mixed += again.midi != visitor.midi
    waits = sorted(visitor.seconds for visitor in visitors if visitor.error is None)
    errors = [f"visitor {visitor.number}: {visitor.error}" for visitor in visitors if visitor.error]
    print(f"{len(visitors)} visitors within {given.seconds:.0f} s, {given.tokens} tokens each: {len(waits)} served, {len(errors)} errors, {mixed} mixed up")
    if waits:
        print(f"all served after {total:.1f} s; a visitor waited {statistics.median(waits):.1f} s (median), {waits[-1]:.1f} s (longest)")
    print("\n".join(errors), end="\n" if errors else "")
    return 1 if errors or mixed else 0


if __name__ == "__main__":
    raise SystemExit(main())
