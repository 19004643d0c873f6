"""The dataset's card, written from the build itself: its figures are those of the rows beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .cleaning import COUNTS
from .configs import CONFIGS
from .credits import CREDITS
from .features import DESCRIPTIONS
from .splits import TEST_NUMBERS, VALIDATION_NUMBERS

TITLE = "The Well-Tempered Clavier as notes with voices"
CITATION = """@misc{musicgpt_wtc,
  title  = {The Well-Tempered Clavier as notes with voices, in C major and A minor},
  author = {MusicGPT contributors, after the encoders named in the column `encoder`},
  year   = {2026},
  note   = {Music by Johann Sebastian Bach (BWV 846-893)}
}"""
# What is known to be wrong or peculiar in an encoding, by the ids it is true of; the card names those that are in the build.
FAULTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("wtc2p04",), "very heavily ornamented, and editions differ: other encodings agree on little of it"),
    (("wtc2f09",), "barred 2/2 (86 bars) where some editions use 4/2 (43)"),
    (("wtc2f10",), "dotted eighth and sixteenth stand literally against triplets; some editions assimilate them"),
    (("wtc1p15",), "4/4 with sextuplets; some editions write 24/16"),
    (("wtc1f04",), "the mezzo voice is an octave too high in its source; the note table has it lowered"),
    (("wtc1f08", "wtc2p08", "wtc2f08"), "in D-sharp minor, while the prelude `wtc1p08` is in E-flat minor"),
    (("wtc1p02", "wtc1p07", "wtc2p05", "wtc2p13", "wtc2p16", "wtc2p21"), "a few notes stand beside the grid of 24 ticks a quarter and are rounded (column `changes`)"),
    (("mut_bwv988_bwv-988-v26",), "18/16 in one hand and 3/4 in the other in its source; here 3/4 throughout"),
    (("mut_bwv830_bwv-830_5",), "the first ending of bar 12, half a bar long, is left out, so that the bars add up"),
    (("mut_bwv903_bwv903fan",), "from bar 54 on the right hand is late in its source; it is moved by one and a half quarters here, inferred and not read in an edition"),
    (("mut_bwv672",), "E Phrygian, given as A minor here and as C major in its catalogue"),
    (("mut_bwv608",), "quarter triplets of 3/2, whose steps of 16 ticks take two TIME tokens"),
    (("mut_bwv1080_contrapunctusXIV",), "0.7 % of its notes are beside the grid"),
)  # fmt: skip


def write_card(folder: Path, infos: dict[str, Any], reports: dict[str, dict[str, Any]]) -> None:
    """Write `README.md`: metadata that `load_dataset` goes by, and the card for people.

    Args:
        folder: where `<config>/<split>.parquet` lie.
        infos: the `DatasetInfo` of each config; the first config is the default.
        reports: `report.report_of` for each config.
    """
    text = "\n\n".join(
        [
            f"---\n{_metadata(infos, reports)}\n---",
            f"# {TITLE}",
            _introduction(reports),
            _loading(reports),
            _splits(reports),
            _columns(),
            _credits(reports),
            _cleaning(reports),
            _faults(reports),
            f"## Citation\n\n```bibtex\n{CITATION}\n```",
        ]
    )
    (folder / "README.md").write_text(text + "\n", encoding="utf-8")


def licence_of(reports: dict[str, dict[str, Any]]) -> str:
    """`cc-by-sa-4.0` when every piece comes from a source whose licence allows it, else `other`."""
    names = {name for report in reports.values() for name in report["sources"]}
    return "cc-by-sa-4.0" if names <= set(CREDITS) - {"music21"} else "other"


def _metadata(infos: dict[str, Any], reports: dict[str, dict[str, Any]]) -> str:
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        license=licence_of(reports),
        pretty_name=TITLE,
        tags=["music", "symbolic-music", "bach", "well-tempered-clavier", "counterpoint"],
    )
    DatasetInfosDict(infos).to_dataset_card_data(data)
    configs = [
        {
            "config_name": name,
            **({"default": True} if i == 0 else {}),
            "data_files": [{"split": split, "path": f"{name}/{split}.parquet"} for split in info.splits],
        }
        for i, (name, info) in enumerate(infos.items())
    ]
    setattr(data, "configs", configs)  # noqa: B010 (a field of the Hub that the class does not declare)
    return str(data)


def table(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table; numbers stand on the right."""
    rule = ["---:" if rows and all(isinstance(row[i], int) for row in rows) else "---" for i in range(len(head))]
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *cells))


def _introduction(reports: dict[str, dict[str, Any]]) -> str:
    name, report = next(iter(reports.items()))
    pieces, notes, tokens = (
        sum(split[what] for split in report["splits"].values()) for what in ("pieces", "notes", "tokens")
    )
    return (
        f"Keyboard music of Johann Sebastian Bach as integer note lists with voices, transposed to C major or A minor, and as token ids of "
        f"MusicGPT's 150-token vocabulary. Config `{name}`: {pieces} pieces, {notes:,} notes, {tokens:,} tokens, built from "
        f"`{report['source']}` by `python -m dataset_builder`; this card was written by that build."
    )


def _loading(reports: dict[str, dict[str, Any]]) -> str:
    name = next(iter(reports))
    split = next(iter(reports[name]["splits"]))
    return f"""## How to load it

```python
from datasets import load_dataset

dataset = load_dataset("DIR_OR_REPO", "{name}")           # streaming=True works too
row = dataset["{split}"][0]
row["notes"]["pitch"], row["input_ids"]

from dataset_builder import score_of_row                 # a `tokenization.Score`, for MIDI and MusicXML
score = score_of_row(row, original_key=True)
```"""


def _splits(reports: dict[str, dict[str, Any]]) -> str:
    rows = [
        [f"`{name}`", CONFIGS[name], split, counts["pieces"], counts["notes"], counts["tokens"], counts["bars"]]
        for name, report in reports.items()
        for split, counts in report["splits"].items()
    ]
    text = [
        "## Configs and splits",
        table(["config", "what", "split", "pieces", "notes", "tokens", "bars"], rows),
        f"A split of the Well-Tempered Clavier is made of whole key numbers, prelude and fugue of both books together, because the books share "
        f"material of a key: numbers {TEST_NUMBERS[0]} and {TEST_NUMBERS[1]} are `test`, {VALIDATION_NUMBERS[0]} and {VALIDATION_NUMBERS[1]} "
        "`validation`, the rest `train`. Pieces without a declared split go to `train` beside a catalogue that has splits; where nothing "
        "declares any, a hash of the tune's opening decides, so that settings of one tune stay together.",
    ]
    notices = list(dict.fromkeys(notice for report in reports.values() for notice in report["notices"]))
    text += [f"* {notice}" for notice in notices]
    return "\n\n".join(text[:3]) + ("\n\n" + "\n".join(text[3:]) if notices else "")


def _columns() -> str:
    return "## Columns\n\n" + table(["column", "what"], [[f"`{name}`", text] for name, text in DESCRIPTIONS.items()])


def _credits(reports: dict[str, dict[str, Any]]) -> str:
    widest = max(reports.values(), key=lambda report: sum(entry["pieces"] for entry in report["sources"].values()))
    rows = []
    for name, entry in widest["sources"].items():
        credit = CREDITS.get(name)
        licences = "; ".join(f"{licence} ({count})" for licence, count in entry["licences"].items())
        where = f"{credit.repository} at {credit.commit[:12]}" if credit else "given by the user"
        rows.append(
            [
                f"`{name}`",
                entry["pieces"],
                entry["notes"],
                ", ".join(entry["encoders"]),
                where,
                licences,
                credit.remark if credit else "",
            ]
        )
    lines = [
        "## Sources, licences and credits",
        table(["source", "pieces", "notes", "encoded by", "where", "licences (pieces)", "remark"], rows),
        "The music is in the public domain; the encodings are their makers' work, to be credited as above. Each row names its source, file, "
        "licence and encoder.",
    ]
    if licence_of(reports) == "cc-by-sa-4.0":
        lines.append("The collection as a whole is under CC BY-SA 4.0, which its share-alike parts ask for.")
    else:
        lines.append(
            "Not all of these sources name a free licence: look at the column `licence` before you pass this dataset on."
        )
    return "\n\n".join(lines)


def _cleaning(reports: dict[str, dict[str, Any]]) -> str:
    names = list(reports)
    rows: list[list[Any]] = [[text, *(reports[name]["changes"][key] for name in names)] for key, text in COUNTS.items()]
    text = "## What was changed\n\nCounts over all pieces; the column `changes` has them for each.\n\n" + table(
        ["change", *names], rows
    )
    for name, report in reports.items():
        found = report["catalogue"]
        if found["pieces"]:
            verdict = "agree in every piece" if not found["disagree"] else "differ in " + ", ".join(found["disagree"])
            text += (
                f"\n\n`{name}`: the catalogue counts {found['expected']:,} notes in these pieces, the stages dropped {found['dropped']:,}, the "
                f"rows hold {found['found']:,}: they {verdict}."
            )
        if report["skipped"]:
            text += "\n\nSkipped:\n\n" + "\n".join(
                f"* `{entry['id']}`: {entry['reason']}" for entry in report["skipped"]
            )
    return text


def _faults(reports: dict[str, dict[str, Any]]) -> str:
    ids = {piece["id"] for report in reports.values() for piece in report["pieces"]}
    lines = [
        f"* {', '.join(f'`{name}`' for name in names if name in ids)}: {text}."
        for names, text in FAULTS
        if any(name in ids for name in names)
    ]
    lines += [
        "* Voices of preludes are inferred: their sources have layers of notation there, not parts. Ornament signs and grace notes are not in "
        "the notes; repeats are not played out.",
        "* No encoding was proof-read against a printed edition; independent encodings agree with the tables of the Well-Tempered Clavier on "
        "98 to 100 % of the notes of most movements.",
    ]
    return "## Known faults and peculiarities of the encodings\n\n" + "\n".join(lines)
