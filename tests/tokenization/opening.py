"""Whether notation programs open what the MusicXML writer gives: `python tests/tokenization/opening.py
FOLDER...`.

Every piece of the folders' catalogues is written as MusicXML and shown to the judges: the MusicXML 4.0
schema, verovio, MuseScore and, with `--music21`, music21. MuseScore and music21 must also read the same
notes: MuseScore writes the piece as MusicXML again, which is read and compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tqdm import tqdm

from tests.tokenization.schema import musicxml_schema
from tokenization.musicxml_writer import musicxml_text
from tokenization.reading import read_score
from tokenization.round_trip import pieces
from tokenization.score import Score
from tokenization.sounding import sounding

# What MuseScore's command prints when all is well.
_USUAL = ("QStandardPaths", "convert <", "\tto <", "... success!")


def musescore_complaints(program: str, score: Score, folder: Path) -> list[str]:
    """What MuseScore says against the score's MusicXML, and which notes it reads otherwise; empty if nothing.

    Args:
        program (`str`): MuseScore's command.
        score (`Score`): the piece.
        folder (path): a folder for its files and settings.
    """
    source, target = folder / "a.musicxml", folder / "b.musicxml"
    source.write_text(musicxml_text(score), encoding="utf-8")
    target.unlink(missing_ok=True)
    place = {"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    done = subprocess.run(
        [program, "-o", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **place},
    )
    lines = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.strip() and not line.startswith(_USUAL)
    ]
    if done.returncode or not target.is_file():
        return [*lines, f"MuseScore ended with {done.returncode}"]
    ours, theirs = (_notes(s) for s in (sounding(score), read_score(target, key="C")))
    return lines + [
        f"{sum(d.values())} notes {name}"
        for d, name in ((ours - theirs, "lost"), (theirs - ours, "more"))
        if d
    ]


def _notes(score: Score) -> Counter:
    """Onset from the first note, duration and pitch: where the first bar line stands is left open, as it is
    for a short first bar.
    """
    array = score.array[:, :3] - [score.array[0, 0], 0, 0]
    return Counter(map(tuple, array.tolist()))


def verovio_complaints(score: Score) -> list[str]:
    """What verovio logs when it loads and engraves the score's MusicXML; empty if nothing."""
    import verovio

    toolkit = verovio.toolkit()
    if not toolkit.loadData(musicxml_text(score)):
        return ["not loaded"]
    for page in range(1, toolkit.getPageCount() + 1):
        if "<svg" not in toolkit.renderToSVG(page):
            return [f"page {page} is not engraved"]
    return toolkit.getLog().splitlines()


def music21_complaints(score: Score) -> list[str]:
    """Which notes music21 reads otherwise when it merges ties within each voice; empty if none.

    Its `stripTies` mixes the voices of a staff (its issue 1134), so each voice is taken apart first.
    """
    import music21

    def notes(part: music21.stream.Part) -> Counter:
        merged = part.stripTies()
        return Counter(
            (round(24 * element.getOffsetInHierarchy(merged)), round(24 * element.quarterLength), pitch.midi)
            for element in merged.recurse().notes
            for pitch in element.pitches
        )

    theirs: Counter = Counter()
    for part in music21.converter.parseData(musicxml_text(score), format="musicxml").parts:
        in_voices = any(measure.hasVoices() for measure in part.getElementsByClass("Measure"))
        for voice in part.voicesToParts(separateById=True).parts if in_voices else [part]:
            theirs += notes(voice)
    ours = _notes(sounding(score))
    first = min(theirs)[0]  # music21 begins with the first note of a pickup
    theirs = Counter(
        {(onset - first, ticks, pitch): count for (onset, ticks, pitch), count in theirs.items()}
    )
    return [
        f"{sum(d.values())} notes {name}"
        for d, name in ((ours - theirs, "lost"), (theirs - ours, "more"))
        if d
    ]


def schema_complaints(schema: object, score: Score) -> list[str]:
    """Where the score's MusicXML breaks the schema; empty if nowhere."""
    from lxml import etree

    return (
        []
        if schema.validate(etree.fromstring(musicxml_text(score).encode()))
        else [str(e) for e in schema.error_log]
    )  # type: ignore[attr-defined]


def main() -> None:
    """Print every complaint, and for each folder and judge how many pieces were opened without one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument(
        "--musescore", default=shutil.which("musescore3") or shutil.which("mscore3") or shutil.which("mscore")
    )
    parser.add_argument(
        "--music21", action="store_true", help="ask music21 too, which takes some seconds a piece"
    )
    arguments = parser.parse_args()
    schema = musicxml_schema()
    with tempfile.TemporaryDirectory() as place:
        judges = {"schema": lambda score: schema_complaints(schema, score), "verovio": verovio_complaints}
        if arguments.musescore:
            os.chmod(place, 0o700)
            judges["MuseScore"] = lambda score: musescore_complaints(arguments.musescore, score, Path(place))
        if arguments.music21:
            judges["music21"] = music21_complaints
        for folder in arguments.folders:
            counts: Counter = Counter()
            for score in tqdm(pieces(folder), desc=folder.name, unit="piece"):
                counts["pieces"] += 1
                for name, judge in judges.items():
                    complaints = judge(score)
                    counts[f"{name} without complaint"] += not complaints
                    for line in complaints[:5]:
                        print(f"{score.title}: {name}: {line}", flush=True)
            print(f"{folder.name}: {dict(counts)}", flush=True)


if __name__ == "__main__":
    main()
