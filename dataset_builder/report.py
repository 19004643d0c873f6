"""What a build made of its source, as plain data and as the table at the end of the command."""

from __future__ import annotations

from typing import Any

from tokenization.markdown import columns

from .cleaning import COUNTS, DROPPING
from .pieces import Collection
from .processing import Processed


def report_of(collection: Collection, processed: Processed) -> dict[str, Any]:
    """Counts by split and by stage, the pieces with their changes, what was skipped, and how the notes agree
    with the catalogue.
    """
    splits, pieces = {}, []
    for split, kept in processed.kept.items():
        rows = [outcome.facts for outcome in kept if outcome.facts is not None]
        splits[split] = {
            "pieces": len(rows),
            **{
                name: sum(row[column] for row in rows)
                for name, column in (("notes", "num_notes"), ("tokens", "num_tokens"), ("bars", "bars"))
            },
        }
        for row in rows:
            pieces.append(
                {
                    "id": row["id"],
                    "split": split,
                    "source": row["source"],
                    "notes": row["num_notes"],
                    "tokens": row["num_tokens"],
                    "bars": row["bars"],
                    "key": row["key"],
                    "changes": row["changes"],
                    "notices": row["notices"],
                }
            )
    return {
        "source": collection.name,
        "splits": splits,
        "sources": sources_of(processed),
        "changes": {name: sum(piece["changes"].get(name, 0) for piece in pieces) for name in COUNTS},
        "catalogue": reconcile(collection, processed),
        "skipped": [{"id": name, "reason": reason} for name, reason in processed.skipped],
        "notices": processed.notices,
        "pieces": pieces,
    }


def sources_of(processed: Processed) -> dict[str, dict[str, Any]]:
    """For each source: its pieces and notes, how many pieces under which licence, and who encoded them."""
    sources: dict[str, dict[str, Any]] = {}
    for row in processed.facts():
        entry = sources.setdefault(row["source"], {"pieces": 0, "notes": 0, "licences": {}, "encoders": []})
        entry["pieces"] += 1
        entry["notes"] += row["num_notes"]
        licence = row["licence"] or "not stated"
        entry["licences"][licence] = entry["licences"].get(licence, 0) + 1
        if row["encoder"] and row["encoder"] not in entry["encoders"]:
            entry["encoders"].append(row["encoder"])
    return dict(sorted(sources.items()))


def reconcile(collection: Collection, processed: Processed) -> dict[str, Any]:
    """The notes that the catalogue counts against those in the rows: they must differ by what the stages
    dropped, piece by piece.

    Returns:
        `expected`, `dropped` and `found` notes over the pieces that have a count in their catalogue, and
        `disagree`, the ids of those for which `expected - dropped != found`.
    """
    expected = {
        piece.id: piece.expected_notes for piece in collection.pieces if piece.expected_notes is not None
    }
    totals: dict[str, Any] = {"pieces": 0, "expected": 0, "dropped": 0, "found": 0, "disagree": []}
    for row in processed.facts():
        if row["id"] not in expected:
            continue
        dropped = sum(row["changes"].get(name, 0) for name in DROPPING)
        totals["pieces"] += 1
        totals["expected"] += expected[row["id"]]
        totals["dropped"] += dropped
        totals["found"] += row["num_notes"]
        if expected[row["id"]] - dropped != row["num_notes"]:
            totals["disagree"].append(row["id"])
    return totals


def table(config: str, report: dict[str, Any]) -> str:
    """The closing table of one config, fit for a terminal."""
    head = ("", "pieces", "notes", "tokens", "bars")
    rows = [
        (split, *(f"{counts[name]:,}" for name in head[1:])) for split, counts in report["splits"].items()
    ]
    totals = [sum(counts[name] for counts in report["splits"].values()) for name in head[1:]]
    rows.append(("together", *(f"{total:,}" for total in totals)))
    lines = [f"{config} from {report['source']}"]
    lines += [f"  {line}" for line in columns((head, *rows), right=range(1, len(head))).splitlines()]
    changed = [f"  {count:>7,}  {COUNTS[name]}" for name, count in report["changes"].items() if count]
    if changed:
        lines += ["changed by the stages:", *changed]
    if report["catalogue"]["pieces"]:
        c = report["catalogue"]
        verdict = "they agree" if not c["disagree"] else f"they differ in {', '.join(c['disagree'])}"
        lines.append(
            f"notes in the catalogue {c['expected']:,}, dropped by the stages {c['dropped']:,}, in the rows"
            f" {c['found']:,}: {verdict}"
        )
    lines.append(f"skipped: {len(report['skipped'])}")
    lines += [f"  {entry['id']}: {entry['reason']}" for entry in report["skipped"]]
    lines += [f"notice: {notice}" for notice in report["notices"]]
    return "\n".join(lines)
