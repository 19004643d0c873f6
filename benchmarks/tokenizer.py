"""Speed of the tokenizer beside MidiTok's REMI, in one run on the same pieces: `python
benchmarks/tokenizer.py FOLDER`.

`FOLDER` holds MIDI files, such as `../shared/data/wtc/midi`. Both sides go from their own score type in
memory to ids and back, whole folder at a time, the best of several rounds. Also timed: reading all the files.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tokenization.codec import decode, encode
from tokenization.reading import read_score


def best_time(work: Callable[[], object], rounds: int) -> float:
    """Seconds of processor time of the fastest of `rounds` runs."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def ours(files: list[Path], rounds: int) -> tuple[int, float, float, float]:
    """Notes, and seconds to read, to encode and to decode."""
    reading = best_time(lambda: [read_score(file) for file in files], min(rounds, 2))
    scores = [read_score(file) for file in files]
    ids = [encode(score) for score in scores]
    encoding = best_time(lambda: [encode(score) for score in scores], rounds)
    decoding = best_time(lambda: [decode(piece) for piece in ids], rounds)
    return sum(map(len, scores)), reading, encoding, decoding


def theirs(files: list[Path], rounds: int) -> tuple[int, float, float]:
    """The same for REMI with time signatures and one program: notes, and seconds to encode and decode."""
    from miditok import REMI, TokenizerConfig
    from symusic import Score

    config = TokenizerConfig(
        beat_res={(0, 12): 24}, use_time_signatures=True, use_programs=False, num_velocities=1
    )
    tokenizer = REMI(config)
    scores = [Score(str(file)) for file in files]
    ids = [tokenizer.encode(score) for score in scores]
    encoding = best_time(lambda: [tokenizer.encode(score) for score in scores], rounds)
    decoding = best_time(lambda: [tokenizer.decode(piece) for piece in ids], rounds)
    return sum(len(track.notes) for score in scores for track in score.tracks), encoding, decoding


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.mid"))
    if not files:
        sys.exit(f"No MIDI files in {arguments.folder}.")
    notes, reading, encoding, decoding = ours(files, arguments.rounds)
    print(f"{len(files)} files, {notes} notes; processor seconds, best of {arguments.rounds}")
    print(f"  read all files   {reading:.2f} s")
    print(
        f"  MusicGPT         encode {notes / encoding:>10,.0f} notes/s   decode {notes / decoding:>10,.0f}"
        " notes/s"
    )
    count, encode_time, decode_time = theirs(files, arguments.rounds)
    print(
        f"  MidiTok REMI     encode {count / encode_time:>10,.0f} notes/s   decode"
        f" {count / decode_time:>10,.0f} notes/s"
    )
    print(
        f"  ratio            encode {notes / encoding / (count / encode_time):>10.1f}           "
        f"decode {notes / decoding / (count / decode_time):>10.1f}"
    )


if __name__ == "__main__":
    main()
