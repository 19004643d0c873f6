"""From a visitor's wish to a finished piece: waiting, composing, then sound, score and figures beside the
model.

Knows nothing of Gradio: the page and the API both iterate over what `Studio` yields.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from musicgpt import Settings
from musicgpt.given import Given
from musicgpt.printing import can_print
from musicgpt.prompts import NoNewNote
from tokenization import MusicGPTError, Score
from tokenization.heading import given_of, title_of

from . import rendering
from .audio import lasts
from .beside import Corpus, Excerpt, corpus_files, plain
from .roll import roll_value
from .session import Candidate, FileFlag, Folders, Session, Take
from .turns import Calls, Turns
from .workers import Workers

MAX_CANDIDATES = 4
LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class Wish:
    """What a visitor asks for.

    Attributes:
        settings (`Settings`): without a seed one is drawn.
        candidates (`int`): 1 to 4; candidate k has the seed plus k.
        prompt (`Score`, *optional*), prompt_bars (`int`, *optional*): what to continue, and how many of its
            bars to keep.
        instrument (`str`): who plays it.
        layout (`str`): `"wide"` or `"narrow"`, how the score is engraved.
        given (`Given`, *optional*): notes that stay, and where others may be written; not with a prompt.
        kin (`str`, *optional*), locked (set of rows), link (`str`, *optional*): for the `Candidate`; the
            link without its seed.
    """

    settings: Settings
    candidates: int = 1
    prompt: Score | None = None
    prompt_bars: int | None = None
    instrument: str = "piano"
    layout: str = "wide"
    given: Given | None = None
    kin: str | None = None
    locked: frozenset[tuple[int, int, int, int]] = frozenset()
    link: str | None = None


@dataclass(frozen=True)
class View:
    """What is to be shown now; `None` means: nothing yet.

    Attributes:
        roll (`dict`): see `roll.roll_value`.
        files (`dict`): suffix (`pdf`, `mid`, `musicxml`, `png`, `mp3`) to path.
        engraving (`dict`, *optional*), figures (`dict`, *optional*): see `engraving.engrave` and
            `report.assess`.
        busy (`bool`): whether more is to come.
    """

    roll: dict[str, Any]
    files: dict[str, str]
    engraving: dict[str, Any] | None = None
    figures: dict[str, Any] | None = None
    busy: bool = True


def plural(count: int, what: str) -> str:
    """`"1 note"`, `"2 notes"`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def clock(seconds: float) -> str:
    """`"1:05"`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def sentence(error: Exception) -> str:
    """What a visitor is told of an error: always something. What nobody foresaw goes into the server's log
    with its place.
    """
    if isinstance(error, MusicGPTError) and str(error):
        text = str(error)
        return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"
    logging.getLogger(__name__).error("Unforeseen", exc_info=error)
    return (
        f"Something went wrong on the server ({type(error).__name__}). Please try again; if it happens again,"
        " report it."
    )


def describe(candidate: Candidate) -> str:
    """One line on a finished piece."""
    score = candidate.score
    ended = {"the limit": " · stopped at the limit of tokens", "you": " · stopped by you"}.get(
        candidate.ended, ""
    )
    made = (
        f" · seed {candidate.seed} · composed in {candidate.seconds:.1f} s"
        if candidate.seconds
        else f" · seed {candidate.seed}"
    )
    given = f" · {given_of(score)}" if given_of(score) else ""
    return (
        f"{title_of(score)}{given} · {plural(len(score), 'note')} · {plural(score.num_bars, 'bar')} ·"
        f" {clock(lasts(score))}{ended}{made}"
    )


class Studio:
    """Serves all visitors.

    Args:
        model (`str`, *optional*): folder or Hub name of the model; the shipped one when not given.
        device (`str`, *optional*): such as `"cuda"`.
        folders (`Folders`, *optional*), workers (`Workers`, *optional*), turns (`Turns`, *optional*): made
            when not given.
        corpus (`str` or `Path`, *optional*): a folder of scores whose nearest passage is shown beside each
            piece.

    Raises:
        MusicGPTError: if there is no such folder, or it holds no scores or too many.

    Attributes:
        calls (`Calls`): what page and API ask before they serve anybody.
        pieces (`int`): how many were composed until now.
    """

    def __init__(
        self,
        model: str | None = None,
        device: str | None = None,
        folders: Folders | None = None,
        workers: Workers | None = None,
        turns: Turns | None = None,
        corpus: str | Path | None = None,
    ):
        self.folders = folders or Folders()
        self.workers = workers or Workers()
        self.turns = turns or Turns()
        self.calls = Calls()
        self.pieces = 0
        self._model, self._device = model, device
        self._folder, self._corpus = corpus, None if corpus is None else Future[Corpus]()
        if corpus is not None:
            corpus_files(corpus)  # a folder that holds nothing is told at once
        self._threads = ThreadPoolExecutor(12, thread_name_prefix="finish")
        self._loaded = threading.Event()
        self._load_error: Exception | None = None

    def start(self) -> None:
        """Load the model in the background, unless it is there, and begin to sweep old files."""
        self.folders.start_sweeping()
        if not self._loaded.is_set():
            threading.Thread(target=self.load, name="load", daemon=True).start()
        if self._corpus is not None:
            threading.Thread(target=self.read_corpus, name="corpus", daemon=True).start()

    def read_corpus(self) -> None:
        """Read the operator's folder of scores; an error is kept and written into the log."""
        assert self._folder is not None and self._corpus is not None
        try:
            read = partial(self.workers.run, rendering.read_file)
            self._corpus.set_result(Corpus.read(self._folder, read))
        except Exception as error:
            logging.getLogger(__name__).error("No passage of the corpus can be shown: %s", error)
            self._corpus.set_exception(error)

    def load(self) -> None:
        """Load the model; an error is kept and told to every visitor."""
        try:
            from . import sampling

            sampling.load(self._model, self._device)
        except Exception as error:
            self._load_error = error
            raise
        finally:
            self._loaded.set()

    @property
    def state(self) -> str:
        """`"loading"`, `"ready"`, or `"failed"` when the model could not be loaded."""
        if not self._loaded.is_set():
            return "loading"
        return "ready" if self._load_error is None else "failed"

    def close(self) -> None:
        """End the processes and remove all files."""
        self.workers.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.folders.close()

    def in_background(self, work: Callable[[], Any]) -> Future[Any]:
        """Run something in one of the studio's threads."""
        return self._threads.submit(work)

    # -- composing
    # -----------------------------------------------------------------------------------------------------

    def compose(self, wish: Wish, session: Session) -> Iterator[View]:
        """Make one take and put it into the session.

        The model is ours only while it samples; between two candidates and before files are made it is handed
        on.

        Yields:
            `View`: the growing roll, then the finished piece with its files.

        Raises:
            MusicGPTError: one sentence for the visitor.
        """
        if not 1 <= wish.candidates <= MAX_CANDIDATES:
            raise MusicGPTError(
                f"{wish.candidates} candidates were asked for; it must be 1 to {MAX_CANDIDATES}."
            )
        session.running, session.growing, session.instrument = True, Take([]), wish.instrument
        try:
            yield from self._compose_all(wish, session.begin(self.folders), session.growing)
            session.add(session.growing)
        finally:
            session.running, session.growing = False, None
        yield from self.finish(session, wish.layout)

    def _compose_all(self, wish: Wish, stop: FileFlag, take: Take) -> Iterator[View]:
        """Sample the candidates one after the other and put those that have notes into the take."""
        seed = wish.settings.seed if wish.settings.seed is not None else secrets.randbelow(2**31)
        empty: NoNewNote | None = None
        for k in range(wish.candidates):
            if stop.is_set():
                break
            label = f" candidate {k + 1} of {wish.candidates}" if wish.candidates > 1 else ""
            one = replace(wish, settings=wish.settings.with_seed(seed + k))
            try:
                candidate = yield from self._beside(self._compose_one(one, stop, label), take, wish)
            except NoNewNote as error:  # the other candidates must not be lost
                candidate, empty = None, error
            if candidate is not None:
                take.candidates.append(candidate)
        if not take.candidates and stop.is_set():
            raise MusicGPTError("Stopped before the first note.")
        if not take.candidates:
            raise empty or MusicGPTError("No new note found room: allow more tokens, or give less.")

    def _beside(
        self, views: Generator[View, None, Candidate | None], take: Take, wish: Wish
    ) -> Generator[View, None, Candidate | None]:
        """The views of a candidate that is being composed. As soon as another one is whole, that one is shown
        and can be heard, with a line on how far the new one is; returns the new one.
        """
        whole: dict[str, Any] = {"take": None}
        try:
            while True:
                try:
                    view = next(views)
                except StopIteration as end:
                    return end.value
                if take.candidates:
                    if whole["take"] != take.candidate.take:
                        whole = self.view(take.candidate, wish.instrument, wish.layout, busy=True).roll
                    message = f"{view.roll['message']} · you hear candidate {take.chosen + 1}"
                    told = {"state": "others", "message": message, "progress": view.roll["progress"]}
                    view = View({**whole, **told}, {})
                yield view
        finally:
            views.close()

    @staticmethod
    def with_current(wish: Wish, session: Session) -> Wish:
        """The wish to go on from the end of the session's piece. One that the model ended is taken up before
        its last bar.

        Raises:
            MusicGPTError: if there is no piece yet.
        """
        candidate = session.current
        if candidate is None:
            raise MusicGPTError("There is no piece to continue yet; compose one first.")
        score, bars = candidate.score, candidate.score.num_bars
        settings = replace(wish.settings, key=None, meter=None, form=None, tempo=None, voices=None)
        kept = bars - 1 if candidate.ended == "the model" and bars > 2 else bars
        return replace(wish, settings=settings, prompt=score.replace(source=None), prompt_bars=kept)

    def _wait(self, in_front: Any, stop: FileFlag, take: str, wish: Wish) -> Iterator[View]:
        """Views of the queue until it is our turn, the model is there, or the visitor gives up."""
        yield self.waiting_view(take, "Composing…", wish)
        while not stop.is_set():
            places = in_front(0.2)
            if places == 0 and self._loaded.wait(0.2):
                break
            what = plural(places, "visitor") + " in front of you" if places else "the model is being loaded"
            yield self.waiting_view(take, f"Waiting: {what}…", wish)
            # What is shown changes slowly; waking five times a second is for the stop flag and our turn only.
            until = time.monotonic() + 1.0
            while (
                time.monotonic() < until
                and not stop.is_set()
                and (in_front(0.2) or not self._loaded.is_set())
            ):
                self._loaded.wait(0.05)
        if self._load_error is not None:
            raise MusicGPTError(f"The model could not be loaded: {self._load_error}") from self._load_error

    @staticmethod
    def waiting_view(take: str, message: str, wish: Wish) -> View:
        """A roll with what is given, and a line that says what is waited for."""
        score = wish.given.score if wish.given else None
        roll = roll_value(
            score, take=take, state="waiting", message=message, kin=wish.kin, locked=_given_notes(wish.given)
        )
        return View(roll, {})

    def _compose_one(self, wish: Wish, stop: FileFlag, label: str) -> Generator[View, None, Candidate | None]:
        """Sample one candidate; returns it, or `None` when it was stopped before its first note."""
        take = secrets.token_hex(8)
        with self.turns.waiting() as in_front:
            yield from self._wait(in_front, stop, take, wish)
            if stop.is_set():
                return None
            from . import sampling  # imports torch, which the loading thread has done by now

            notes: list[Any] = []
            for growth in sampling.sample(
                wish.settings, wish.prompt, wish.prompt_bars, stop, given=wish.given
            ):
                notes += growth.notes
                made = growth.composition
                score = made.score if made else growth.base.replace(notes=[*growth.base.notes, *notes])
                yield self._growing_view(score, take, wish, growth, label)
            self.pieces += 1  # still in our turn: nobody else counts
        assert made is not None
        if not made.num_new_notes:
            return None
        ended = "the model" if made.finished else "you" if stop.is_set() else "the limit"
        stem = made.file_stem()
        return Candidate(
            made.score,
            stem,
            0 if wish.given else made.num_prompt_notes,
            made.seed,
            made.seconds,
            ended,
            take,
            kin=wish.kin,
            locked=wish.locked if wish.kin else _given_notes(wish.given),
            link=f"{wish.link}&seed={made.seed}" if wish.link else None,
        )

    @staticmethod
    def _growing_view(score: Score, take: str, wish: Wish, growth: Any, label: str) -> View:
        most = growth.most_tokens
        part = min(1.0, growth.tokens / max(1, most))
        bars = score.num_bars if len(score) else 0
        message = (
            f"Composing{label}: {plural(len(score), 'note')}, {plural(bars, 'bar')} · {part:.0%} of {most:,}"
            " tokens"
        )
        return View(
            roll_value(
                score,
                take=take,
                state="running",
                message=message,
                num_prompt_notes=0 if wish.given else len(growth.base),
                progress=part,
                kin=wish.kin,
                locked=wish.locked if wish.kin else _given_notes(wish.given),
            ),
            {},
        )

    # -- finishing
    # -----------------------------------------------------------------------------------------------------

    def finish(self, session: Session, layout: str) -> Iterator[View]:
        """Make what is still missing of the chosen candidate: files, engraving, figures, sound; views as each
        arrives, as long as nothing else has come onto the page.

        Raises:
            MusicGPTError: if one of them cannot be made.
        """
        candidate, instrument = session.current, session.instrument
        if candidate is None:
            raise MusicGPTError("There is no piece yet.")
        folder = session.folder(self.folders)
        take, jobs = session.takes[-1], self._missing(candidate, folder, instrument, layout)

        def views(busy: bool) -> Iterator[View]:
            wanted = candidate is session.current and instrument == session.instrument
            if wanted and not session.running:
                yield self.view(candidate, instrument, layout, busy)

        if jobs:
            yield from views(busy=True)
        while jobs:
            done, _ = wait(jobs, return_when=FIRST_COMPLETED)
            for job in done:
                candidate.made.update(job.result())
                jobs.discard(job)
            if jobs:
                yield from views(busy=True)
        self._judge_others(take)
        yield from views(busy=False)

    def _missing(self, candidate: Candidate, folder: Path, instrument: str, layout: str) -> set[Future]:
        """Start the work whose results are not there (or were swept away); each future gives entries for
        `made`.
        """
        score, stem, made = candidate.score, candidate.stem, candidate.made
        jobs = set()

        def there(*names: Any) -> bool:
            return all(name in made and Path(made[name]).is_file() for name in names)

        def start(entries: Any) -> None:
            jobs.add(self._threads.submit(entries))

        if not there("mid", "musicxml", "png"):

            def paper() -> dict:
                result = self.workers.run(
                    rendering.paper_files, score, folder, stem, candidate.num_prompt_notes, layout
                )
                return {("engraving", layout): result.pop("engraving"), **result}

            start(paper)
        elif ("engraving", layout) not in made:
            start(lambda: {("engraving", layout): self.workers.run(rendering.engraving, score, layout)})
        if can_print() and not there("pdf"):
            start(lambda: {"pdf": self.workers.run(rendering.pdf_file, score, folder, stem)})
        if not there(("mp3", instrument)):
            start(
                lambda: {
                    ("mp3", instrument): self.workers.run(
                        rendering.sound_file, score, instrument, folder, stem
                    )
                }
            )
        if "figures" not in made:
            start(lambda: {"figures": self.workers.run(rendering.assess, score)})
        corpus = self._corpus_if_read()
        if corpus is not None and "beside" not in made:
            start(lambda: {"beside": plain(corpus.beside(score), self._marked)})
        return jobs

    def _corpus_if_read(self) -> Corpus | None:
        """The operator's scores, once they are read."""
        read = self._corpus
        return read.result() if read is not None and read.done() and not read.exception() else None

    def _judge_others(self, take: Take) -> None:
        """Work out the figures of the candidates that are not shown: their likeness helps to choose."""
        for candidate in take.candidates:
            if "figures" not in candidate.made:
                candidate.made["figures"] = self.workers.run(rendering.assess, candidate.score)

    def _marked(self, part: Excerpt, number: int) -> str:
        return self.workers.run(rendering.marked, part.score, part.run.tolist(), number)

    def view(self, candidate: Candidate, instrument: str, layout: str, busy: bool) -> View:
        """A finished piece as far as it is made."""
        made = candidate.made
        files = {kind: made[kind] for kind in ("pdf", "mid", "musicxml", "png") if kind in made}
        sound = made.get(("mp3", instrument))
        if sound:
            files["mp3"] = sound
        roll = roll_value(
            candidate.score,
            take=candidate.take,
            state="finishing" if busy else "done",
            message=describe(candidate) + (" · writing score and sound…" if busy else ""),
            num_prompt_notes=candidate.num_prompt_notes,
            kin=candidate.kin,
            loud=True,
            locked=candidate.locked,
            link=candidate.link,
        )
        engraving = made.get(("engraving", layout))
        if engraving is not None:
            engraving = page_engraving(candidate, engraving)
        figures = made.get("figures")
        if figures is not None and "beside" in made:
            figures = {**figures, "beside": made["beside"]}
        return View(roll, files, engraving, figures, busy)

    def read_upload(self, path: str) -> Score:
        """A visitor's file as a score, read in another process.

        Raises:
            MusicGPTError: one sentence for the visitor.
        """
        # Gradio's own kind of string would make the other process import all of Gradio.
        return self.workers.run(rendering.read_upload, str(path), limits=rendering.UPLOAD_LIMITS)


def _given_notes(given: Given | None) -> frozenset[tuple[int, int, int, int]]:
    """The rows of what was given."""
    return frozenset(map(tuple, given.score.array.tolist())) if given is not None else frozenset()


def page_engraving(candidate: Candidate, engraving: dict[str, Any]) -> dict[str, Any]:
    """An engraving for the page: with the piece's title, times in its ticks, which also count the silence
    before a pickup, and the voice of each note in place of its pitch.
    """
    bar = candidate.score.meters[0].bar_ticks
    # MusicXML begins with the pickup, the piece with the bar line before it.
    offset = bar - candidate.score.pickup if candidate.score.pickup else 0
    times = [[round(quarter * 24 + offset), ids] for quarter, ids in engraving["times"]]
    voices = {(onset, pitch): voice for onset, _, pitch, voice in candidate.score.array.tolist()}
    notes = [
        [name, tick, voices[tick, pitch]]
        for name, quarter, pitch in engraving["notes"]
        if (tick := round(quarter * 24 + offset), pitch) in voices
    ]
    return {
        "take": candidate.take,
        "title": title_of(candidate.score),
        "pages": engraving["pages"],
        "times": times,
        "notes": notes,
    }
