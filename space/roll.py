"""The piano roll on the page: the component and the value that its script draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenization import Score
from tokenization.score import NOMINAL_QPM
from tokenization.spelling import name_text, spell

if TYPE_CHECKING:
    import gradio as gr

STATIC = Path(__file__).parent / "static"
# States of the roll; the script follows the newest notes while "running", and only there.
STATES = ("idle", "waiting", "running", "finishing", "done", "error")


def roll_value(
    score: Score | None,
    *,
    take: str,
    state: str,
    message: str,
    num_prompt_notes: int = 0,
    progress: float | None = None,
    audio: str | None = None,
) -> dict[str, Any]:
    """What `static/roll.js` draws, as plain data.

    Args:
        score (`Score`, *optional*): the notes that are there.
        take (`str`): changes with every new piece; notes of the same take only grow.
        state (`str`): one of `STATES`.
        message (`str`): one line above the roll.
        num_prompt_notes (`int`): this many of the first notes are drawn paler.
        progress (`float`, *optional*): part of the asked length, 0.0 to 1.0; no bar is shown without it.
        audio (`str`, *optional*): address of the sound.
    """
    assert state in STATES, state
    return {
        "take": take,
        "state": state,
        "message": message,
        "notes": score.array.tolist() if score else [],
        "meters": [list(meter) for meter in score.meters] if score else [[0, 4, 4]],
        "qpm": (score.tempo if score else None) or NOMINAL_QPM,
        "names": [name_text(name) for name in spell(score)] if score else [],  # as the score writes them
        "prompt": num_prompt_notes,
        "progress": progress,
        "audio": audio,
    }


def roll_component(value: dict[str, Any]) -> gr.HTML:
    """The roll as a Gradio component."""
    import gradio as gr

    return gr.HTML(
        value,
        elem_id="roll",
        html_template=(STATIC / "roll.html").read_text("utf-8"),
        js_on_load=(STATIC / "roll.js").read_text("utf-8"),
        label="Piano roll",
    )


def score_component() -> gr.HTML:
    """The engraved score as a Gradio component; its value is what `engraving.engrave` returns, with the
    roll's `take`.
    """
    import gradio as gr

    return gr.HTML(
        None,
        elem_id="score",
        html_template=(STATIC / "score.html").read_text("utf-8"),
        js_on_load=(STATIC / "score.js").read_text("utf-8"),
        label="Score",
    )
