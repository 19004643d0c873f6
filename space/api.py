"""Endpoints for programs: `gradio_client`, MCP clients and plain HTTP, with named inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from musicgpt.given import PARTS, Given
from tokenization import MusicGPTError, Score
from tokenization.vocabulary import MAX_VOICES

from . import rendering
from .audio import INSTRUMENTS
from .controls import MOST_PROMPT_BARS, build_musical, build_sampling, whole_number, wish_from
from .own import own_wish
from .session import Candidate, Session
from .studio import Studio, View, Wish, sentence
from .words import language_of, translated


def add_api(studio: Studio) -> None:
    """Add the endpoints to the page that is being built; none of them is visible on it."""
    api = Api(studio)
    suffixes = list(rendering.UPLOAD_SUFFIXES)
    with gr.Group(visible=False):
        outputs = [gr.File(label=name) for name in ("midi", "musicxml", "picture", "sound")]
        facts = gr.JSON(label="facts")
        musical, sampling = build_musical(label=str), build_sampling(label=str)
        seed = gr.Number(None, label="seed", precision=0, minimum=0, maximum=2**31 - 1)
        subject, melody = gr.Textbox("", label="subject"), gr.Textbox("", label="melody")
        needed, optional = (gr.File(label="score", file_types=suffixes, value=None) for _ in range(2))
        part = gr.Radio(list(PARTS), value="soprano", label="part")
        kept = gr.Slider(1, MOST_PROMPT_BARS, value=4, step=1, label="bars")
        first, last = (gr.Number(1, label=name, precision=0) for name in ("first_bar", "last_bar"))
        which = gr.Textbox("", label="voices")
        instrument = gr.Radio(list(INSTRUMENTS), value="piano", label="instrument")
        kind = gr.Radio(list(rendering.SOUND_FORMATS), value="mp3", label="sound_format")
        button = gr.Button()
    tonal = [musical[name] for name in ("voices", "key", "meter", "tempo")]
    bold = [sampling["temperature"], sampling["top_k"], sampling["top_p"]]
    played, made = [seed, instrument, kind], [*outputs, facts]
    shared: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}

    def endpoint(work: Any, takes: list[Any], gives: list[Any]) -> None:
        button.click(work, takes, gives, api_name=work.__name__.removesuffix("_piece"), **shared)

    endpoint(api.compose, [*musical.values(), *bold, sampling["max_tokens"], subject, *played], made)
    most = sampling["max_tokens"]
    endpoint(api.continue_piece, [needed, kept, musical["tempo"], *bold, most, *played], made)
    endpoint(api.harmonize, [melody, part, *tonal, *bold, optional, *played], made)
    endpoint(api.revise, [needed, first, last, which, *bold, *played], made)
    endpoint(api.perform, [needed, instrument, kind], outputs)
    endpoint(api.assess, [needed], [facts])


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
        form: str,
        key: str,
        bars: str,
        meter: str,
        voices: str,
        tempo: str,
        mood: str,
        temperature: float,
        top_k: int,
        top_p: float,
        max_tokens: int,
        subject: str = "",
        seed: int | None = None,
        instrument: str = "piano",
        sound_format: str = "mp3",
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Compose a piece in the style of Bach's Well-Tempered Clavier, on a subject if there is one.

        Args:
            form: "prelude", "fugue" or "any".
            key: Such as "C minor" or "Eb major"; "any" leaves it open.
            bars: How many, such as "16"; "any" leaves it open.
            meter: Such as "4/4" or "6/8"; "any" leaves it open.
            voices: "2", "3", "4", "5" or "any".
            tempo: "slow", "moderate", "fast" or "any".
            mood: "serene", "playful", "majestic", "melancholy", "dramatic", "contemplative" or "any".
            temperature: Higher is bolder, lower safer; 0.83 is usual.
            top_k: Sample among the k likeliest tokens; 0 means all.
            top_p: Sample among the likeliest tokens that hold this probability.
            max_tokens: The longest the piece may get where no bars are asked for; four tokens are one note.
            subject: The subject of a fugue as text, such as "C5/8 B4/16 C5/16 G4/8 Ab4/8": names with octave
                (middle C is C4) and value (8 is an eighth, a dot lengthens it, r/4 is a rest). Empty: the
                piece has one of its own.
            seed: The same settings and seed give the same piece; left out, one is drawn.
            instrument: "piano", "harpsichord" or "organ".
            sound_format: "mp3" or "wav".

        Returns:
            The piece as MIDI, MusicXML, picture of the piano roll and sound, and facts about it (seed, notes,
            bars, figures).
        """
        asked: dict[str, Any] = {"form": form, "key": key, "bars": bars, "meter": meter, "voices": voices}
        asked |= {"tempo": tempo, "mood": mood}
        asked |= {"temperature": temperature, "top_k": top_k, "top_p": top_p, "max_tokens": max_tokens}

        def wish_of(wish: Wish) -> Wish:
            return own_wish(wish, "fugue", text=subject) if subject else wish

        yield from self._made({**asked, "seed": seed}, instrument, sound_format, request, wish_of)

    def continue_piece(
        self,
        score: str | None,
        bars: int,
        tempo: str,
        temperature: float,
        top_k: int,
        top_p: float,
        max_tokens: int,
        seed: int | None = None,
        instrument: str = "piano",
        sound_format: str = "mp3",
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Continue a piece after its first bars, in its own key and meter; the bars kept stay note for note.

        Args:
            score: A MIDI or MusicXML file.
            bars: How many of its bars to keep.
            tempo: "slow", "moderate", "fast" or "any".
            temperature: Above 1 bolder, below 1 safer.
            top_k: Sample among the k likeliest tokens; 0 means all.
            top_p: Sample among the likeliest tokens that hold this probability.
            max_tokens: The most that is added; four tokens are one note.
            seed: The same file, settings and seed give the same piece; left out, one is drawn.
            instrument: "piano", "harpsichord" or "organ".
            sound_format: "mp3" or "wav".

        Returns:
            The piece as MIDI, MusicXML, picture of the piano roll and sound, and facts about it.
        """

        def wish_of(wish: Wish) -> Wish:
            return own_wish(wish, "continue", score=self._read(score), bars=bars)

        asked = {"tempo": tempo, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        asked |= {"max_tokens": max_tokens, "seed": seed}
        yield from self._made(asked, instrument, sound_format, request, wish_of)

    def harmonize(
        self,
        melody: str,
        part: str,
        voices: str,
        key: str,
        meter: str,
        tempo: str,
        temperature: float,
        top_k: int,
        top_p: float,
        score: str | None = None,
        seed: int | None = None,
        instrument: str = "piano",
        sound_format: str = "mp3",
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Compose the other voices to a melody, which stays note for note.

        Args:
            melody: As text, such as "C5/4 D5/4 E5/2": names with octave (middle C is C4) and value.
            part: Which voice the melody is: "soprano", "alto", "tenor" or "bass".
            voices: How many there are to be: "2", "3", "4", "5"; "any" is 4.
            key: Such as "C minor"; "any" leaves it to the melody.
            meter: Of a melody that is text.
            tempo: "slow", "moderate", "fast" or "any".
            temperature: Above 1 bolder, below 1 safer.
            top_k: Sample among the k likeliest tokens; 0 means all.
            top_p: Sample among the likeliest tokens that hold this probability.
            score: In place of the text: a MIDI or MusicXML file with one voice, in its own key and meter.
            seed: The same melody, settings and seed give the same voices; left out, one is drawn.
            instrument: "piano", "harpsichord" or "organ".
            sound_format: "mp3" or "wav".

        Returns:
            The piece as MIDI, MusicXML, picture of the piano roll and sound, and facts about it.
        """

        def wish_of(wish: Wish) -> Wish:
            read = self._read(score) if score else None
            return own_wish(wish, "harmonise", text=melody, score=read, part=part)

        asked: dict[str, Any] = {"voices": voices, "key": key, "meter": meter, "tempo": tempo}
        asked |= {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        yield from self._made(asked, instrument, sound_format, request, wish_of)

    def revise(
        self,
        score: str | None,
        first_bar: int,
        last_bar: int,
        voices: str,
        temperature: float,
        top_k: int,
        top_p: float,
        seed: int | None = None,
        instrument: str = "piano",
        sound_format: str = "mp3",
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Compose some bars of some voices of a piece anew; everything else stays note for note.

        Args:
            score: A MIDI or MusicXML file.
            first_bar: The first bar, as in print: 1 is the first whole one, an upbeat is 0.
            last_bar: The last bar, included.
            voices: Numbers of voices, 1 the highest, such as "1" or "2,3"; empty means all.
            temperature: Above 1 bolder, below 1 safer.
            top_k: Sample among the k likeliest tokens; 0 means all.
            top_p: Sample among the likeliest tokens that hold this probability.
            seed: The same file, bars and seed give the same piece; left out, one is drawn.
            instrument: "piano", "harpsichord" or "organ".
            sound_format: "mp3" or "wav".

        Returns:
            The piece as MIDI, MusicXML, picture of the piano roll and sound, and facts about it.
        """

        def wish_of(wish: Wish) -> Wish:
            bars = [
                whole_number(name, bar) for name, bar in (("first_bar", first_bar), ("last_bar", last_bar))
            ]
            if None in bars:
                raise MusicGPTError("first_bar and last_bar are needed: which bars are to be composed anew.")
            given = Given.around(self._read(score), (bars[0], bars[1]), _voice_numbers(voices))  # type: ignore[arg-type]
            return replace(wish, given=given)

        asked = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        yield from self._made(asked, instrument, sound_format, request, wish_of)

    def _made(
        self,
        asked: dict[str, Any],
        instrument: Any,
        sound_format: Any,
        request: gr.Request | None,
        wish_of: Callable[[Wish], Wish],
    ) -> Iterator[tuple[Any, ...]]:
        """Compose what `wish_of` makes of the settings, then the files and facts."""
        with _call(self._studio, request) as session:
            wish = wish_of(wish_from(asked, instrument, sound_format))
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


def _voice_numbers(text: Any) -> list[int] | None:
    """`"2,3"` as `[1, 2]`; `None` for nothing.

    Raises:
        MusicGPTError: if they are no numbers.
    """
    words = str(text or "").replace(",", " ").split()
    if not all(word.isdecimal() and 1 <= int(word) <= MAX_VOICES for word in words):
        raise MusicGPTError(f"voices is {str(text)[:40]!r}; write numbers from 1, the highest, such as 2,3.")
    return [int(word) - 1 for word in words] or None


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
        language = language_of(request.headers.get("accept-language") if request is not None else None)
        raise gr.Error(translated(sentence(error), language), print_exception=False) from error
    except BaseException:  # the caller has gone
        session.close()
        raise


def _facts(candidate: Candidate, wish: Wish, view: View) -> dict[str, Any]:
    return {
        "seed": candidate.seed,
        "settings": wish.settings.with_seed(candidate.seed).to_dict(),
        "notes": len(candidate.score),
        "given_notes": candidate.num_prompt_notes or len(candidate.locked),
        "bars": candidate.score.num_bars,
        "key": str(candidate.score.key) if candidate.score.key else None,
        "ended_by": candidate.ended,
        "model_seconds": round(candidate.seconds, 2),
        "figures": view.figures,
    }
