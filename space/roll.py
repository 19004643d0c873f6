"""The piano roll on the page: the component and the value that its script draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from musicgpt.dynamics import velocities
from tokenization import Score
from tokenization.score import NOMINAL_QPM
from tokenization.spelling import name_text, spell

from .assets import STATIC, folder

if TYPE_CHECKING:
    import gradio as gr

# States of the roll; the script follows the newest notes while "running", and only there. "others": the piece
# is whole, and other candidates are still being composed.
STATES = ("idle", "waiting", "running", "others", "finishing", "done", "error")


def roll_value(
    score: Score | None,
    *,
    take: str,
    state: str,
    message: str,
    num_prompt_notes: int = 0,
    progress: float | None = None,
    kin: str | None = None,
    loud: bool = False,
    locked: frozenset[tuple[int, int, int, int]] = frozenset(),
    link: str | None = None,
) -> dict[str, Any]:
    """What `static/roll.js` draws, as plain data.

    Args:
        score (`Score`, *optional*): the notes that are there.
        take (`str`): changes with every new piece; notes of the same take only grow.
        state (`str`): one of `STATES`.
        message (`str`): one line above the roll.
        num_prompt_notes (`int`): this many of the first notes are drawn paler.
        progress (`float`, *optional*): part of the asked length, 0.0 to 1.0; no bar is shown without it.
        kin (`str`, *optional*): the take that this piece was changed from; their bars mean the same.
        loud (`bool`): whether to say how loud each note is played; the piece must be finished for that.
        locked (set of rows of onset, duration, pitch and voice): notes that are drawn paler, too.
        link (`str`, *optional*): the query of the address that makes the piece again.
    """
    assert state in STATES, state
    rows = score.array.tolist() if score else []
    return {
        "take": take,
        "state": state,
        "message": message,
        "notes": rows,
        "meters": [list(meter) for meter in score.meters] if score else [[0, 4, 4]],
        "first": 0 if score and score.pickup else 1,  # number of the first bar in print
        "qpm": (score.tempo if score else None) or NOMINAL_QPM,
        "names": [name_text(name) for name in spell(score)] if score else [],  # as the score writes them
        "prompt": num_prompt_notes,
        "progress": progress,
        "kin": kin,
        "locked": [i for i, row in enumerate(rows) if tuple(row) in locked] if locked else [],
        "link": link,
        "loud": velocities(score).tolist() if loud and score else None,
    }


# What the roll may ask of the server; Gradio looks for the names, in quotes, in the script of the component.
ROLL_EVENTS = ("edit", "revise", "lock", "instrument")
OWN_EVENTS = ("own", "give")


def _component(name: str, value: Any, label: str, events: tuple[str, ...] = ()) -> gr.HTML:
    """A part of the page that a module of `static/` drives."""
    import gradio as gr

    named = ", ".join(f'"{event}"' for event in events)
    return gr.HTML(
        value,
        elem_id=name,
        html_template=(STATIC / f"{name}.html").read_text("utf-8"),
        js_on_load=f"""
            const events = [{named}];
            import(new URL("{folder()}/{name}.js", document.baseURI).href)
              .then((module) => module.mount(element, props, watch, trigger, upload));
        """,
        label=label,
    )


def roll_component(value: dict[str, Any]) -> gr.HTML:
    """The roll, with the player below it."""
    return _component("roll", value, "Piano roll", ROLL_EVENTS)


def score_component() -> gr.HTML:
    """The engraved score; its value is what `studio.page_engraving` returns."""
    return _component("score", None, "Score")


def own_component() -> gr.HTML:
    """The editor of the visitor's own music; its value says what was read in a file."""
    return _component("own", None, "Your own music", OWN_EVENTS)
