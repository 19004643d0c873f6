"""`Composer`: settings or a prompt in, pieces out, whole or note by note."""

from __future__ import annotations

import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from numbers import Integral
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from tokenization.score import Note, Score
from tokenization.vocabulary import EOS_ID, PAD_ID, TEMPO_QPM

from .around import around_given, is_subject
from .composition import CONTINUED, Composition, titled
from .defaults import PARTICLES
from .given import PARTS, Given, Melody
from .prompts import NoNewNote, Task, continuation, new_piece, no_new_note
from .rules import chosen
from .settings import MAX_SEED, Settings, SettingsError
from .state import notes_of, read_notes

if TYPE_CHECKING:
    from modeling_musicgpt import MusicGPTForCausalLM

    from .rules import Brief

# Rows of one call of the model; the cache of a row of 4,096 tokens takes 33 MB.
BATCH = 16
MAX_PIECES = 1000
# What a piece of no asked length takes, for the progress bar: 2,400 the preludes, 3,300 the fugues (medians).
TYPICAL_TOKENS = 2800
# Voices of a fugue on a given subject for which no number was asked.
FUGUE_VOICES = 3
# Settings that say what a whole piece is to be, which a revised one is already.
_OF_WHOLE_PIECES = (
    *("key", "meter", "voices", "form"),
    *("max_new_tokens", "bars", "min_bars", "min_notes", "seed"),
)


class Composer:
    """Composes with a model.

    Args:
        model (`MusicGPTForCausalLM`): on whatever device it is to run.
        rules (list or `bool`): what steers the pieces, the most important first (`musicgpt.rules`,
            docs/rules.md): names or classes of rules, or functions. `True` (default): all of ours, in the
            order of `musicgpt.rules.DEFAULT`; `False`: none, the model is alone.

    Example:
        >>> from musicgpt import Composer, Settings
        >>> composer = Composer.from_pretrained()
        >>> [piece] = composer.compose(Settings(key="d minor", form="fugue", seed=7))
        >>> piece.write("out")
    """

    def __init__(self, model: MusicGPTForCausalLM, rules: Sequence[Any] | bool | None = True):
        self.model, self.rules = model.eval(), chosen(rules)
        self.context = int(model.config.max_position_embeddings)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike | None = None, device: str | None = None
    ) -> Composer:
        """Load a model.

        Args:
            name_or_path (`str` or path, *optional*): a folder that `save_pretrained` wrote, or a name on the
                Hub; the shipped model when not given.
            device (`str`, *optional*): such as `"cuda"`; the CPU when not given.

        Raises:
            ModelError: whatever is wrong with it, in one sentence (`musicgpt/loading.py`).
        """
        from .loading import ModelError, load_model

        model = load_model(name_or_path)
        try:
            return cls(model.to(device) if device else model)
        except (RuntimeError, AssertionError) as error:
            raise ModelError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error

    def compose(
        self,
        settings: Settings | None = None,
        num: int = 1,
        prompt: Score | None = None,
        prompt_bars: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        given: Given | None = None,
        subject: Melody | None = None,
        melody: Melody | None = None,
        part: str = "soprano",
    ) -> list[Composition]:
        """Compose pieces.

        Args:
            settings (`Settings`, *optional*): what they are asked to be.
            num (`int`): how many; piece k has the seed `settings.seed + k` and is the piece that this seed
                makes alone.
            prompt (`Score`, *optional*): a beginning to continue in its own key, meter and tempo. Its notes
                stay as they are; the first new note comes after its last onset. One voice alone becomes the
                subject of a fugue where a fugue is asked for.
            prompt_bars (`int`, *optional*): keep only this many of the prompt's first bars.
            progress (callable, *optional*): called after every token with how many tokens are done and how
                many there may be.
            given (`Given`, *optional*): notes that stay, and where others may be written beside them.
            subject (`Score`, `str` or path, *optional*): the subject of a fugue: one voice, a file, or text
                such as `"C5/8 B4/16 C5/16 G4/8 Ab4/8"` (`musicgpt.given.parse_melody`).
            melody (`Score`, `str` or path, *optional*): one voice of the piece, which is as long as it.
            part (`str`): which voice `melody` is: `"soprano"`, `"alto"`, `"tenor"` or `"bass"`.

        Returns:
            list of `Composition`: `num` of them, in the order of their seeds. One that ended without a new
            note is left out, and a warning names its seed.

        Raises:
            MusicGPTError: if a setting or the prompt cannot be used, or no piece has a new note.
        """
        settings = _seeded(settings, prompt)
        seeds = _seeds(settings, num)
        settings, task = self._task(settings, prompt, prompt_bars, given, subject, melody, part)
        expected = _expected_tokens(settings, task)
        pieces: list[Composition] = []
        empty: dict[int, NoNewNote] = {}
        particles = _particles(settings, task)
        batch = BATCH if particles == 1 else 1
        for start in range(0, len(seeds), batch):
            some = seeds[start : start + batch]
            begun = time.perf_counter()

            def report(tokens: int, done: int = start) -> None:
                if progress:
                    progress(done * expected + min(tokens, expected) * len(some), len(seeds) * expected)  # noqa: B023

            rows = self._generate(task, settings, some, report=report)
            seconds = (time.perf_counter() - begun) / len(some)
            for seed, row in zip(some, rows, strict=True):
                try:
                    pieces.append(_finish(task, settings.with_seed(seed), row, seconds))
                except NoNewNote as error:
                    empty[seed] = error
        _tell_of(empty, len(seeds))
        return pieces

    def stream(
        self,
        settings: Settings | None = None,
        prompt: Score | None = None,
        prompt_bars: int | None = None,
        stop: Event | None = None,
        given: Given | None = None,
        subject: Melody | None = None,
        melody: Melody | None = None,
        part: str = "soprano",
    ) -> Stream:
        """Compose one piece and hand out its notes while it is being made.

        Args:
            settings (`Settings`, *optional*), prompt (`Score`, *optional*): as for `compose`.
            prompt_bars (`int`, *optional*), given (`Given`, *optional*): as for `compose`.
            subject, melody (`Score`, `str` or path, *optional*): as for `compose`.
            part (`str`): as for `compose`.
            stop (`threading.Event`, *optional*): set it to end the piece after the current token.

        Returns:
            `Stream`: iterate over it for the new notes, in the piece's key; afterwards it has the
            `composition`.

        Raises:
            MusicGPTError: if a setting or the prompt cannot be used.
        """
        settings = _seeded(settings, prompt)
        settings, task = self._task(settings, prompt, prompt_bars, given, subject, melody, part)
        return Stream(self, settings, task, stop or Event())

    def revise(
        self,
        piece: Composition | Score,
        bars: tuple[int, int],
        voices: Sequence[int] | None = None,
        seed: int | None = None,
        settings: Settings | None = None,
    ) -> Composition:
        """Compose some bars of a piece anew, between what stands before, beside and after them.

        Args:
            piece (`Composition` or `Score`): it.
            bars (pair of `int`): the first and the last, as in print: bar 1 is the first whole one, an upbeat
                is bar 0.
            voices (sequence of `int`, *optional*): 0 is the highest; all when not given.
            seed (`int`, *optional*): drawn at random when not given.
            settings (`Settings`, *optional*): how to sample; those of a `Composition` when not given.

        Returns:
            `Composition`: the piece, whole, with the new bars.

        Raises:
            GivenError: for bars or voices that are not there.
        """
        score = piece if isinstance(piece, Score) else piece.score
        if settings is None and not isinstance(piece, Score):
            settings = replace(piece.settings, **dict.fromkeys(_OF_WHOLE_PIECES))
        settings = replace(settings or Settings(), seed=seed)
        return self.compose(settings, given=Given.around(score, bars, voices))[0]

    def harmonize(
        self,
        melody: Melody,
        part: str = "soprano",
        voices: int = 4,
        settings: Settings | None = None,
        phrases: Sequence[int] | None = None,
    ) -> Composition:
        """Compose the other voices to a melody.

        Args:
            melody (`Score`, `str` or path), part (`str`): as for `compose`.
            voices (`int`): of the piece.
            settings (`Settings`, *optional*): seed, key, and how to sample.
            phrases (sequence of `int`, *optional*): onsets, in ticks, of the notes with which phrases end;
                the long notes when not given.

        Returns:
            `Composition`: all voices.

        Raises:
            GivenError: for what is no melody, or a part that is not there.
        """
        settings = settings or Settings()
        given = Given.melody(melody, part, voices, settings.meter, phrases)
        return self.compose(settings, given=given)[0]

    @staticmethod
    def _given(
        settings: Settings,
        given: Given | None,
        subject: Melody | None,
        melody: Melody | None,
        part: str,
        prompt: Score | None,
    ) -> Given | None:
        """What is to stay, from the arguments of `compose`."""
        named = {"given": given, "subject": subject, "melody": melody, "prompt": prompt}
        names = [name for name, value in named.items() if value is not None]
        if len(names) > 1:
            raise SettingsError(f"{' and '.join(names)} were given: give one of them.")
        if subject is not None:
            if settings.form == "prelude":
                raise SettingsError("A prelude has no subject: leave the form out, or ask for a fugue.")
            return Given.subject(subject, settings.voices or FUGUE_VOICES, settings.meter)
        if melody is not None:
            return Given.melody(melody, part, settings.voices or len(PARTS), settings.meter)
        return given

    def _task(
        self,
        settings: Settings,
        prompt: Score | None,
        prompt_bars: int | None,
        given: Given | None,
        subject: Melody | None = None,
        melody: Melody | None = None,
        part: str = "soprano",
    ) -> tuple[Settings, Task]:
        """What one call of the model needs, and the settings with what was given filled in."""
        if is_subject(settings, prompt, prompt_bars):
            prompt, subject = None, prompt
        given = self._given(settings, given, subject, melody, part, prompt)
        if prompt is None and prompt_bars is not None:
            raise SettingsError("prompt_bars was given without a prompt.")
        if given is not None:
            task = around_given(settings, given, self.context)
            form, key = task.score.form, str(task.score.key)
            voices = given.voices if given.voices > 1 else None
            settings = replace(settings, form=form, key=key, voices=voices)
        elif prompt is not None:
            task = continuation(settings, prompt, prompt_bars, self.context)
        else:
            task = new_piece(settings.resolved())
        if _particles(settings, task) > 1:  # they are not composed window by window
            room = self.context - len(task.ids)
            task = replace(task, max_new_tokens=min(task.max_new_tokens, room))
        return settings, task

    def _generate(
        self,
        task: Task,
        settings: Settings,
        seeds: list[int],
        stop: Event | None = None,
        report: Callable[[int], None] | None = None,
        put: Callable[[int], None] | None = None,
    ) -> list[tuple[list[int], list[Note]]]:
        """The new tokens of each piece, up to and including `<eos>`, and the notes that they spell; of one
        piece `put` is given each token as soon as it is known.
        """
        from transformers import StoppingCriteriaList

        from .generate import compose_rows
        from .sampling import Sampling, StopAndReport

        wanted, particles, begin = settings.resolved(), _particles(settings, task), len(task.ids)
        # Rows that become one piece have one plan: else they would be weighed by their plans.
        brief = self._brief(settings, task, seeds * particles)
        output, sample, swarm = compose_rows(
            self.model.generate,
            self.model.device,
            task.ids,
            brief,
            self.rules,
            Sampling.like(wanted, wanted.rhythm_temperature, wanted.rhythm_top_p),
            self.context,
            particles,
            put,
            stopping_criteria=StoppingCriteriaList(
                [StopAndReport(stop, report, begin, put if particles == 1 else None)]
            ),
        )
        state, first = sample.state, int(brief.prompt.num_notes[0])
        assert state is not None
        state.follow(output.cpu().numpy())
        found = [
            (_until_end(tokens), notes_of(state, row, first))
            for row, tokens in enumerate(output[:, begin:].tolist())
        ]
        if swarm is None:
            return found
        chosen = found[swarm.choose()]
        for token in chosen[0][swarm.shown - begin :] if put else ():
            put(token)  # type: ignore[misc]
        return [chosen]

    def _brief(self, settings: Settings, task: Task, seeds: list[int]) -> Brief:
        """What the rules are told of the rows, a seed for the plan of each."""
        from .rules import Brief

        wanted = settings.resolved()
        return Brief(
            len(seeds),
            seeds=seeds,
            meter=settings.meter,
            mode=task.mode,
            form=wanted.form,
            voices=wanted.voices,
            bars=wanted.bars,
            min_bars=wanted.min_bars,
            min_notes=wanted.min_notes,
            max_new_tokens=task.max_new_tokens,
            transposition=task.transposition,
            ends=wanted.ends_when_long_enough,
            prompt=self.model.state_after(task.ids),
            frame=task.frame,
        )


class Stream:
    """Notes of one piece as they are made; an iterator.

    Attributes:
        settings (`Settings`): as asked, with the seed.
        prompt (`Score`): the notes that are there before the first new one; without notes when there is no
            prompt.
        composition (`Composition` or `None`): the piece, once the iteration has ended; `None` before.
        num_tokens (`int`): tokens made so far.
        max_new_tokens (`int`): how many there can be, or, where no length was asked for, about how many there
            will be.
    """

    def __init__(self, composer: Composer, settings: Settings, task: Task, stop: Event):
        import queue

        self.settings, self.prompt, self.stop = settings, task.score, stop
        self.composition: Composition | None = None
        self.num_tokens, self.max_new_tokens = 0, _expected_tokens(settings, task)
        self._composer, self._task = composer, task
        self._tokens: queue.Queue = queue.Queue()
        self._notes = self._run()

    def __iter__(self) -> Iterator[Note]:
        return self

    def __next__(self) -> Note:
        return next(self._notes)

    def close(self) -> None:
        """End the piece now; what there is becomes the `composition`."""
        self.stop.set()
        for _ in self._notes:
            pass

    # The model's thread puts lists of tokens, then either its rows or the error that ended it.
    def _run(self) -> Iterator[Note]:
        state = self._composer.model.state_after(self._task.ids)
        begun = time.perf_counter()
        thread = Thread(target=self._work, daemon=True)
        thread.start()
        try:
            while isinstance(item := self._tokens.get(), int):
                self.num_tokens += 1
                yield from self._task.new_notes(read_notes(state, [item]))
        except GeneratorExit:
            self.stop.set()
            raise
        thread.join()
        if isinstance(item, BaseException):
            raise item
        self.composition = _finish(self._task, self.settings, item[0], time.perf_counter() - begun)

    def _work(self) -> None:
        assert self.settings.seed is not None
        try:
            rows = self._composer._generate(
                self._task, self.settings, [self.settings.seed], stop=self.stop, put=self._tokens.put
            )
            self._tokens.put(rows)
        except BaseException as error:  # handed over to the thread that iterates
            self._tokens.put(error)


def _seeded(settings: Settings | None, prompt: Score | None) -> Settings:
    """The settings with a seed, if they and the prompt are of their kinds."""
    if prompt is not None and not isinstance(prompt, Score):
        raise SettingsError(
            f"A prompt must be a Score, not {type(prompt).__name__}: tokenization.read_score reads files."
        )
    settings = Settings() if settings is None else settings
    if not isinstance(settings, Settings):
        raise SettingsError(f"settings must be Settings, not {type(settings).__name__}.")
    return settings if settings.seed is not None else settings.with_seed(secrets.randbelow(2**31))


def _seeds(settings: Settings, num: int) -> list[int]:
    """That of each of so many pieces."""
    first = settings.seed
    assert first is not None
    if not (isinstance(num, Integral) and 1 <= num <= MAX_PIECES):
        raise SettingsError(f"num is {num}; it must be at least 1 and at most {MAX_PIECES}.")
    if first + num - 1 > MAX_SEED:
        raise SettingsError(
            f"seed is {first} and num is {num}, but no piece can have a seed above {MAX_SEED}:"
            " give a smaller one."
        )
    return list(range(first, first + int(num)))


def _particles(settings: Settings, task: Task) -> int:
    """How many rows make a piece together."""
    bounded = task.frame is not None and task.frame.is_bounded
    return settings.particles or (PARTICLES if bounded else 1)


def _expected_tokens(settings: Settings, task: Task) -> int:
    return (
        min(task.max_new_tokens, TYPICAL_TOKENS) if settings.max_new_tokens is None else task.max_new_tokens
    )


def _tell_of(empty: dict[int, NoNewNote], num: int) -> None:
    """Raises what was wrong with the pieces without a new note, by their seeds, if there is no other of so
    many, and else warns of them.
    """
    if not empty:
        return
    why = next(iter(empty.values()))
    if len(empty) == num:
        raise why
    seeds = ", ".join(map(str, empty))
    text = f"{len(empty)} of {num} pieces have no new note: seed {seeds} left out. {why}"
    warnings.warn(text, stacklevel=3)


def _until_end(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(EOS_ID) + 1] if EOS_ID in tokens else [t for t in tokens if t != PAD_ID]


def _finish(
    task: Task, settings: Settings, made: tuple[list[int], list[Note]], seconds: float
) -> Composition:
    """The piece: the prompt's notes as they were, then the new ones, of tokens and the notes they spell."""
    tokens, notes = made[0], task.new_notes(made[1])
    ended = EOS_ID in tokens[-1:] or len(tokens) >= task.max_new_tokens  # not where a visitor stopped it
    if not notes and ended:
        raise NoNewNote(no_new_note(task, settings))
    score = task.score.replace(notes=[*task.score.notes, *notes])
    if score.tempo is None and len(score):
        score = score.with_tempo_class()
        score = score.replace(tempo=TEMPO_QPM[score.tempo_class or "moderate"])
    assert settings.seed is not None
    work = CONTINUED if task.given is None else task.given.work
    return Composition(
        score=titled(score, settings, len(task.score), work),
        ids=[*task.ids, *tokens],
        settings=settings,
        seed=settings.seed,
        num_prompt_notes=len(task.score),
        seconds=seconds,
        finished=bool(tokens) and tokens[-1] == EOS_ID,
        given=frozenset(task.score.notes) if task.given else frozenset(),
        work=work,
    )
