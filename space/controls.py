"""The controls of the page, what they mean as `Settings`, and the presets that fill them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from musicgpt import MOODS, Settings
from musicgpt.defaults import TEMPERATURE
from musicgpt.settings import SettingsError
from tokenization.errors import MusicGPTError
from tokenization.key import KEY_NAMES
from tokenization.vocabulary import FORMS, METERS, TEMPO_CLASSES

from .audio import INSTRUMENTS
from .rendering import SOUND_FORMATS
from .studio import MAX_CANDIDATES, Wish
from .words import ENGLISH, say, translated

if TYPE_CHECKING:
    import gradio as gr

ANY = "any"
# Names of the musical and of the sampling controls, in the order of the page and of the API.
MUSICAL = ("key", "form", "bars", "meter", "voices", "tempo", "mood")
SAMPLING = ("temperature", "top_k", "top_p", "max_tokens", "seed")
MOST_PROMPT_BARS = 32
LENGTHS = ("8", "12", "16", "24", "32", "48")  # bars

# Each fills the musical controls, in this order; the other ones are set to "any".
_FILLED = ("key", "form", "meter", "voices", "tempo", "mood")
PRESETS: dict[str, dict[str, str]] = {
    name: dict(zip(_FILLED, values, strict=True))
    for name, *values in (
        ("Fugue in C minor", "C minor", "fugue", "4/4", "3", "moderate", ANY),
        ("Prelude in C major", "C major", "prelude", "4/4", ANY, "moderate", "serene"),
        ("Gigue in G major", "G major", "fugue", "6/8", "3", "fast", "playful"),
        ("Five voices, C♯ minor", "C# minor", "fugue", "2/2", "5", "slow", "contemplative"),
        ("Two voices, E minor", "E minor", "fugue", "3/4", "2", "fast", "dramatic"),
    )
}


def preset_values(name: str) -> list[str]:
    """The values of the musical controls, in the order of `MUSICAL`."""
    return [PRESETS[name].get(control, ANY) for control in MUSICAL]


def whole_number(name: str, value: Any) -> int | None:
    """The whole number that a control holds: sliders send 5.0 for 5, and voices are chosen by their name.

    Raises:
        SettingsError: if it is none.
    """
    if value is None:
        return None
    try:
        return operator.index(int(value) if isinstance(value, str) or float(value).is_integer() else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingsError(f"{name} must be a whole number, not {str(value)[:40]!r}.") from error


def settings_from(
    key: str = ANY,
    form: str = ANY,
    bars: str = ANY,
    meter: str = ANY,
    voices: str = ANY,
    tempo: str = ANY,
    mood: str = ANY,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
) -> Settings:
    """What the controls say, as `Settings`.

    Args:
        key, form, bars, meter, voices, tempo, mood (`str`): as chosen; `"any"` leaves it open.
        temperature, top_k, top_p, max_tokens, seed (numbers, *optional*): as set; tokens count only where no
            number of bars is asked for.

    Raises:
        MusicGPTError: naming the value that cannot be used.
    """

    def chosen(name: str, value: Any) -> str | None:
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{name} must be a word, not {str(value)[:40]}.")
        return None if value in (None, "", ANY) else value

    length = whole_number("bars", chosen("bars", bars))
    return Settings(
        key=chosen("key", key),
        form=chosen("form", form),
        meter=chosen("meter", meter),
        voices=whole_number("voices", chosen("voices", voices)),
        tempo=chosen("tempo", tempo),
        mood=chosen("mood", mood),
        temperature=temperature,
        top_k=whole_number("top_k", top_k),
        top_p=top_p,
        bars=length,
        max_new_tokens=None if length else whole_number("max_tokens", max_tokens),
        seed=whole_number("seed", seed),
    )


def query_of(values: dict[str, Any]) -> str:
    """The query of an address that asks for the same piece, without its seed.

    Args:
        values (`dict`): by the names of the controls.
    """
    asked = {n: v for n, v in values.items() if n in (*MUSICAL, *SAMPLING[:-1]) and v not in (None, "", ANY)}
    return urlencode(
        {name: f"{value:g}" if isinstance(value, float) else value for name, value in asked.items()}
    )


def values_from_query(query: str) -> dict[str, Any]:
    """What the query of an address asks for, by the names of the controls; other names in it are left alone.

    Raises:
        SettingsError: for a number that is none.
    """
    found = {name: value for name, value in parse_qsl(query.lstrip("?")) if name in (*MUSICAL, *SAMPLING)}
    values: dict[str, Any] = {name: found.get(name, ANY) for name in MUSICAL}
    for name in SAMPLING:
        if name in found:
            values[name] = _number(name, found[name])
    return values


def _number(name: str, text: str) -> float:
    try:
        return float(text) if name in ("temperature", "top_p") else int(text)
    except ValueError as error:
        raise SettingsError(f"{name} must be a number, not {text[:40]!r}.") from error


def wish_from(asked: dict[str, Any], instrument: Any, sound_format: Any) -> Wish:
    """What a call of an endpoint asks for, checked before anything is done for it.

    Args:
        asked (`dict`): values by the names of `MUSICAL` and `SAMPLING`; what is left out is open.
        instrument, sound_format: as given; nobody has looked at them yet.

    Raises:
        MusicGPTError: naming the value that cannot be used.
    """
    settings = settings_from(**asked)
    for what, value, choices in (
        ("instrument", instrument, tuple(INSTRUMENTS)),
        ("sound format", sound_format, SOUND_FORMATS),
    ):
        if value not in choices:
            raise MusicGPTError(
                f"Unknown {what} {str(value)[:40]!r}: it must be one of {', '.join(choices)}."
            )
    return Wish(settings, instrument=instrument)


@dataclass
class Controls:
    """The Gradio components, by name."""

    key: gr.Dropdown
    form: gr.Dropdown
    bars: gr.Dropdown
    meter: gr.Dropdown
    voices: gr.Dropdown
    tempo: gr.Dropdown
    mood: gr.Dropdown
    temperature: gr.Slider
    top_k: gr.Slider
    top_p: gr.Slider
    max_tokens: gr.Slider
    seed: gr.Number
    random_seed: gr.Checkbox
    candidates: gr.Slider

    def musical(self) -> list[Any]:
        """The musical controls in the order of `MUSICAL`."""
        return [getattr(self, name) for name in MUSICAL]

    def sampling(self) -> list[Any]:
        """The sampling controls in the order of `SAMPLING`."""
        return [getattr(self, name) for name in SAMPLING]


def musical_choices(language: str = ENGLISH) -> dict[str, list[tuple[str, str]]]:
    """The choices of the musical controls in the order of the page: words in a language, and values."""
    values: dict[str, tuple[str, ...]] = {
        "form": FORMS,
        "key": tuple(KEY_NAMES),
        "bars": LENGTHS,
        "meter": tuple(METERS),
        "voices": ("2", "3", "4", "5"),
        "tempo": TEMPO_CLASSES,
        "mood": tuple(MOODS),
    }

    def words(name: str, value: str) -> str:
        text = translated(value, language)
        return f"{text}: {translated(MOODS[value].description, language)}" if name == "mood" else text

    return {
        name: [(translated(ANY, language), ANY), *((words(name, value), value) for value in options)]
        for name, options in values.items()
    }


def build_musical(label: Callable[[str], Any] = say) -> dict[str, gr.Dropdown]:
    """The row that says what the piece is to be; narrow: on a telephone, too, it stands above the roll.
    `label` makes a label of a name.
    """
    import gradio as gr

    at_first = {"form": "fugue", "key": "C minor", "meter": "4/4", "voices": "3", "tempo": "moderate"}
    with gr.Row(elem_id="controls"):
        return {
            name: gr.Dropdown(
                options, value=at_first.get(name, ANY), label=label(name), min_width=96, filterable=False
            )
            for name, options in musical_choices().items()
        }


def build_sampling(label: Callable[[str], Any] = say) -> dict[str, Any]:
    """What few visitors need: how many pieces, the seed, how boldly is sampled."""
    import gradio as gr

    def told(name: str) -> dict[str, Any]:
        return {"label": label(name), "info": label(f"{name}-info")}

    made: dict[str, Any] = {}
    with gr.Row():
        made["candidates"] = gr.Slider(1, MAX_CANDIDATES, value=1, step=1, **told("candidates"))
        made["max_tokens"] = gr.Slider(64, 4000, value=1000, step=4, **told("max-tokens"))
    with gr.Row():
        made["seed"] = gr.Number(
            value=0, label=label("seed"), precision=0, minimum=0, maximum=2**31 - 1, min_width=120
        )
        made["random_seed"] = gr.Checkbox(True, label=label("random-seed"), min_width=120)
    with gr.Row():
        made["temperature"] = gr.Slider(0.1, 2.0, value=TEMPERATURE, step=0.01, **told("temperature"))
        made["top_k"] = gr.Slider(0, 150, value=0, step=1, **told("top-k"))
        made["top_p"] = gr.Slider(0.05, 1.0, value=0.95, step=0.01, **told("top-p"))
    return made
