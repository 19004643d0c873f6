"""The report under the score: the musical score, each metric beside Bach's band, and the nearest Bach
passage.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from typing import Any

from tokenization import Score

from .words import ENGLISH, translated


def assess(score: Score) -> dict[str, Any]:
    """Measure a piece.

    Returns:
        `dict` of plain data: `value` (0 to 100 or `None`), `reason`, `compared_with`, `nearest` (a sentence),
        `passage` (where it is: `bar` as in print, `voice` from 0, `notes`; `None` without one),
        and `metrics`, a list of dicts with `name`, `title`, `unit`, `value`, `reason`, `low`, `median`,
        `high`, `outside` and `scored`.
    """
    from musical_metrics.catalogue import BY_NAME
    from musical_metrics.originality import nearest_passage
    from musical_metrics.score import musical_score
    from tokenization.analysis.view import as_view

    view = as_view(score)
    judged, nearest = musical_score(view), nearest_passage(view)
    rows = []
    for name, entry in judged.metrics.items():
        row = {
            "name": name,
            "title": BY_NAME[name].title,
            "unit": BY_NAME[name].unit,
            "scored": entry.scored,
        }
        row |= {
            field: getattr(entry, field) for field in ("value", "reason", "low", "median", "high", "outside")
        }
        rows.append(row)
    return {
        "value": judged.value,
        "reason": judged.reason,
        "compared_with": judged.compared_with,
        "nearest": f"Nearest Bach passage: {nearest}.",
        "passage": None
        if isinstance(nearest, str)
        else {"bar": nearest.own_bar, "voice": nearest.voice, "notes": nearest.notes},
        "metrics": rows,
    }


def number(value: float | None) -> str:
    """A value for people: three significant digits, `"–"` when there is none."""
    if value is None:
        return "–"
    if value and abs(value) < 0.0005:
        return "<0.001"
    return f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def _gauge(row: dict[str, Any]) -> str:
    """A bar on which the shaded part is Bach's band, the tick his median and the dot the piece."""
    low, high, value = row["low"], row["high"], row["value"]
    if low is None or value is None:
        return ""
    reach = max(high - low, abs(high) * 0.05, 1e-9)
    left, right = low - 0.6 * reach, low + 1.6 * reach

    def place(x: float) -> float:
        return 100 * min(1.0, max(0.0, (x - left) / (right - left)))

    band = f'<i style="left:{place(low):.1f}%;width:{max(1.5, place(high) - place(low)):.1f}%"></i>'
    return (
        f'<div class="mg-gauge">{band}<u style="left:{place(row["median"]):.1f}%"></u><b'
        f' style="left:{place(value):.1f}%"></b></div>'
    )


def _row(row: dict[str, Any], say: Callable[[str], str]) -> str:
    band = "–" if row["low"] is None else say(f"{number(row['low'])} to {number(row['high'])}")
    reason = say(row["reason"] or "")
    if row["value"] is None:
        value, state = f'<span title="{reason}">–</span>', "mg-none"
    else:
        value, state = number(row["value"]), "mg-out" if row["outside"] else "mg-in"
    word = {
        "mg-none": reason,
        "mg-out": say("outside Bach's band"),
        "mg-in": say("within Bach's band"),
    }[state]
    return (
        f'<tr class="{state}"><th scope="row">{say(row["title"])}'
        f' <small>{say(row["unit"])}</small></th><td>{value}<span class="mg-word">{word}</span></td><td'
        f' class="mg-band">{band}</td><td>{_gauge(row)}</td></tr>'
    )


def _passage_button(passage: dict[str, int] | None, say: Callable[[str], str]) -> str:
    """What shows and plays the passage in the piece (`static/passage.js`)."""
    if passage is None:
        return ""
    data = " ".join(f'data-{name}="{value}"' for name, value in passage.items())
    return f'<button type="button" class="mg-passage" {data}>{say("Show and play it here")}</button>'


def _side(side: dict[str, Any], title: str, say: Callable[[str], str]) -> str:
    """Some engraved bars with a button that plays them (`static/passage.js`)."""
    rows = escape(json.dumps(side["rows"], separators=(",", ":")))
    bar = say(f"bar {side['bar']}")
    return (
        f'<figure class="mg-side"><figcaption>{title}, {bar} <button type="button" class="mg-hear"'
        f' aria-pressed="false" data-qpm="{side["qpm"]:g}" data-rows="{rows}">{say("Hear it")}</button>'
        f'</figcaption><div role="img" aria-label="{title}, {bar}">{side["svg"]}</div></figure>'
    )


def _beside(figures: dict[str, Any], say: Callable[[str], str]) -> str:
    """The nearest passage of the operator's folder beside ours, where there is a folder."""
    if "beside" not in figures:
        return ""
    found = figures["beside"]
    if found is None:
        return f"<p>{say('No run of nine notes of this piece is in the scores of this server.')}</p>"
    says = say(
        f"{found['notes']} notes, in colour, are also in {found['name']}, with the same steps and rhythm."
    )
    sides = _side(found["ours"], say("Here"), say) + _side(found["theirs"], escape(found["name"]), say)
    return f'<p>{says}</p><div class="mg-beside">{sides}</div>'


def report_html(figures: dict[str, Any] | None, language: str = ENGLISH) -> str:
    """`assess`'s figures as HTML in a language; an invitation when there are none."""

    def say(text: str) -> str:
        return escape(translated(text, language))

    if figures is None:
        return f'<div class="mg mg-report mg-empty">{say("Figures appear here when a piece is there.")}</div>'
    value = figures["value"]
    if value is None:
        head = say(figures["reason"] or "no value")
    else:
        head = say(f"{value:.0f} of 100").replace(f"{value:.0f}", f"<b>{value:.0f}</b>", 1)
    scored = [row for row in figures["metrics"] if row["scored"]]
    others = [row for row in figures["metrics"] if not row["scored"]]
    title = (
        f"<tr><th>{say('figure')}</th><th>{say('this piece')}</th>"
        f"<th class='mg-band'>{say('Bach (5–95 %)')}</th>"
        f"<th><span class='mg-word'>{say('place')}</span></th></tr>"
    )
    compared = say(f"compared with {figures['compared_with']}; too regular counts like too wild")
    return (
        f'<div class="mg mg-report"><p class="mg-head">{say("Likeness to Bach:")} {head} '
        f"<small>{compared}</small></p>"
        f'<p class="mg-nearest">{say(figures["nearest"])} {_passage_button(figures["passage"], say)}</p>'
        f"{_beside(figures, say)}"
        f"<table><thead>{title}</thead><tbody>{''.join(_row(row, say) for row in scored)}</tbody></table>"
        f"<details><summary>{say('More figures, which do not count in the number above')}</summary>"
        f"<table><tbody>{''.join(_row(row, say) for row in others)}</tbody></table></details></div>"
    )
