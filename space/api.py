"""Endpoints for programs: `gradio_client`, MCP clients and plain HTTP, with named inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from tokenization import MusicGPTError, Score

from . import rendering
from .audio import INSTRUMENTS
from .controls import MOST_PROMPT_BARS, Controls, wish_from
from .session import Candidate, Session
from .studio import Studio, View, Wish, sentence


def add_api(studio: Studio, controls: Controls) -> None:
    """Add `/compose`, `/perform` and `/assess` to the page that is being built; none of them is visible on
    it.
    """
    api = Api(studio)
    with gr.Group(visible=False):
        outputs = [gr.File(label=name) for name in ("midi", "musicxml", "picture", "sound")]
        facts = gr.JSON(label="facts")
        seed = gr.Number(None, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
        upload = gr.File(label="Prompt", file_types=list(rendering.UPLOAD_SUFFIXES), value=None)
        prompt_bars = gr.Slider(1, MOST_PROMPT_BARS, value=4, step=1, label="Bars of it to keep")
        needed = gr.File(label="Score", file_types=list(rendering.UPLOAD_SUFFIXES))
        instrument = gr.Radio(list(INSTRUMENTS), value="piano", label="Played on")
        kind = gr.Radio(list(rendering.SOUND_FORMATS), value="mp3", label="Sound format")
        button = gr.Button()
    asked = [
        *controls.musical(),
        *controls.sampling()[:-1],
        seed,
        instrument,
        kind,
        upload,
        prompt_bars,
    ]
    shared: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
    button.click(api.compose, asked, [*outputs, facts], api_name="compose", **shared)
    button.click(api.perform, [needed, instrument, kind], outputs, api_name="perform", **shared)
    button.click(api.assess, [needed], [facts], api_name="assess", **shared)


class Api:
    """The functions behind the endpoints. Every call has a session of its own; its files are swept two hours
    later.

    Args:
        studio (`Studio`): does the work.
    """

    def __init__(self, studio: Studio):
        self._studio = studio

    def compose(
        self,
        key: str,
        form: str,
        meter: str,
        voices: str,
        tempo: str,
        mood: str,
        temperature: float,
        top_k: int,
        top_p: float,
        max_tokens: int,
        seed: int | None = None,
        instrument: str = "piano",
        sound_format: str = "mp3",
        prompt: str | None = None,
        prompt_bars: int = 4,
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Compose a keyboard piece in the style of Bach's Well-Tempered Clavier, or continue a given one.

        Args:
            key: Such as "C minor" or "Eb major"; "any" leaves it open. With a prompt: ignored, the prompt's
                key holds.
            form: "prelude", "fugue" or "any".
            meter: Such as "4/4" or "6/8"; "any" leaves it open. With a prompt: ignored, the prompt's meter
                holds.
            voices: "2", "3", "4", "5" or "any".
            tempo: "slow", "moderate", "fast" or "any".
            mood: "serene", "playful", "majestic", "melancholy", "dramatic", "contemplative" or "any".
            temperature: Higher is bolder, lower safer; 0.83 is usual.
            top_k: Sample among the k likeliest tokens; 0 means all.
            top_p: Sample among the likeliest tokens that hold this probability.
            max_tokens: The longest the piece may get; four tokens are one note.
            seed: The same settings and seed give the same piece; left out, one is drawn.
            instrument: "piano", "harpsichord" or "organ".
            sound_format: "mp3" or "wav".
            prompt: A MIDI or MusicXML file to continue.
            prompt_bars: How many bars of it to keep.

        Returns:
            The piece as MIDI, MusicXML, picture of the piano roll and sound, and facts about it (seed, notes,
            bars, figures).
        """
        values: tuple[Any, ...] = (
            key,
            form,
            meter,
            voices,
            tempo,
            mood,
            temperature,
            top_k,
            top_p,
            max_tokens,
            seed,
        )
        with _call(self._studio, request) as session:
            wish = wish_from(values, instrument, sound_format, prompt_bars)
            wish = self._studio.with_upload(wish, prompt, wish.prompt_bars)
            for _ in self._studio.compose(wish, session):
                # Gradio ends a generator whose caller has gone, and only a generator: so this one yields
                # while it works.
                yield (None,) * 5
            candidate = session.current
            assert candidate is not None
            view = self._studio.view(candidate, instrument, wish.layout, busy=False)
            sound = view.files["mp3"]
            if sound_format == "wav":
                sound = self._sound(candidate.score, instrument, Path(sound).parent, candidate.stem, "wav")
            facts = _facts(candidate, wish, view)
            yield view.files["mid"], view.files["musicxml"], view.files["png"], sound, facts

    def perform(
        self, score: str, instrument: str, sound_format: str, request: gr.Request | None = None
    ) -> Iterator[tuple[str | None, ...]]:
        """Turn a MIDI or MusicXML file into clean MIDI, MusicXML, a picture of the piano roll and sound.

        Args:
            score: A MIDI or MusicXML file.
            instrument: "piano", "harpsichord" or "organ".
            sound_format: "mp3" or "wav".

        Returns:
            MIDI (one track a voice), MusicXML, picture and sound.
        """
        with _call(self._studio, request) as session:
            read = self._read(score)
            yield (None,) * 4
            folder, stem = session.folder(self._studio.folders), Path(score).stem
            sound = self._sound(read, str(instrument), folder, stem, sound_format)
            yield (None,) * 4
            paper = self._studio.workers.run(rendering.paper_files, read, folder, stem, 0, "wide")
            yield paper["mid"], paper["musicxml"], paper["png"], sound

    def assess(self, score: str, request: gr.Request | None = None) -> dict[str, Any]:
        """Compare a MIDI or MusicXML file with held-out Bach.

        Args:
            score: A MIDI or MusicXML file.

        Returns:
            The musical score (0 to 100), every metric beside Bach's band, and the nearest Bach passage.
        """
        with _call(self._studio, request):
            return self._studio.workers.run(rendering.assess, self._read(score))

    def _read(self, path: str | None) -> Score:
        if not path:
            raise MusicGPTError("No file was given: send a MIDI or MusicXML file.")
        return self._studio.read_upload(path)

    def _sound(self, score: Score, instrument: str, folder: Path, stem: str, kind: str) -> str:
        return self._studio.workers.run(rendering.sound_file, score, instrument, folder, stem, kind)


def visitor_of(request: gr.Request | None) -> str:
    """The address that a request comes from. Behind a proxy it is the caller's only where uvicorn trusts the
    proxy's headers.
    """
    return request.client.host if request is not None and request.client else ""


@contextmanager
def _call(studio: Studio, request: gr.Request | None) -> Iterator[Session]:
    """A session for one call; whatever goes wrong in it is told to the caller, and its files are removed
    then.
    """
    session = Session(visitor=visitor_of(request))
    try:
        with studio.calls.of(session.visitor):
            yield session
    except Exception as error:
        session.close()
        raise gr.Error(sentence(error), print_exception=False) from error
    except BaseException:  # the caller has gone
        session.close()
        raise


def _facts(candidate: Candidate, wish: Wish, view: View) -> dict[str, Any]:
    return {
        "seed": candidate.seed,
        "settings": wish.settings.with_seed(candidate.seed).to_dict(),
        "notes": len(candidate.score),
        "prompt_notes": candidate.num_prompt_notes,
        "bars": candidate.score.num_bars,
        "key": str(candidate.score.key) if candidate.score.key else None,
        "ended_by": candidate.ended,
        "model_seconds": round(candidate.seconds, 2),
        "figures": view.figures,
    }
