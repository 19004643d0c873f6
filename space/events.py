"""What happens when something on the page is pressed: updates of its components."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from tokenization import MusicGPTError
from tokenization.vocabulary import METERS

from .api import visitor_of
from .audio import INSTRUMENTS
from .changes import edited, locked
from .controls import ANY, MUSICAL, SAMPLING, musical_choices, query_of, settings_from, values_from_query
from .files import files_html
from .keep import kept_takes, restored
from .own import read_own, summary, wish_with_own
from .report import report_html
from .roll import roll_value
from .session import Candidate, Session, Take
from .studio import Studio, View, Wish, plural, sentence
from .welcome import Welcome
from .words import BETWEEN, ENGLISH, language_of, translated

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
        parts, composing = self.parts, view.roll["state"] in ("waiting", "running", "others")
        shown: dict[Any, Any] = {parts.session: session, **self._roll(view, session)}
        shown |= {
            parts.compose: gr.update(interactive=not view.busy),
            parts.stop: gr.update(interactive=composing),
            parts.continue_: gr.update(interactive=not view.busy and session.current is not None),
            parts.undo: gr.update(interactive=not view.busy and len(session.takes) > 1),
            parts.redo: gr.update(interactive=not view.busy and bool(session.undone)),
            **{preset: gr.update(interactive=not view.busy) for preset in parts.presets.values()},
        }
        if composing:
            # The last piece's score and figures must not stand under the new one's notes.
            return shown | {
                parts.score: None,
                parts.report: report_html(None, session.language),
                parts.files: files_html({}, session.language),
                parts.chooser: _chooser(session),
            }
        engraving = view.engraving
        if engraving is not None:
            engraving = {**engraving, "title": translated(engraving["title"], session.language)}
        shown |= {parts.files: files_html(view.files, session.language), parts.chooser: _chooser(session)}
        shown |= {parts.score: engraving, parts.report: report_html(view.figures, session.language)}
        if session.current is not None:
            shown[parts.controls.seed] = session.current.seed
        if not view.busy:
            shown[parts.kept] = kept_takes(session)
        return shown

    def _roll(self, view: View, session: Session) -> dict[Any, Any]:
        """The roll alone, with its line in the visitor's language."""
        message = translated(view.roll["message"], session.language)
        return {self.parts.roll: {**view.roll, "message": message}}

    def _run(self, views: Iterator[View], session: Session) -> Updates:
        """Views as updates; an error as one sentence above the roll and in a corner, with the last good piece
        still there.
        """
        try:
            last: Any = None
            with self.studio.calls.of(session.visitor):
                for view in views:
                    # While notes come only the roll changes; the rest is sent once, and with every candidate.
                    state, growing = view.roll["state"], session.growing
                    now = (state, growing and (len(growing.candidates), growing.chosen))
                    if now == last and state in ("running", "others"):
                        yield self._roll(view, session)
                    else:
                        yield self._shown(view, session)
                    last = now
        except Exception as error:
            message = translated(sentence(error), session.language)
            gr.Warning(escape(message))
            yield self._shown(self._error_view(message, session), session)

    def _error_view(self, message: str, session: Session) -> View:
        if session.current is None:
            return View(roll_value(None, take="none", state="error", message=message), {}, busy=False)
        view = self.studio.view(session.current, session.instrument, session.layout, busy=False)
        return replace(view, roll={**view.roll, "state": "error", "message": message})

    def _finish(self, session: Session) -> Updates:
        views = self.studio.finish(session, session.layout)
        yield from self._run(views, session)

    # -- opening

    def on_open(self, session: Session, layout: str, query: str, kept: Any, request: gr.Request) -> Updates:
        """Put a piece on the page: that of the address, else the visitor's last one, else the shipped one."""
        session.layout, session.visitor = layout, visitor_of(request)
        session.language = language_of(request.headers.get("accept-language"))
        if not session.takes:
            session.takes = [Take([self.welcome.candidate()], shipped=True), *restored(kept)]
        asked = self._asked_by(query, session.language)
        yield self._controls(asked or {}, session.language)
        if asked is not None and not _brought_forward(session, query):
            values = asked
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

    @staticmethod
    def _asked_by(query: str, language: str) -> dict[str, Any] | None:
        """The values that an address holds, by the names of the controls; `None` without a seed."""
        try:
            values = values_from_query(query)
            settings_from(**values)
        except MusicGPTError as error:
            gr.Warning(escape(translated(str(error), language)))
            return None
        return values if values.get("seed") is not None else None

    def _controls(self, values: dict[str, Any], language: str) -> dict[Any, Any]:
        """The controls with those values, and with their choices in the visitor's language."""
        controls = self.parts.controls
        told: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in values.items()}
        if language != ENGLISH:
            for name, options in musical_choices(language).items():
                told.setdefault(name, {})["choices"] = options
        shown: dict[Any, Any] = {getattr(controls, name): gr.update(**props) for name, props in told.items()}
        if values:
            shown[controls.random_seed] = False
        for name, button in self.parts.presets.items():
            shown[button] = translated(name, language)
        return shown

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

    def on_sent(self, wish_of: Callable[[Wish, Session, Any], Wish]) -> Callable[..., Updates]:
        """A handler that composes what `wish_of` makes of the controls, the session and what is sent."""

        def handler(
            session: Session,
            event: gr.EventData,
            layout: str,
            random_seed: bool,
            candidates: float,
            *values: Any,
        ) -> Updates:
            asked = (session, layout, random_seed, candidates, values)
            yield from self._compose(session, lambda: wish_of(self._wish(*asked), session, event._data))

        return handler

    def wish_with_own(self, wish: Wish, session: Session, data: Any) -> Wish:
        """For `on_sent`: make something of the visitor's own music."""
        return wish_with_own(self.studio, wish, data)

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
            yield from self.studio.finish(session, session.layout)

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
        """Show another candidate; while others are still being composed, their views show it."""

        def change() -> None:
            take = session.growing or (session.takes[-1] if session.takes else None)
            if take is not None and take.candidates and chosen is not None:
                take.chosen = min(max(0, int(chosen)), len(take.candidates) - 1)

        if session.growing is not None:
            change()
        yield from self._changed(session, change)

    def on_instrument(self, session: Session, event: gr.EventData) -> Updates:
        """Write the sound for another instrument; the player of the page has changed it already."""
        chosen = event._data.get("instrument") if isinstance(event._data, dict) else None
        if chosen in INSTRUMENTS:
            session.instrument = chosen
        if session.current is not None:
            yield from self._changed(session, lambda: None)

    def on_own(self, session: Session, event: gr.EventData) -> dict[Any, Any]:
        """Read a file of the visitor's: say what is in it; key, meter and form follow it."""
        told = event._data if isinstance(event._data, dict) else {}
        parts, file = self.parts, told.get("file") or {}
        try:
            with self.studio.calls.of(session.visitor):
                score = read_own(self.studio, file)
        except Exception as error:
            return {parts.own: {"error": translated(sentence(error), session.language)}}
        says = f"{str(file.get('name', ''))[:80]}: {summary(score, session.language)}"
        shown: dict[Any, Any] = {parts.own: {"says": says}, parts.controls.form: score.form or ANY}
        if score.key:
            shown[parts.controls.key] = str(score.key)
        if (meter := score.meters[0].name) in METERS:
            shown[parts.controls.meter] = meter
        return shown


def _brought_forward(session: Session, query: str) -> bool:
    """Put the piece of an address on the page if the browser has kept it; whether it has."""
    asked = {name: value for name, value in parse_qsl(query.lstrip("?")) if not name.startswith("__")}
    for take in reversed(session.takes):
        if take.candidate.link and dict(parse_qsl(take.candidate.link)) == asked:
            session.takes = [*(other for other in session.takes if other is not take), take]
            return True
    return False


def _chooser(session: Session) -> Any:
    """The candidates of the last take, with their likeness in words where it is known."""
    take = session.growing or (session.takes[-1] if session.takes else None)
    if take is None or len(take.candidates) < 2:
        return gr.update(visible=False)
    labels = [
        (translated(_in_words(k, candidate), session.language), k)
        for k, candidate in enumerate(take.candidates)
    ]
    return gr.update(choices=labels, value=take.chosen, visible=True)


def _in_words(k: int, candidate: Candidate) -> str:
    """One candidate among others: its size, and how like Bach it is as far as that is known."""
    score, figures = candidate.score, candidate.made.get("figures") or {}
    parts = [f"Candidate {k + 1}", plural(len(score), "note"), plural(score.num_bars, "bar")]
    parts.append(f"seed {candidate.seed}")
    if figures.get("value") is not None:
        judged = [row["outside"] for row in figures["metrics"] if row["scored"] and row["value"] is not None]
        parts.append(f"likeness to Bach {figures['value']:.0f} of 100")
        parts.append(f"{len(judged) - sum(map(bool, judged))} of {len(judged)} figures within Bach's band")
    return BETWEEN.join(parts)
