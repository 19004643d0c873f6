# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Where the pieces of a batch stand, moved on by one token at a time.

The same values as `MusicalStateTracker` has for whole sequences, but a step costs the same wherever it
stands in the piece (the search for an imitation goes through the notes so far, a few microseconds for a
thousand). The cache of a decoding model keeps one, and so do the logits processors of `generate()`. All rows
at once, in numpy: the arrays are far too small for torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .configuration_musicgpt import MusicGPTConfig
from .imitation_musicgpt import (
    DEGREES,
    ENTRY,
    ENTRY_TOO,
    GAP_MAX,
    HASH_BASE,
    HASH_MODULUS,
    MATCHES,
    NATURALS,
    REST,
    STEP_MAX,
)
from .musical_state_musicgpt import (
    DURATION_BASE,
    DURATION_PENDING,
    ELAPSED_MAX,
    FIRST_OF_VOICE,
    GAP_FAR,
    INTERVAL_BASE,
    INTERVAL_MAX,
    MOTIF_GAP_MAX,
    NO_MATCH,
    NO_VOICE_ELAPSED,
    NO_VOICE_REMAINING,
    NUM_BAR_POSITIONS,
    REMAINING_MAX,
    REMAINING_MIN,
    TICKS_PER_QUARTER,
    WISHES,
    MusicalFeatures,
    token_tables,
)

# Columns of a note.
ONSET, DURATION, PITCH, VOICE = range(4)
# Sizes of so many bars are kept.
BARS_LOOKED_AT = 4
# So many steps can be taken back at once; for more the tokens are read again.
STEPS_BACK = 32
_DEGREES, _NATURALS, _LENGTHS = np.array(DEGREES), np.array(NATURALS), np.array(MATCHES)
# What a token can be: one of MODE, FORM, VOICES and TEMPO is a wish.
_OTHER, _NOTE, _VOICE, _DUR, _TIME, _METER, _WISH, _BOS = range(8)


class StepTables:
    """What the tokens mean, as numpy arrays of shape `(vocab_size + 1,)`: the last place stands for ids
    beyond the vocabulary.

    Args:
        config (`MusicGPTConfig`): of the model.
        next_state (array of shape `(states, vocab_size + 1)`, *optional*): the state of the grammar after
            each state and token; without it there is no grammar.
    """

    def __init__(self, config: MusicGPTConfig, next_state: np.ndarray | None = None):
        for name, table in token_tables(config).items():
            setattr(self, name, table.numpy())
        self.fields = _fields(config)
        self.widths = [self.fields[name][0] if self.fields[name] else 1 for name in MusicalFeatures._fields]
        self.vocab_size, self.num_motifs = config.vocab_size, config.num_motifs
        self.bar_ticks, self.lowest_pitch = config.default_bar_ticks, config.lowest_pitch
        self.imitates = config.imitation_head and config.is_musical
        self.kind = np.zeros(config.vocab_size + 1, dtype=np.int64)
        self.duration_place = np.zeros(int(self.duration.max()) + 1, dtype=np.int64)
        if config.is_musical:
            names = ("NOTE", "VOICE", "DUR", "TIME", "METER")
            for number, name in enumerate((*names, *WISHES), _NOTE):
                first, count = config.token_blocks[name]
                self.kind[first : first + count] = min(number, _WISH)
            self.duration_place[list(config.durations)] = np.arange(1, len(config.durations) + 1)
            self.num_pitches = config.token_blocks["NOTE"][1]
        if config.bos_token_id is not None and 0 <= config.bos_token_id < config.vocab_size:
            self.kind[config.bos_token_id] = _BOS
        self.next_state = (
            np.zeros((1, config.vocab_size + 1), dtype=np.int64) if next_state is None else next_state
        )
        # The hash of `imitation_musicgpt._key`: the weight of each of the last steps, by the number of steps.
        weights = [
            [pow(HASH_BASE, n - 1 - i, HASH_MODULUS) if i < n else 0 for n in MATCHES] for i in range(8)
        ]
        self.weights = np.array(weights)


def _fields(config: MusicGPTConfig) -> dict[str, tuple[int, ...]]:
    """The values of a row and the shape of each; first those of `MusicalFeatures`."""
    voices = config.max_voices
    return {
        "ticks": (),
        "bar_position": (),
        "bar": (),
        "voice_pitch": (voices,),
        "voice_remaining": (voices,),
        "voice_elapsed": (voices,),
        "interval": (),
        "motif": (),
        "wishes": (len(WISHES),),
        "expectation": (2 * voices + 4,),
        # Private ones: of the row ...
        "kind": (),
        "grammar": (),
        "bar_ticks": (),
        "meter_at": (),
        "bar_begin": (),
        "bar_sizes": (BARS_LOOKED_AT,),
        "note": (),
        "pending": (),
        "latest": (),
        "melody": (),
        "num_notes": (),
        "num_struck": (),
        "piece_note": (),
        # ... and of each voice: its last notes, the latest first, and its pitch one and two tokens ago.
        "onset": (voices,),
        "last_note": (voices,),
        "pitches": (voices, 3),
        "durations": (voices, 4),
        "pitch_then": (2, voices),
        # What imitation looks at: the last steps, their numbers, and how the voice is expected to go on.
        "line": (voices, MATCHES[0]),
        "keys": (voices, len(MATCHES)),
        "match": (voices,),
        "source": (voices,),
        "next_place": (voices,),
        "next_onset": (voices,),
    }


class MusicalState:
    """The state of a batch of pieces after their last token.

    Args:
        tables (`StepTables`): of the model's vocabulary.
        rows (`int`): number of pieces.

    Attributes:
        length (`int`): tokens that each row has.
        ids (array of shape `(rows, length)`): these tokens.
        ticks, bar_position, bar, bar_ticks (`(rows,)`): see `Meter`.
        kind (`(rows,)`): what the last token is.
        grammar (`(rows,)`): the state of the `Grammar`.
        bar_begin, bar_sizes (`(rows,)`, `(rows, BARS_LOOKED_AT)`): the place at which the bar began, and how
            many tokens the bars before it had, the latest first.
        voice_pitch, onset, end (`(rows, voices)`): of the last note of each voice, as long as it has one
            (`voice_pitch` is not 0); ticks.
        notes (`(rows, capacity, 4)`): onset, duration, MIDI pitch and voice of all notes; a row has
            `num_notes`.
        struck (`(rows, capacity)`): places of all NOTE tokens in their block; a row has `num_struck`.
    """

    def __init__(self, tables: StepTables, rows: int):
        self.tables, self.fields = tables, tables.fields
        self._begin_all(rows)

    def _begin_all(self, rows: int) -> None:
        """So many rows without tokens."""
        width = sum(int(np.prod(shape)) for shape in self.fields.values())
        self.length = 0
        self._ids = np.zeros((rows, 64), dtype=np.int64)
        self.notes, self._before = (
            np.zeros((rows, 16, 4), dtype=np.int64),
            np.zeros((rows, 16), dtype=np.int64),
        )
        self._keys_before = np.zeros((rows, len(MATCHES), 16), dtype=np.int64)
        self.struck = np.zeros((rows, 16), dtype=np.int64)
        self._hold(np.zeros((rows, width), dtype=np.int64))
        self._past = np.zeros((STEPS_BACK, *self._table.shape), dtype=np.int64)
        self._oldest = 0  # the shortest length to which steps can be taken back
        self.bar_ticks[:] = self.tables.bar_ticks
        self._see_times()

    def _hold(self, table: np.ndarray) -> None:
        """Makes `table` of shape `(rows, width)` the values of the rows, and its columns the attributes."""
        self._table, self._every = table, np.arange(len(table))
        at = 0
        for name, shape in self.fields.items():
            size = int(np.prod(shape))
            setattr(self, name, table[:, at] if shape == () else table[:, at : at + size].reshape(-1, *shape))
            at += size

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name not in self.fields}

    def __setstate__(self, values: dict) -> None:
        vars(self).update(values)
        self._hold(self._table)  # a copy's attributes are views of its own table

    @property
    def rows(self) -> int:
        """Number of pieces."""
        return len(self._table)

    @property
    def ids(self) -> np.ndarray:
        """The tokens so far, `(rows, length)`."""
        return self._ids[:, : self.length]

    @property
    def end(self) -> np.ndarray:
        """When the last note of each voice ends, `(rows, voices)`."""
        return self.onset + self.durations[..., 0]

    def select(self, index: Sequence[int] | np.ndarray) -> None:
        """Makes the rows with these numbers the rows: reorders, repeats and selects."""
        index = np.asarray(index)
        for name in ("_ids", "notes", "_before", "_keys_before", "struck"):
            setattr(self, name, getattr(self, name)[index])
        self._past = self._past[:, index]
        self._hold(self._table[index])

    def follow(self, ids: np.ndarray) -> None:
        """Reads `ids` of shape `(rows, length)`, which begin as those before, or not."""
        if len(ids) != self.rows:
            self._begin_all(len(ids))
        kept = min(self.length, ids.shape[1])
        same = (self._ids[:, :kept] == ids[:, :kept]).all(axis=0)
        self.rewind(kept if same.all() else int(same.argmin()))
        for column in range(self.length, ids.shape[1]):
            self.advance(ids[:, column])

    def rewind(self, length: int) -> None:
        """Takes the last tokens back, so that `length` stay."""
        if length >= self.length:
            return
        if length >= self._oldest:
            self._table[:] = self._past[length % STEPS_BACK]
            self.length = length
            return
        ids = self._ids[:, :length].copy()
        self._begin_all(len(ids))
        self.follow(ids)

    def read(self, ids: np.ndarray) -> torch.Tensor:
        """Reads `ids` of shape `(rows, new)`; the values of `MusicalFeatures` after each of them, `(rows,
        new, width)`.
        """
        values = np.empty((*ids.shape, sum(self.tables.widths)), dtype=np.int64)
        for column in range(ids.shape[1]):
            self.advance(ids[:, column])
            values[:, column] = self._table[:, : values.shape[2]]
        return torch.from_numpy(values)

    def features(self, values: torch.Tensor) -> MusicalFeatures:
        """What `read` gave, as the model embeds it."""
        parts = values.split(self.tables.widths, dim=-1)
        return MusicalFeatures(
            *(
                part if self.fields[name] else part.squeeze(-1)
                for name, part in zip(MusicalFeatures._fields, parts, strict=True)
            )
        )

    def advance(self, tokens: np.ndarray) -> None:
        """Reads one token of each row, `(rows,)`; `<pad>` and unknown ones change nothing but the
        sizes of bars.
        """
        tables = self.tables
        self._keep(tokens)
        tokens = np.where((tokens >= 0) & (tokens < tables.vocab_size), tokens, tables.vocab_size)
        kind = self.kind[:] = tables.kind[tokens]
        kinds = set(kind.tolist())
        self.interval[:] = self.motif[:] = 0
        self.expectation[:] = 0
        self.pitch_then[:, 1] = self.pitch_then[:, 0]
        self.pitch_then[:, 0] = self.voice_pitch
        waited = self._hear_durations(tables.duration[tokens]) if self.pending.any() else False
        if not kinds.isdisjoint((_TIME, _METER, _BOS)):
            self._pass_time(tokens, kinds)
        if _WISH in kinds:
            rows = (kind == _WISH).nonzero()[0]
            self.wishes[rows, tables.wish_kind[tokens[rows]] - 1] = tables.wish[tokens[rows]]
        if _VOICE in kinds:
            rows = ((kind == _VOICE) & (self.note > 0)).nonzero()[0]
            if rows.size:
                self._sound(rows, tables.voice[tokens[rows]] - 1)
        if waited or not kinds.isdisjoint((_VOICE, _TIME, _BOS)):
            self._see_times()
        if _DUR in kinds or _TIME in kinds:
            np.copyto(self.motif, self.melody, where=(kind == _DUR) | (kind == _TIME))
        if tables.imitates:
            if _TIME in kinds or _METER in kinds:
                self._expect_pitches((kind == _TIME) | (kind == _METER))
            if _DUR in kinds:
                self._expect_step(kind == _DUR)
        self.note[:] = tables.pitch[tokens]
        if _NOTE in kinds:
            self._strike((kind == _NOTE).nonzero()[0])
        self.grammar[:] = tables.next_state[self.grammar, tokens]

    def _keep(self, tokens: np.ndarray) -> None:
        """Remembers the state before a step, and the token."""
        self._past[self.length % STEPS_BACK] = self._table
        self._oldest = max(self._oldest, self.length + 1 - STEPS_BACK)
        if self.length == self._ids.shape[1]:
            self._ids = _doubled(self._ids, 1)
        self._ids[:, self.length] = tokens
        self.length += 1

    def _hear_durations(self, duration: np.ndarray) -> bool:
        """The token behind a VOICE says how long its note is; 0 if it is no DUR."""
        rows = self.pending.nonzero()[0]
        at = rows, self.pending[rows] - 1
        duration = duration[rows]
        self.durations[(*at, 0)] = duration
        self.notes[rows, self.num_notes[rows] - 1, DURATION] = duration
        self.pending[rows] = 0
        if self.tables.num_motifs:
            # The last two intervals and durations of the voice, as `MusicalStateTracker._motif` names them.
            pitch, long = self.pitches[at], self.durations[at]
            steps = np.where(pitch[:, 1:] > 0, _interval(pitch[:, :-1] - pitch[:, 1:]), 0)
            name = (steps[:, 0] * INTERVAL_BASE + steps[:, 1]) * DURATION_BASE + long[:, 0]
            self.melody[rows] = 1 + (name * DURATION_BASE + long[:, 1]) % self.tables.num_motifs
        return True

    def _pass_time(self, tokens: np.ndarray, kinds: set[int]) -> None:
        """Ticks and bars after TIME, METER and `<bos>` tokens."""
        bar_ticks = self.bar_ticks.copy()
        if _BOS in kinds:
            self._begin((self.kind == _BOS).nonzero()[0])
        self.ticks += self.tables.step[tokens]
        if _METER in kinds:
            rows = (self.kind == _METER).nonzero()[0]
            self.meter_at[rows] = self.ticks[rows]
            self.bar_ticks[rows] = self.tables.bar_length[tokens[rows]]
        bar, position = np.divmod(self.ticks - self.meter_at, self.bar_ticks)
        new = (bar != self.bar) | (bar_ticks != self.bar_ticks)
        if self.length > 1 and new.any():
            rows, place = new.nonzero()[0], self.length - 1
            self.bar_sizes[rows, 1:] = self.bar_sizes[rows, :-1]
            self.bar_sizes[rows, 0] = place - self.bar_begin[rows]
            self.bar_begin[rows] = place
        self.bar[:], self.bar_position[:] = bar, np.minimum(position, NUM_BAR_POSITIONS - 1)

    def _begin(self, rows: np.ndarray) -> None:
        """A new piece, which knows nothing of the one before."""
        for name in ("ticks", "meter_at", "latest", "melody", "wishes", "voice_pitch", "onset", "match"):
            getattr(self, name)[rows] = 0
        for name in ("pitches", "durations"):
            getattr(self, name)[rows] = 0
        self.bar_ticks[rows] = self.tables.bar_ticks
        self.piece_note[rows] = self.num_notes[rows]

    def _strike(self, rows: np.ndarray) -> None:
        place = self.num_struck[rows]
        if place.max() >= self.struck.shape[1]:
            self.struck = _doubled(self.struck, 1)
        self.struck[rows, place] = self.note[rows] - 1
        self.num_struck[rows] = place + 1

    def _see_times(self) -> None:
        """How long the last notes of the voices go on, and since when they do."""
        now, begun = self.ticks[:, None], self.voice_pitch > 0
        left = np.minimum(np.maximum(self.end - now, REMAINING_MIN), REMAINING_MAX) - REMAINING_MIN
        self.voice_remaining[:] = np.where(begun, left, NO_VOICE_REMAINING)
        self.voice_elapsed[:] = np.where(begun, np.minimum(now - self.onset, ELAPSED_MAX), NO_VOICE_ELAPSED)
        if self.pending.any():
            rows = self.pending.nonzero()[0]
            self.voice_remaining[rows, self.pending[rows] - 1] = DURATION_PENDING

    def _sound(self, rows: np.ndarray, voice: np.ndarray) -> None:
        """The note before a VOICE token is now the last one of that voice; `(n,)` each."""
        at = rows, voice
        now, place, then = self.ticks[rows], self.note[rows], self.pitch_then[rows, 1, voice]
        onset, pitches, long = self.onset[at], self.pitches[at], self.durations[at]
        again = pitches[:, 0] > 0
        gap = np.where(again, np.minimum(now - onset, MOTIF_GAP_MAX), 0)
        if self.tables.num_motifs:
            rhythm = (long[:, 0] * DURATION_BASE + long[:, 1]) * DURATION_BASE + long[:, 2]
            rhythm = (rhythm * TICKS_PER_QUARTER + self.bar_position[rows] % TICKS_PER_QUARTER) * (
                MOTIF_GAP_MAX + 1
            )
            self.motif[rows] = 1 + (7 * (rhythm + gap) + 3) % self.tables.num_motifs
        self.interval[rows] = np.where(then > 0, _interval(place - then), FIRST_OF_VOICE)
        if self.tables.imitates:
            self._expect_duration(rows, voice, place, now)
        number = self._write(rows, voice, place, now, again)
        if self.tables.imitates:
            enters = ~again | (now - onset - long[:, 0] >= REST)
            self._imitate(rows, voice, number, place, pitches[:, 0], now - onset, enters)
        self.pitches[rows, voice, 1:], self.pitches[rows, voice, 0] = pitches[:, :-1], place
        self.durations[rows, voice, 1:], self.durations[rows, voice, 0] = long[:, :-1], 0
        self.voice_pitch[at], self.onset[at], self.last_note[at] = place, now, number
        self.pending[rows] = self.latest[rows] = voice + 1

    def _write(self, rows, voice, place, now, again) -> np.ndarray:
        """Writes notes down whose durations are not known yet; their numbers, `(n,)`."""
        number = self.num_notes[rows]
        if number.max() >= self.notes.shape[1]:
            self.notes, self._before = _doubled(self.notes, 1), _doubled(self._before, 1)
            self._keys_before = _doubled(self._keys_before, 2)
        note = self.notes[rows, number]
        note[:, ONSET], note[:, DURATION], note[:, VOICE] = now, 0, voice
        note[:, PITCH] = place - 1 + self.tables.lowest_pitch
        self.notes[rows, number] = note
        self._before[rows, number] = np.where(again, self.last_note[rows, voice], 0)
        self._keys_before[rows, :, number] = np.where(again[:, None], self.keys[rows, voice], 0)
        self.num_notes[rows] = number + 1
        return number

    def _imitate(self, rows, voice, number, place, before, gap, enters) -> None:
        """How voices are expected to go on after the notes `number` that they have just struck."""
        lowest = self.tables.lowest_pitch - 1
        moved = _degree(place + lowest) - _degree(before + lowest)
        moved = np.minimum(np.maximum(moved, -STEP_MAX), STEP_MAX)
        step = (moved + STEP_MAX + 1) * (GAP_MAX + 1) + np.minimum(gap, GAP_MAX)
        line = self.line[rows, voice]
        line[:, 1:] = line[:, :-1]
        line[:, 0] = np.where(enters, ENTRY, step)
        line[enters, 1], line[enters, 2:] = ENTRY_TOO, 0
        self.line[rows, voice] = line
        whole = line[:, _LENGTHS - 1] > 0
        keys = self.keys[rows, voice] = np.where(whole, line @ self.tables.weights % HASH_MODULUS + 1, 0)
        # The latest note that came after the same steps, most steps first.
        last = int(number.max()) + 1
        same = self._keys_before[rows, :, :last] == np.where(whole, keys, -1)[..., None]
        first = self.piece_note[rows]
        if first.any() or (number < last - 1).any():  # what lies behind was taken back
            place = np.arange(last)
            same &= ((place >= first[:, None]) & (place <= number[:, None]))[:, None]
        latest = last - 1 - same[..., ::-1].argmax(axis=-1)  # (n, lengths)
        which = np.take_along_axis(same, latest[..., None], axis=-1)[..., 0]
        length, one = which.argmax(axis=1), np.arange(len(rows))
        source, entered = latest[one, length], (line == ENTRY).argmax(axis=1)
        entered = (line[one, entered] == ENTRY) & (entered < _LENGTHS[length])
        self.match[rows, voice] = np.where(which[one, length], 2 * length + np.where(entered, 1, 2), 0)
        self.source[rows, voice] = source
        self._go_on(
            rows, voice, self.notes[rows, number], self.notes[rows, source], self._before[rows, source]
        )

    def _go_on(self, rows, voice, note, model, old) -> None:
        """As `model` went on from the note numbered `old`, so from `note`: pitch and onset."""
        old = self.notes[rows, old]
        pitch = note[:, PITCH] + model[:, PITCH] - old[:, PITCH]
        wanted = _degree(note[:, PITCH]) + _degree(model[:, PITCH]) - _degree(old[:, PITCH])
        natural = wanted // 7 * 12 + _NATURALS[wanted % 7]
        place = np.where(_degree(pitch) == wanted, pitch, natural) - self.tables.lowest_pitch + 1
        inside = (place > 0) & (place <= self.tables.num_pitches)
        self.next_place[rows, voice] = np.where(inside, place, 0)
        self.next_onset[rows, voice] = note[:, ONSET] + model[:, ONSET] - old[:, ONSET]

    def _expect_pitches(self, waits: np.ndarray) -> None:
        """What each voice is expected to strike now."""
        now = (
            (self.next_onset == self.ticks[:, None])
            & (self.match > 0)
            & (self.next_place > 0)
            & waits[:, None]
        )
        if now.any():
            voices = self.match.shape[1]
            np.copyto(self.expectation[:, :voices], self.next_place, where=now)
            np.copyto(self.expectation[:, voices : 2 * voices], self.match, where=now)

    def _expect_duration(self, rows, voice, place, now) -> None:
        """The duration of the note that is imitated, if this one came when it was expected."""
        match = self.match[rows, voice]
        came = (match > 0) & (self.next_onset[rows, voice] == now)
        if not came.any():
            return
        source = np.where(came, self.source[rows, voice], 0)
        token = np.where(came, self.tables.duration_place[self.notes[rows, source, DURATION]], 0)
        case = 2 * (match - 1) + (self.next_place[rows, voice] == place) + 1
        self.expectation[rows, -4], self.expectation[rows, -3] = token, np.where(token > 0, case, 0)

    def _expect_step(self, struck: np.ndarray) -> None:
        """The time until the first note that is expected of a voice, and the longest agreement behind it."""
        now, number = self.ticks[:, None], np.arange(1, self.match.shape[1] + 1)
        later = (self.next_onset > now) | ((self.next_onset == now) & (number > self.latest[:, None]))
        comes = (self.match > 0) & later & (struck & (self.latest > 0))[:, None]
        if not comes.any():
            return
        step = np.where(comes, self.next_onset - now, GAP_FAR)
        soonest = np.minimum(step.min(axis=1), GAP_FAR)
        longest = np.where(comes & (step == soonest[:, None]), self.match, NO_MATCH).min(axis=1)
        token = np.where(soonest < GAP_FAR, self.tables.step_token[soonest], 0)
        self.expectation[:, -2], self.expectation[:, -1] = token, np.where(token > 0, longest, 0)


def _interval(semitones: np.ndarray) -> np.ndarray:
    """A melodic interval as an embedding index."""
    return np.minimum(np.maximum(semitones, -INTERVAL_MAX), INTERVAL_MAX) + INTERVAL_MAX + 1


def _degree(pitch: np.ndarray) -> np.ndarray:
    """Number of the degree of the scale of MIDI pitches, counted through the octaves."""
    return pitch // 12 * 7 + _DEGREES[pitch % 12]


def _doubled(log: np.ndarray, axis: int) -> np.ndarray:
    """With room for as many entries again."""
    return np.concatenate((log, np.zeros_like(log)), axis=axis)


__all__ = ["BARS_LOOKED_AT", "DURATION", "ONSET", "PITCH", "VOICE", "MusicalState", "StepTables"]
