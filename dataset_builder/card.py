"""The dataset's card, written from the build itself: its figures are those of the rows beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenization.markdown import table

from .cleaning import COUNTS
from .configs import CONFIGS
from .credits import CREDITS
from .features import DESCRIPTIONS
from .identity import OTHER_LICENCE, OTHER_LICENCE_NAME, Identity, identity_of_reports, size_category
from .pieces import wtc_fields
from .splits import TEST_NUMBERS, VALIDATION_NUMBERS

# What is known to be wrong or peculiar in an encoding, by the ids it is true of; the card names those that
# are in the build.
FAULTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("wtc2p04",), "very heavily ornamented, and editions differ: other encodings agree on little of it"),
    (("wtc2f09",), "barred 2/2 (86 bars) where some editions use 4/2 (43)"),
    (
        ("wtc2f10",),
        "dotted eighth and sixteenth stand literally against triplets; some editions assimilate them",
    ),
    (("wtc1p15",), "4/4 with sextuplets; some editions write 24/16"),
    (("wtc1f04",), "the mezzo voice is an octave too high in its source; the note table has it lowered"),
    (("wtc1f08", "wtc2p08", "wtc2f08"), "in D-sharp minor, while the prelude `wtc1p08` is in E-flat minor"),
    (
        ("wtc1p02", "wtc1p07", "wtc2p05", "wtc2p13", "wtc2p16", "wtc2p21"),
        "a few notes stand beside the grid of 24 ticks a quarter and are rounded (column `changes`)",
    ),
    (
        ("mut_bwv988_bwv-988-v26",),
        "18/16 in one hand and 3/4 in the other in its source; here 3/4 throughout",
    ),
    (
        ("mut_bwv830_bwv-830_5",),
        "the first ending of bar 12, half a bar long, is left out, so that the bars add up",
    ),
    (
        ("mut_bwv903_bwv903fan",),
        (
            "from bar 54 on the right hand is late in its source; it is moved by one and a half quarters"
            " here, inferred and not read in an edition"
        ),
    ),
    (("mut_bwv672",), "E Phrygian, given as A minor here and as C major in its catalogue"),
    (("mut_bwv608",), "quarter triplets of 3/2, whose steps of 16 ticks take two TIME tokens"),
    (("mut_bwv1080_contrapunctusXIV",), "0.7 % of its notes are beside the grid"),
)


def write_card(folder: Path, infos: dict[str, Any], reports: dict[str, dict[str, Any]]) -> None:
    """Write `README.md`: metadata that `load_dataset` goes by, and the card for people; and `LICENSE.md`
    where no one licence holds for all.

    Args:
        folder: where `<config>/<split>.parquet` lie.
        infos: the `DatasetInfo` of each config; the first config is the default.
        reports: `report.report_of` for each config.
    """
    identity = identity_of_reports(reports)
    text = "\n\n".join(
        [
            f"---\n{_metadata(infos, reports, identity)}\n---",
            f"# {identity.title}",
            _introduction(reports, identity),
            _loading(reports),
            _splits(reports),
            _columns(),
            _credits(reports, identity),
            _cleaning(reports),
            _faults(reports, identity),
            f"## Citation\n\n```bibtex\n{identity.citation}\n```",
        ]
    )
    (folder / "README.md").write_text(text + "\n", encoding="utf-8")
    if identity.licence == OTHER_LICENCE:
        (folder / "LICENSE.md").write_text(_licence_text(reports), encoding="utf-8")


def _licence_text(reports: dict[str, dict[str, Any]]) -> str:
    """What the sources say of their licences, for a repository that has no one licence."""
    lines = [
        "# Licences of this data set",
        "",
        (
            "No one licence holds for all of it. Each row names its source, file, licence and encoder; this"
            " is what they say together."
        ),
        "",
    ]
    for name, entry in widest(reports)["sources"].items():
        licences = "; ".join(f"{licence} ({count} pieces)" for licence, count in entry["licences"].items())
        known = f" {CREDITS[name].repository}: {CREDITS[name].licence}." if name in CREDITS else ""
        lines.append(f"* {f'`{name}`' if name else 'files without a named source'}: {licences}.{known}")
    return "\n".join(lines) + "\n"


def widest(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The report of the config with the most pieces."""
    return max(
        reports.values(), key=lambda report: sum(entry["pieces"] for entry in report["sources"].values())
    )


def _metadata(infos: dict[str, Any], reports: dict[str, dict[str, Any]], identity: Identity) -> str:
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    tags = ["music", "symbolic-music", "midi", "musicxml"]
    tags += ["bach", "counterpoint"] if identity.of_bach else []
    tags += ["well-tempered-clavier"] if identity.of_wtc else []
    own: dict[str, Any] = (
        {"license_name": OTHER_LICENCE_NAME, "license_link": "LICENSE.md"}
        if identity.licence == OTHER_LICENCE
        else {}
    )
    data = DatasetCardData(
        language="zxx",  # ISO 639-2: no linguistic content
        license=identity.licence,
        **own,
        annotations_creators="no-annotation",
        source_datasets=["original"],
        task_categories=["text-generation"],
        size_categories=size_category(sum(split["pieces"] for split in widest(reports)["splits"].values())),
        pretty_name=identity.title,
        tags=tags,
    )
    DatasetInfosDict(infos).to_dataset_card_data(data)
    configs = [
        {
            "config_name": name,
            **({"default": True} if i == 0 else {}),
            "data_files": [
                {
                    "split": split.name,
                    "path": (
                        f"{name}/{split.name}{'-*' if len(split.shard_lengths or ()) > 1 else ''}.parquet"
                    ),
                }
                for split in info.splits.values()
            ],
        }
        for i, (name, info) in enumerate(infos.items())
    ]
    setattr(data, "configs", configs)  # noqa: B010 (a field of the Hub that the class does not declare)
    return str(data)


def _introduction(reports: dict[str, dict[str, Any]], identity: Identity) -> str:
    name, report = next(iter(reports.items()))
    pieces, notes, tokens = (
        sum(split[what] for split in report["splits"].values()) for what in ("pieces", "notes", "tokens")
    )
    return (
        f"{'Music of Johann Sebastian Bach' if identity.of_bach else 'Scores'} as integer note lists with"
        " voices, transposed to C major or A minor, and as token ids of MusicGPT's 150-token vocabulary."
        f" Config `{name}`: {pieces} pieces, {notes:,} notes, {tokens:,} tokens, built from"
        f" `{report['source']}` by `python -m dataset_builder`; this card was written by that build."
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


_BY_KEY_NUMBER = (
    "A split of the Well-Tempered Clavier is made of whole key numbers, prelude and fugue of both books"
    f" together, because the books share material of a key: numbers {TEST_NUMBERS[0]} and {TEST_NUMBERS[1]}"
    f" are `test`, {VALIDATION_NUMBERS[0]} and {VALIDATION_NUMBERS[1]} `validation`, the rest `train`. Pieces"
    " without a declared split go to `train` beside a catalogue that has splits."
)
_BY_HASH = (
    "Declared splits are kept: a catalogue's, or folders named `train`, `validation` and `test`. Where"
    " nothing declares any, a hash of the tune's opening decides, so that settings of one tune stay together."
)


def _config_text(name: str, report: dict[str, Any]) -> str:
    """What a config takes, without the Well-Tempered Clavier where the source has nothing of it."""
    if any(wtc_fields(piece["id"]) for piece in report["pieces"]):
        return CONFIGS[name]
    return {"preludes": "the preludes", "fugues": "the fugues"}.get(name, "every piece of the source")


def by_key_number(reports: dict[str, dict[str, Any]]) -> bool:
    """Whether what is held out is held out by key number: movements of the Well-Tempered Clavier and nothing
    else.
    """
    held_out = [
        piece for report in reports.values() for piece in report["pieces"] if piece["split"] != "train"
    ]
    return bool(held_out) and all(
        wtc_fields(piece["id"]).get("split") == piece["split"] for piece in held_out
    )


def _splits(reports: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            f"`{name}`",
            _config_text(name, report),
            split,
            counts["pieces"],
            counts["notes"],
            counts["tokens"],
            counts["bars"],
        ]
        for name, report in reports.items()
        for split, counts in report["splits"].items()
    ]
    text = [
        "## Configs and splits",
        table(["config", "what", "split", "pieces", "notes", "tokens", "bars"], rows),
        _BY_KEY_NUMBER if by_key_number(reports) else _BY_HASH,
    ]
    notices = list(dict.fromkeys(notice for report in reports.values() for notice in report["notices"]))
    text += [f"* {notice}" for notice in notices]
    return "\n\n".join(text[:3]) + ("\n\n" + "\n".join(text[3:]) if notices else "")


def _columns() -> str:
    return "## Columns\n\n" + table(
        ["column", "what"], [[f"`{name}`", text] for name, text in DESCRIPTIONS.items()]
    )


def _credits(reports: dict[str, dict[str, Any]], identity: Identity) -> str:
    rows = []
    for name, entry in widest(reports)["sources"].items():
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
        (
            "The music is in the public domain; the encodings are their makers' work, to be credited as"
            " above. "
            if identity.of_bach
            else ""
        )
        + "Each row names its source, file, licence and encoder.",
    ]
    if identity.licence != OTHER_LICENCE:
        lines.append("The collection as a whole is under CC BY-SA 4.0, which its share-alike parts ask for.")
    else:
        lines.append(
            "Not all of these sources name a free licence: look at the column `licence` before you pass this"
            " dataset on."
        )
    return "\n\n".join(lines)


def _cleaning(reports: dict[str, dict[str, Any]]) -> str:
    names = list(reports)
    rows: list[list[Any]] = [
        [text, *(reports[name]["changes"][key] for name in names)] for key, text in COUNTS.items()
    ]
    text = (
        "## What was changed\n\nCounts over all pieces; the column `changes` has them for each.\n\n"
        + table(["change", *names], rows)
    )
    for name, report in reports.items():
        found = report["catalogue"]
        if found["pieces"]:
            verdict = (
                "agree in every piece"
                if not found["disagree"]
                else "differ in " + ", ".join(found["disagree"])
            )
            text += (
                f"\n\n`{name}`: the catalogue counts {found['expected']:,} notes in these pieces, the stages"
                f" dropped {found['dropped']:,}, the rows hold {found['found']:,}: they {verdict}."
            )
        if report["skipped"]:
            text += "\n\nSkipped:\n\n" + "\n".join(
                f"* `{entry['id']}`: {entry['reason']}" for entry in report["skipped"]
            )
    return text


def _faults(reports: dict[str, dict[str, Any]], identity: Identity) -> str:
    ids = {piece["id"] for report in reports.values() for piece in report["pieces"]}
    lines = [
        f"* {', '.join(f'`{name}`' for name in names if name in ids)}: {text}."
        for names, text in FAULTS
        if any(name in ids for name in names)
    ]
    lines.append("* Ornament signs and grace notes are not in the notes; repeats are not played out.")
    if identity.of_wtc:
        lines += [
            "* Voices of preludes are inferred: their sources have layers of notation there, not parts.",
            (
                "* No encoding was proof-read against a printed edition; independent encodings agree with the"
                " tables of the Well-Tempered Clavier on 98 to 100 % of the notes of most movements."
            ),
        ]
    else:
        lines.append(
            "* Where a file has layers or tracks in place of parts, voices are inferred (column `notices`)."
            " Nothing was proof-read."
        )
    return "## Known faults and peculiarities of the encodings\n\n" + "\n".join(lines)
