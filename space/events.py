"""What happens when something on the page is pressed: updates of its components."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from tokenization import MusicGPTError
from tokenization.vocabulary import METERS

from .api import visitor_of
from .audio import INSTRUMENTS
from .changes import edited, locked, revision
from .controls import MUSICAL, SAMPLING, query_of, settings_from, values_from_query
from .files import files_html
from .keep import kept_takes, restored
from .own import read_own, summary, wish_with_own
from .report import report_html
from .roll import roll_value
from .session import Session, Take
from .studio import Studio, View, Wish, sentence
from .welcome import Welcome

Updates = Iterator[dict[Any, Any]]


class Events:
    """The handlers of the page.

    Args:
        studio (`Studio`): does the work.
        welcome (`Welcome`): the piece that is there at first.
        parts (`Page`): has the components that are updated as its attributes.
    """

    def __init__(self, studio: Studio, welcome: Welcome, parts: Any):
        self.studio, self.welcome, self.parts = studio, welcome, parts

    # -- updates

    def _shown(self, view: View, session: Session) -> dict[Any, Any]:
        """A view as updates of the components."""
        parts, composing = self.parts, view.roll["state"] in ("waiting", "running")
        shown: dict[Any, Any] = {parts.session: session, parts.roll: view.roll}
        shown |= {
            parts.compose: gr.update(interactive=not view.busy),
            parts.stop: gr.update(interactive=composing),
            parts.continue_: gr.update(interactive=not view.busy and session.current is not None),
            parts.undo: gr.update(interactive=not view.busy and len(session.takes) > 1),
            parts.redo: gr.update(interactive=not view.busy and bool(session.undone)),
        }
        if composing:
            # The last piece's score and figures must not stand under the new one's notes.
            return shown | {
                parts.score: None,
                parts.report: report_html(None),
                parts.files: files_html({}),
                parts.chooser: gr.update(visible=False),
            }
        shown |= {parts.files: files_html(view.files), parts.chooser: _chooser(session)}
        shown |= {parts.score: view.engraving, parts.report: report_html(view.figures)}
        if session.current is not None:
            shown[parts.controls.seed] = session.current.seed
        if not view.busy:
            shown[parts.kept] = kept_takes(session)
        return shown

    def _run(self, views: Iterator[View], session: Session) -> Updates:
        """Views as updates; an error as one sentence above the roll and in a corner, with the last good piece
        still there.
        """
        try:
            last_state = None
            with self.studio.calls.of(session.visitor):
                for view in views:
                    # While it grows only the roll changes: the rest is sent once.
                    if view.roll["state"] == last_state == "running":
                        yield {self.parts.roll: view.roll}
                    else:
                        yield self._shown(view, session)
                    last_state = view.roll["state"]
        except Exception as error:
            message = sentence(error)
            gr.Warning(escape(message))
            yield self._shown(self._error_view(message, session), session)

    def _error_view(self, message: str, session: Session) -> View:
        if session.current is None:
            return View(roll_value(None, take="none", state="error", message=message), {}, busy=False)
        view = self.studio.view(session.current, session.instrument, session.layout, busy=False)
        return replace(view, roll={**view.roll, "state": "error", "message": message})

    def _finish(self, session: Session) -> Updates:
        views = self.studio.finish(session, session.instrument, session.layout)
        yield from self._run(views, session)

    # -- opening

    def on_open(self, session: Session, layout: str, query: str, kept: Any, request: gr.Request) -> Updates:
        """Put a piece on the page: that of the address, else the visitor's last one, else the shipped one."""
        session.layout, session.visitor = layout, visitor_of(request)
        if not session.takes:
            session.takes = [Take([self.welcome.candidate()], shipped=True), *restored(kept)]
        if (asked := self._asked_by(query)) is not None:
            values, updates = asked
            yield updates
            wish = Wish(
                settings_from(**values), instrument=session.instrument, layout=layout, link=query_of(values)
            )
            yield from self._run(self.studio.compose(wish, session), session)
            return
        while session.takes[-1].shipped and not self.welcome.wait(1.0):
            yield self._shown(
                self.studio.view(session.takes[-1].candidate, "piano", layout, busy=True), session
            )
        if session.takes[-1].shipped:
            session.takes = [Take([self.welcome.candidate()], shipped=True)]
        yield from self._finish(session)

    def _asked_by(self, query: str) -> tuple[dict[str, Any], dict[Any, Any]] | None:
        """The values that an address holds, and the controls that are to show them; `None` without a seed."""
        try:
            values = values_from_query(query)
            settings_from(**values)
        except MusicGPTError as error:
            gr.Warning(escape(str(error)))
            return None
        if values.get("seed") is None:
            return None
        controls = self.parts.controls
        return values, {getattr(controls, name): value for name, value in values.items()} | {
            controls.random_seed: False
        }

    # -- composing

    def _wish(
        self, session: Session, layout: str, random_seed: bool, candidates: float, values: tuple
    ) -> Wish:
        session.layout = layout
        settings = settings_from(**dict(zip((*MUSICAL, *SAMPLING), values, strict=True)))
        if random_seed:
            settings = replace(settings, seed=None)
        return Wish(settings, int(candidates), instrument=session.instrument, layout=layout)

    def _compose(self, session: Session, wish: Any) -> Updates:
        """Compose what `wish()` says, unless something is being composed already."""
        if session.running:
            yield {self.parts.session: session}
            return

        def views() -> Iterator[View]:
            yield from self.studio.compose(wish(), session)

        yield from self._run(views(), session)

    def on_compose(
        self, session: Session, layout: str, random_seed: bool, candidates: float, *values: Any
    ) -> Updates:
        """Compose from the controls."""

        named = dict(zip((*MUSICAL, *SAMPLING), values, strict=True))

        def wish() -> Wish:
            asked = self._wish(session, layout, random_seed, candidates, values)
            return replace(asked, link=query_of(named))

        yield from self._compose(session, wish)

    def on_continue(
        self, session: Session, layout: str, random_seed: bool, candidates: float, *values: Any
    ) -> Updates:
        """Go on from the end of the piece on the page."""
        yield from self._compose(
            session,
            lambda: self.studio.with_current(
                self._wish(session, layout, random_seed, candidates, values), session
            ),
        )

    def on_revise(
        self,
        session: Session,
        event: gr.EventData,
        layout: str,
        random_seed: bool,
        candidates: float,
        *values: Any,
    ) -> Updates:
        """Compose the selected bars and voices anew."""
        asked = (session, layout, random_seed, candidates, values)
        yield from self._compose(session, lambda: revision(self._wish(*asked), session, event._data))

    def on_give(
        self,
        session: Session,
        event: gr.EventData,
        layout: str,
        random_seed: bool,
        candidates: float,
        *values: Any,
    ) -> Updates:
        """Make something of the visitor's own music."""
        asked = (session, layout, random_seed, candidates, values)
        yield from self._compose(session, lambda: wish_with_own(self.studio, self._wish(*asked), event._data))

    def on_stop(self, session: Session) -> Any:
        """End what is being composed; what is there becomes a whole piece."""
        session.stop()
        return gr.update(interactive=False)

    # -- what is there

    def _changed(self, session: Session, change: Any) -> Updates:
        """Change the session, then show its piece, unless something is being composed."""
        if session.running:
            yield {self.parts.session: session}
            return

        def views() -> Iterator[View]:
            change()
            yield from self.studio.finish(session, session.instrument, session.layout)

        yield from self._run(views(), session)

    def on_edit(self, session: Session, event: gr.EventData) -> Updates:
        """Take over notes that were moved or deleted in the roll."""
        yield from self._changed(session, lambda: session.add(Take([edited(session, event._data)])))

    def on_lock(self, session: Session, event: gr.EventData) -> Updates:
        """Lock the selected notes, or set them free."""

        def change() -> None:
            candidate, take = locked(session, event._data), session.takes[-1]
            take.candidates[take.chosen] = candidate

        yield from self._changed(session, change)

    def on_undo(self, session: Session) -> Updates:
        """Back to the piece before."""
        yield from self._changed(session, session.undo)

    def on_redo(self, session: Session) -> Updates:
        """On to the piece that was undone."""
        yield from self._changed(session, session.redo)

    def on_choose(self, session: Session, chosen: int | None) -> Updates:
        """Show another candidate."""

        def change() -> None:
            if session.takes and chosen is not None:
                take = session.takes[-1]
                take.chosen = min(max(0, int(chosen)), len(take.candidates) - 1)

        yield from self._changed(session, change)

    def on_instrument(self, session: Session, event: gr.EventData) -> Updates:
        """Write the sound for another instrument; the player of the page has changed it already."""
        chosen = event._data.get("instrument") if isinstance(event._data, dict) else None
        if chosen in INSTRUMENTS:
            session.instrument = chosen
        if session.current is not None:
            yield from self._changed(session, lambda: None)

    def on_own(self, session: Session, event: gr.EventData) -> dict[Any, Any]:
        """Read a file of the visitor's: say what is in it; key and meter follow it."""
        told = event._data if isinstance(event._data, dict) else {}
        parts, file = self.parts, told.get("file") or {}
        try:
            with self.studio.calls.of(session.visitor):
                score = read_own(self.studio, file)
        except Exception as error:
            return {parts.own: {"error": sentence(error)}}
        shown: dict[Any, Any] = {parts.own: {"says": summary(score, str(file.get("name", ""))[:80])}}
        if score.key:
            shown[parts.controls.key] = str(score.key)
        if (meter := score.meters[0].name) in METERS:
            shown[parts.controls.meter] = meter
        return shown


def _chooser(session: Session) -> Any:
    """The candidates of the last take, with their likeness in words where it is known."""
    take = session.takes[-1] if session.takes else None
    if take is None or len(take.candidates) < 2:
        return gr.update(visible=False)
    labels = []
    for k, candidate in enumerate(take.candidates):
        value = (candidate.made.get("figures") or {}).get("value")
        likeness = f", likeness to Bach {value:.0f} of 100" if value is not None else ""
        label = (
            f"{k + 1}: {len(candidate.score)} notes, {candidate.score.num_bars} bars, seed {candidate.seed}"
        )
        labels.append((label + likeness, k))
    return gr.update(choices=labels, value=take.chosen, visible=True)
