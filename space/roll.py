"""The piano roll on the page: the component and the value that its script draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenization import Key, Score
from tokenization.score import NOMINAL_QPM

if TYPE_CHECKING:
    import gradio as gr

STATIC = Path(__file__).parent / "static"
# States of the roll; the script follows the newest notes while "running", and only there.
STATES = ("idle", "waiting", "running", "finishing", "done", "error")
_LETTERS = "FCGDAEB"


def pitch_names(key: Key | None) -> tuple[list[str], list[int]]:
    """How the twelve pitch classes are called in a key, and by how many octaves that spelling shifts the octave's number.

    The window on the line of fifths reaches from three flats of the tonic's signature to its leading tones, one step sharper in
    minor, so that C minor has F sharp and B natural and no A sharp.
    """
    key = key or Key("C", "major")
    first = key.fifths - (2 if key.mode == "minor" else 3)
    names, octaves = [""] * 12, [0] * 12
    for fifth in range(first, first + 12):
        letter, accidentals = _LETTERS[(fifth + 1) % 7], (fifth + 1) // 7
        sign = "♯" * accidentals if accidentals >= 0 else "♭" * -accidentals
        pitch_class = fifth * 7 % 12
        natural = (_LETTERS.index(letter) - 1) * 7 % 12
        names[pitch_class] = letter + sign
        octaves[pitch_class] = (natural + accidentals - pitch_class) // -12
    return names, octaves


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
    names, octaves = pitch_names(score.key if score else None)
    return {
        "take": take,
        "state": state,
        "message": message,
        "notes": score.array.tolist() if score else [],
        "meters": [list(meter) for meter in score.meters] if score else [[0, 4, 4]],
        "qpm": (score.tempo if score else None) or NOMINAL_QPM,
        "names": names,
        "octaves": octaves,
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
    """The engraved score as a Gradio component; its value is what `engraving.engrave` returns, with the roll's `take`."""
    import gradio as gr

    return gr.HTML(
        None,
        elem_id="score",
        html_template=(STATIC / "score.html").read_text("utf-8"),
        js_on_load=(STATIC / "score.js").read_text("utf-8"),
        label="Score",
    )
