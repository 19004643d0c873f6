"""The page: its layout, and what happens when something on it is pressed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from musicgpt.printing import can_print

from .api import add_api, visitor_of
from .controls import MUSICAL, PRESETS, SAMPLING, Controls, build_controls, preset_values, settings_from
from .report import report_html
from .roll import STATIC, roll_component, roll_value, score_component
from .session import Session, Take
from .studio import Studio, View, Wish, address, sentence
from .welcome import Welcome

EXAMPLES = Path(__file__).parent / "examples"
TITLE = "MusicGPT: preludes and fugues"
HEAD = """# MusicGPT
Keyboard music in the style of Bach's *Well-Tempered Clavier*, composed note by note by a transformer of
4.3 million parameters.
"""
FOOT = """Every note is four tokens: pitch, voice, duration, time to the next. The figures compare a piece
with movements by Bach that the model has never seen. The sound is the TimGM6mb soundfont; the score is
engraved by verovio.
"""
_FILE_LABELS = {
    "pdf": "Score (PDF)",
    "mid": "MIDI",
    "musicxml": "MusicXML",
    "png": "Picture (PNG)",
    "mp3": "Sound (MP3)",
}
# How wide a window must be for the wide engraving; asked of the browser when the page opens and when a piece
# is begun.
LAYOUT_JS = "window.innerWidth < 640 ? 'narrow' : 'wide'"


def files_html(files: dict[str, str]) -> str:
    """Links that download the files under their own names."""
    links = [
        (
            f'<a class="mg-file" href="{escape(address(path))}"'
            f' download="{escape(Path(path).name)}">{_FILE_LABELS[kind]}</a>'
            if (path := files.get(kind))
            else f'<span class="mg-file mg-missing">{label}</span>'
        )
        for kind, label in _FILE_LABELS.items()
        if kind != "pdf" or can_print()
    ]
    return f'<div class="mg-files">{"".join(links)}</div>'


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
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(1800, 7200)) as blocks:
            self.session = gr.State(Session(), time_to_live=6 * 3600, delete_callback=Session.close)
            self.layout = gr.Textbox("wide", visible=False)
            gr.Markdown(HEAD, elem_id="head")
            with gr.Row(elem_id="actions"):
                self.compose = gr.Button("Compose", variant="primary", elem_id="compose", min_width=120)
                self.stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop", min_width=80)
                self.continue_ = gr.Button("Continue this piece", elem_id="continue", min_width=150)
                self.undo = gr.Button("Undo", interactive=False, elem_id="undo", min_width=80)
            with gr.Row(elem_id="presets"):
                presets = {
                    name: gr.Button(name, size="sm", min_width=110, elem_classes="mg-preset")
                    for name in PRESETS
                }
            with gr.Row(elem_id="columns"):
                with gr.Column(scale=4, min_width=300, elem_id="controls"):
                    self.controls = build_controls()
                    gr.Examples(
                        [[str(path)] for path in sorted(EXAMPLES.glob("*.m*"))],
                        inputs=[self.controls.upload],
                        label="Beginnings to continue",
                    )
                with gr.Column(scale=9, min_width=320, elem_id="stage"):
                    self._build_stage()
            gr.Markdown(FOOT, elem_id="foot")
            self._wire(blocks, presets, self.controls)
            add_api(self.studio, self.controls)
        return blocks

    def _build_stage(self) -> None:
        first = self.studio.view(self.welcome.candidate(), "piano", "wide", busy=False)
        self.roll = roll_component(first.roll)
        self.chooser = gr.Radio([], label="Candidates: choose one", visible=False, elem_id="chooser")
        self.files = gr.HTML(files_html({}), elem_id="files")
        with gr.Tabs():
            with gr.Tab("Score"):
                self.score = score_component()
            with gr.Tab("Beside Bach"):
                self.report = gr.HTML(report_html(None), elem_id="report")

    # -- events
    # --------------------------------------------------------------------------------------------------------

    def _outputs(self) -> list[Any]:
        return [
            self.session,
            self.roll,
            self.score,
            self.report,
            self.files,
            self.chooser,
            self.controls.seed,
            self.compose,
            self.stop,
            self.continue_,
            self.undo,
        ]

    def _wire(self, blocks: gr.Blocks, presets: dict[str, gr.Button], controls: Controls) -> None:
        common: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": None,
        }
        outputs = self._outputs()
        asked = [self.session, self.layout, controls.random_seed, controls.candidates, controls.instrument]
        asked += [*controls.musical(), *controls.sampling()]
        # The last argument of each is the width of the page now, put in the place of the hidden box.
        js = f"(...all) => {{ all[1] = {LAYOUT_JS}; return all; }}"
        compose = [*asked, controls.upload, controls.prompt_bars]
        self.compose.click(self.on_compose, compose, outputs, js=js, trigger_mode="once", **common)
        self.continue_.click(self.on_continue, asked, outputs, js=js, trigger_mode="once", **common)
        self.stop.click(
            self.on_stop,
            [self.session],
            [self.stop],
            queue=False,
            api_visibility="private",
            show_progress="hidden",
        )
        self.undo.click(self.on_undo, [self.session, controls.instrument], outputs, **common)
        self.chooser.input(
            self.on_choose, [self.session, controls.instrument, self.chooser], outputs, **common
        )
        controls.instrument.input(self.on_instrument, [self.session, controls.instrument], outputs, **common)
        for name, button in presets.items():
            filled = button.click(
                lambda name=name: [*preset_values(name), None],
                None,
                [*controls.musical(), controls.upload],
                queue=False,
                show_progress="hidden",
                api_visibility="private",
            )
            filled.then(self.on_compose, compose, outputs, js=js, trigger_mode="once", **common)
        blocks.load(
            self.on_open,
            [self.session, self.layout],
            outputs,
            js=f"(...all) => [all[0], {LAYOUT_JS}]",
            **common,
        )

    def _shown(self, view: View, session: Session) -> dict[Any, Any]:
        """A view as updates of the components."""
        shown: dict[Any, Any] = {self.session: session, self.roll: view.roll}
        state = view.roll["state"]
        composing = state in ("waiting", "running")
        shown |= {
            self.compose: gr.update(interactive=not view.busy),
            self.stop: gr.update(interactive=composing),
            self.continue_: gr.update(interactive=not view.busy and session.current is not None),
            self.undo: gr.update(interactive=not view.busy and len(session.takes) > 1),
        }
        if composing:
            # The last piece's score and figures must not stand under the new one's notes.
            return shown | {
                self.score: None,
                self.report: report_html(None),
                self.files: files_html({}),
                self.chooser: gr.update(visible=False),
            }
        shown |= {self.files: files_html(view.files), self.chooser: self._chooser(session)}
        shown[self.score] = view.engraving
        shown[self.report] = report_html(view.figures)
        if session.current is not None:
            shown[self.controls.seed] = session.current.seed
        return shown

    @staticmethod
    def _chooser(session: Session) -> Any:
        take = session.takes[-1] if session.takes else None
        if take is None or len(take.candidates) < 2:
            return gr.update(visible=False)
        labels = [
            (f"{k + 1}: {len(c.score)} notes, {c.score.num_bars} bars, seed {c.seed}", k)
            for k, c in enumerate(take.candidates)
        ]
        return gr.update(choices=labels, value=take.chosen, visible=True)

    def _run(self, views: Iterator[View], session: Session, instrument: str) -> Iterator[dict[Any, Any]]:
        """Views as updates; an error as one sentence above the roll and in a corner, with the last good piece
        still there.
        """
        try:
            last_state = None
            with self.studio.calls.of(session.visitor):
                for view in views:
                    # While it grows only the roll changes: the rest is sent once.
                    if view.roll["state"] == last_state == "running":
                        yield {self.roll: view.roll}
                    else:
                        yield self._shown(view, session)
                    last_state = view.roll["state"]
        except Exception as error:
            message = sentence(error)
            gr.Warning(escape(message))
            yield self._shown(self._error_view(message, session, instrument), session)

    def _error_view(self, message: str, session: Session, instrument: str) -> View:
        if session.current is None:
            return View(roll_value(None, take="none", state="error", message=message), {}, busy=False)
        view = self.studio.view(session.current, instrument, session.layout, busy=False)
        return replace(view, roll={**view.roll, "state": "error", "message": message})

    def on_open(self, session: Session, layout: str, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Put the ready piece on the page."""
        session.layout, session.visitor = layout, visitor_of(request)
        if not session.takes:
            session.add(Take([self.welcome.candidate()]))
        while not self.welcome.wait(1.0):
            yield self._shown(
                self.studio.view(session.takes[-1].candidate, "piano", layout, busy=True), session
            )
        if len(session.takes) == 1:
            session.takes = [Take([self.welcome.candidate()])]
        yield from self._run(self.studio.finish(session, "piano", layout), session, "piano")

    def _wish(
        self,
        session: Session,
        layout: str,
        random_seed: bool,
        candidates: float,
        instrument: str,
        values: tuple,
    ) -> Wish:
        session.layout = layout
        settings = settings_from(**dict(zip((*MUSICAL, *SAMPLING), values, strict=True)))
        if random_seed:
            settings = replace(settings, seed=None)
        return Wish(settings, int(candidates), instrument=instrument, layout=layout)

    def on_compose(
        self,
        session: Session,
        layout: str,
        random_seed: bool,
        candidates: float,
        instrument: str,
        *values: Any,
    ) -> Iterator[dict[Any, Any]]:
        """Compose from the controls, or continue the uploaded file."""
        *chosen, upload, bars = values
        if session.running:
            yield {self.session: session}
            return

        def views() -> Iterator[View]:
            if upload:
                yield self.studio.waiting_view("upload", "Reading your file…")
            wish = self._wish(session, layout, random_seed, candidates, instrument, tuple(chosen))
            yield from self.studio.compose(self.studio.with_upload(wish, upload, int(bars)), session)

        yield from self._run(views(), session, instrument)

    def on_continue(
        self,
        session: Session,
        layout: str,
        random_seed: bool,
        candidates: float,
        instrument: str,
        *values: Any,
    ) -> Iterator[dict[Any, Any]]:
        """Go on from the end of the piece on the page."""
        if session.running:
            yield {self.session: session}
            return

        def views() -> Iterator[View]:
            wish = self._wish(session, layout, random_seed, candidates, instrument, values)
            yield from self.studio.compose(self.studio.with_current(wish, session), session)

        yield from self._run(views(), session, instrument)

    def on_stop(self, session: Session) -> Any:
        """End what is being composed; what is there becomes a whole piece."""
        session.stop()
        return gr.update(interactive=False)

    def on_undo(self, session: Session, instrument: str) -> Iterator[dict[Any, Any]]:
        """Back to the piece before."""
        if not session.running:
            session.undo()
            yield from self._run(self.studio.finish(session, instrument, session.layout), session, instrument)

    def on_choose(self, session: Session, instrument: str, chosen: int | None) -> Iterator[dict[Any, Any]]:
        """Show another candidate."""
        if not session.running and session.takes and chosen is not None:
            session.takes[-1].chosen = min(max(0, int(chosen)), len(session.takes[-1].candidates) - 1)
            yield from self._run(self.studio.finish(session, instrument, session.layout), session, instrument)

    def on_instrument(self, session: Session, instrument: str) -> Iterator[dict[Any, Any]]:
        """Play the piece on another instrument."""
        if not session.running and session.current is not None:
            yield from self._run(self.studio.finish(session, instrument, session.layout), session, instrument)


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
        "footer_links": ["api", "settings"],
    }
