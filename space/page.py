"""The page: its layout, and which handler follows which event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from .api import add_api
from .assets import STATIC
from .changes import revision
from .controls import PRESETS, Controls, build_musical, build_sampling, preset_values
from .events import Events
from .files import files_html
from .keep import STORAGE
from .report import report_html
from .roll import own_component, roll_component, score_component
from .session import Session
from .studio import Studio
from .welcome import Welcome
from .words import say, translations

EXAMPLES = Path(__file__).parent / "examples"
TITLE = "MusicGPT: preludes and fugues"
# How wide a window must be for the wide engraving; asked of the browser when the page opens and when a piece
# is begun.
LAYOUT_JS = "window.innerWidth < 640 ? 'narrow' : 'wide'"


# The components that every handler of a piece may change; its seed comes on top.
_SHOWN = (
    "session",
    "roll",
    "score",
    "report",
    "files",
    "chooser",
    "compose",
    "stop",
    "continue_",
    "undo",
    "redo",
    "kept",
)


class Page:
    """Builds the page and holds its components.

    Args:
        studio (`Studio`): does the work.
        welcome (`Welcome`): the piece that is there at first.
    """

    def __init__(self, studio: Studio, welcome: Welcome):
        self.studio, self.welcome = studio, welcome

    def build(self) -> gr.Blocks:
        """The page with all its events."""
        # Uploaded files that Gradio keeps are removed within two hours; what the studio makes is swept by
        # itself.
        with gr.Blocks(
            title=TITLE, analytics_enabled=False, delete_cache=(1800, 7200), fill_width=True
        ) as blocks:
            self.session = gr.State(Session(), time_to_live=6 * 3600, delete_callback=Session.close)
            self.kept = gr.BrowserState([], storage_key=STORAGE, secret=STORAGE)
            self.layout = gr.Textbox("wide", visible=False)
            self.query = gr.Textbox("", visible=False)
            with gr.Column(elem_id="head"):
                gr.Markdown("# MusicGPT")
                gr.Markdown(say("head"))
            musical: dict[str, Any] = build_musical()
            with gr.Row(elem_id="actions"):
                self.compose = gr.Button(say("compose"), variant="primary", elem_id="compose", min_width=110)
                self.stop = gr.Button(
                    say("stop"), variant="stop", interactive=False, elem_id="stop", min_width=70
                )
                self.continue_ = gr.Button(say("continue"), elem_id="continue", min_width=150)
                self.undo = gr.Button(say("undo"), interactive=False, elem_id="undo", min_width=70)
                self.redo = gr.Button(say("redo"), interactive=False, elem_id="redo", min_width=70)
            with gr.Row(elem_id="presets"):
                self.presets = {
                    name: gr.Button(name, size="sm", min_width=110, elem_classes="mg-preset")
                    for name in PRESETS
                }
            self.own = own_component()
            with gr.Column(elem_id="stage"):
                self._build_stage()
            with gr.Accordion(say("more"), open=False, elem_id="more"):
                more = build_sampling()
            self.controls = Controls(**musical, **more)
            gr.Markdown(say("foot"), elem_id="foot")
            self._wire(blocks)
            add_api(self.studio)
        return blocks

    def _build_stage(self) -> None:
        first = self.studio.view(self.welcome.candidate(), "piano", "wide", busy=False)
        self.roll = roll_component(first.roll)
        self.chooser = gr.Radio([], label=say("choose-candidate"), visible=False, elem_id="chooser")
        with gr.Tabs():
            with gr.Tab(say("score")):
                self.score = score_component()
            with gr.Tab(say("beside-bach")):
                self.report = gr.HTML(report_html(None), elem_id="report")
        self.files = gr.HTML(files_html({}), elem_id="files")

    # -- events
    # --------------------------------------------------------------------------------------------------------

    def _wire(self, blocks: gr.Blocks) -> None:
        events, controls = Events(self.studio, self.welcome, self), self.controls
        common: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": None,
        }
        outputs = [getattr(self, name) for name in _SHOWN]
        outputs += [controls.seed, *self.presets.values()]
        asked = [self.session, self.layout, controls.random_seed, controls.candidates]
        asked += [*controls.musical(), *controls.sampling()]
        # The second argument of each is the width of the page now, put in the place of the hidden box.
        # What is composed because of a press may be played at once.
        js = f"(...all) => {{ all[1] = {LAYOUT_JS}; window.musicgpt.wanted = true; return all; }}"
        once: dict[str, Any] = {"js": js, "trigger_mode": "once", **common}
        self.compose.click(events.on_compose, asked, outputs, **once)
        self.continue_.click(events.on_continue, asked, outputs, **once)
        self.roll.revise(events.on_sent(revision), asked, outputs, **once)
        self.own.give(events.on_sent(events.wish_with_own), asked, outputs, **once)
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        self.stop.click(events.on_stop, [self.session], [self.stop], **quick)
        here = [self.session]
        self.undo.click(events.on_undo, here, outputs, **common)
        self.redo.click(events.on_redo, here, outputs, **common)
        self.chooser.input(events.on_choose, [self.session, self.chooser], outputs, **common)
        self.roll.instrument(events.on_instrument, here, outputs, **common)
        self.roll.edit(events.on_edit, here, outputs, **common)
        self.roll.lock(events.on_lock, here, outputs, **common)
        self.own.own(events.on_own, here, [self.own, controls.key, controls.meter, controls.form], **common)
        for name, button in self.presets.items():
            filled = button.click(lambda name=name: preset_values(name), None, controls.musical(), **quick)
            filled.then(events.on_compose, asked, outputs, **once)
        blocks.load(
            events.on_open,
            [self.session, self.layout, self.query, self.kept],
            [
                *outputs,
                *controls.musical(),
                *controls.sampling()[:-1],
                controls.random_seed,
            ],
            js=f"(...all) => [all[0], {LAYOUT_JS}, window.location.search, all[3]]",
            **common,
        )


def launch_options(studio: Studio) -> dict[str, Any]:
    """What Gradio 6 wants to know when it launches, rather than when it builds."""
    sans = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    return {
        "theme": gr.themes.Default(
            primary_hue="blue", neutral_hue="stone", font=sans, font_mono=["ui-monospace", "monospace"]
        ),
        "css_paths": STATIC / "space.css",
        "allowed_paths": [str(studio.folders.root)],
        "max_file_size": "2mb",
        "max_threads": 120,
        "ssr_mode": False,
        "show_error": True,  # Gradio's own refusals have a text, too
        "i18n": translations(),
        "pwa": True,
        "footer_links": ["api", "settings"],
    }
