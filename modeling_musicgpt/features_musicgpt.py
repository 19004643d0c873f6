# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""What the model embeds of a `MusicalState`: the values that `MusicalStateTracker` has for whole sequences,
moved on by one token (the search for an imitation goes through the notes so far, a few microseconds for a
thousand).
"""

from __future__ import annotations

import numpy as np
import torch

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
)
from .stepping_musicgpt import DURATION, KIND, ONSET, PITCH, MusicalState, StepTables, Value, doubled

_DEGREES, _NATURALS, _LENGTHS = np.array(DEGREES), np.array(NATURALS), np.array(MATCHES)
_SPECIAL, _METER, _VOICE, _DUR, _TIME = (KIND[name] for name in ("SPECIAL", "METER", "VOICE", "DUR", "TIME"))
_WISHES = {KIND[name]: place for place, name in enumerate(WISHES)}
# The hash of `imitation_musicgpt._key`: the weight of each of the last steps, by the number of steps.
_WEIGHTS = np.array(
    [[pow(HASH_BASE, n - 1 - i, HASH_MODULUS) if i < n else 0 for n in MATCHES] for i in range(8)]
)


def _embedded(voices: int) -> dict[str, Value]:
    """What the model embeds, in the order of `MusicalFeatures`."""
    return {
        **dict.fromkeys(("ticks", "bar_position", "bar_of_meter", "interval", "motif"), ((), 0)),
        "voice_pitch": ((voices,), 0),
        "voice_remaining": ((voices,), NO_VOICE_REMAINING),
        "voice_elapsed": ((voices,), NO_VOICE_ELAPSED),
        "wishes": ((len(WISHES),), 0),
        "expectation": ((2 * voices + 4,), 0),
    }


def _sources(voices: int) -> dict[str, Value]:
    """What that is made of."""
    return {
        **dict.fromkeys(("latest", "melody"), ((), 0)),
        # Of each voice its last notes, the latest first, and its pitch one and two tokens ago.
        "last_note_of": ((voices,), 0),
        "pitches": ((voices, 3), 0),
        "durations": ((voices, 4), 0),
        "pitch_then": ((2, voices), 0),
        # What imitation looks at: the last steps, their numbers, and how the voice is expected to go on.
        "steps": ((voices, MATCHES[0]), 0),
        "keys": ((voices, len(MATCHES)), 0),
        **dict.fromkeys(("match", "source", "next_place", "next_onset"), ((voices,), 0)),
    }


class FeatureState(MusicalState):
    """A `MusicalState` that has what the model embeds, too.

    Args:
        tables, rows: as for `MusicalState`.

    Attributes:
        voice_pitch, voice_remaining, voice_elapsed, interval, motif, wishes, expectation: as in
            `MusicalFeatures`, of the last token; `bar_of_meter` is its `bar`.
    """

    _logs = (*MusicalState._logs, "_before", "_keys_before")

    def __init__(self, tables: StepTables, rows: int = 1):
        config = tables.config
        self.imitates, self.num_motifs = config.imitation_head and config.is_musical, config.num_motifs
        self._num_pitches = config.token_blocks["NOTE"][1]
        self._duration_place = np.zeros(int(tables.duration.max()) + 1, dtype=np.int64)
        if config.is_musical:
            self._duration_place[list(config.durations)] = np.arange(1, len(config.durations) + 1)
        super().__init__(tables, rows)
        shapes = [shape for shape, _ in _embedded(tables.voices).values()]
        self.widths = [shapes.count(()), *(shape[0] for shape in shapes if shape)]  # single values first

    @staticmethod
    def values(voices: int) -> tuple[dict[str, Value], dict[str, Value]]:
        """As for `MusicalState`; first what the model embeds."""
        facts, of_piece = MusicalState.values(voices)
        fields = {**_embedded(voices), **facts, **_sources(voices)}
        names = ("latest", "melody", "wishes", "voice_pitch", "match", "pitches", "durations")
        return fields, {**of_piece, **{name: fields[name] for name in names}}

    def _begin_all(self, rows: int) -> None:
        self._before = np.zeros((rows, 16), dtype=np.int64)
        self._keys_before = np.zeros((rows, len(MATCHES), 16), dtype=np.int64)
        super()._begin_all(rows)

    def _make_room(self) -> None:
        super()._make_room()
        self._before, self._keys_before = doubled(self._before, 1), doubled(self._keys_before, 2)

    def read_all(self, ids: np.ndarray) -> np.ndarray:
        """Reads `ids` of shape `(rows, new)`; the values of `MusicalFeatures` after each of them, `(rows,
        new, width)`.
        """
        values = np.empty((*ids.shape, sum(self.widths)), dtype=np.int64)
        for column in range(ids.shape[1]):
            self.feed(ids[:, column])
            values[:, column] = self._table[:, : values.shape[2]]
        np.minimum(values[..., 1], NUM_BAR_POSITIONS - 1, out=values[..., 1])
        return values

    def features(self, values: np.ndarray, device: torch.device) -> MusicalFeatures:
        """What `read_all` gave, as the model embeds it; `expectation` is `None` where nothing is expected."""
        expects = values[..., -self.widths[-1] :].any()
        *parts, expectation = torch.from_numpy(values).to(device).split(self.widths, dim=-1)
        singles = parts[0].unbind(-1)
        return MusicalFeatures(*singles, *parts[1:], expectation if expects else None)

    def feed(self, tokens: np.ndarray) -> set[int]:
        """As for `MusicalState`."""
        self.interval[:] = self.motif[:] = 0
        self.expectation[:] = 0
        self.pitch_then[:, 1] = self.pitch_then[:, 0]
        self.pitch_then[:, 0] = self.voice_pitch
        waited = self.pending.any()
        kinds = super().feed(tokens)
        kind = self.kind
        self.bar_of_meter[:] = self.bar - self.meter_bar
        for wish in kinds.intersection(_WISHES):
            rows = (kind == wish).nonzero()[0]
            self.wishes[rows, _WISHES[wish]] = self.tables.wish[tokens[rows]]
        if waited or not kinds.isdisjoint((_VOICE, _TIME, _SPECIAL)):
            self._see_times()
        if _DUR in kinds or _TIME in kinds:
            np.copyto(self.motif, self.melody, where=(kind == _DUR) | (kind == _TIME))
        if self.imitates:
            if _TIME in kinds or _METER in kinds:
                self._expect_pitches((kind == _TIME) | (kind == _METER))
            if _DUR in kinds:
                self._expect_step(kind == _DUR)
        return kinds

    def _finish_notes(self, rows: np.ndarray, voice: np.ndarray, durations: np.ndarray) -> None:
        super()._finish_notes(rows, voice, durations)
        self.durations[rows, voice, 0] = durations
        if self.num_motifs:
            # The last two intervals and durations of the voice, as `MusicalStateTracker._motif` names them.
            pitch, long = self.pitches[rows, voice], self.durations[rows, voice]
            steps = np.where(pitch[:, 1:] > 0, _interval(pitch[:, :-1] - pitch[:, 1:]), 0)
            name = (steps[:, 0] * INTERVAL_BASE + steps[:, 1]) * DURATION_BASE + long[:, 0]
            self.melody[rows] = 1 + (name * DURATION_BASE + long[:, 1]) % self.num_motifs

    def _see_times(self) -> None:
        """How long the last notes of the voices go on, and since when they do."""
        now, begun = self.ticks[:, None], self.voice_pitch > 0
        left = np.minimum(np.maximum(self.end - now, REMAINING_MIN), REMAINING_MAX) - REMAINING_MIN
        self.voice_remaining[:] = np.where(begun, left, NO_VOICE_REMAINING)
        self.voice_elapsed[:] = np.where(begun, np.minimum(now - self.onset, ELAPSED_MAX), NO_VOICE_ELAPSED)
        if self.pending.any():
            rows = self.pending.nonzero()[0]
            at = rows, self.pending[rows] - 1
            self.voice_remaining[at], self.voice_elapsed[at] = DURATION_PENDING, 0

    def _begin_notes(self, rows: np.ndarray, voice: np.ndarray) -> np.ndarray:
        at = rows, voice
        now, place = self.ticks[rows], self.note_pitch[rows] - self.tables.lowest_pitch + 1
        pitches, long, then = self.pitches[at], self.durations[at], self.pitch_then[rows, 1, voice]
        again = pitches[:, 0] > 0
        gap = np.where(again, now - self.onset[at], 0)
        if self.num_motifs:
            rhythm = (long[:, 0] * DURATION_BASE + long[:, 1]) * DURATION_BASE + long[:, 2]
            position = np.minimum(self.bar_position[rows], NUM_BAR_POSITIONS - 1) % TICKS_PER_QUARTER
            rhythm = (rhythm * TICKS_PER_QUARTER + position) * (MOTIF_GAP_MAX + 1)
            self.motif[rows] = 1 + (7 * (rhythm + np.minimum(gap, MOTIF_GAP_MAX)) + 3) % self.num_motifs
        self.interval[rows] = np.where(then > 0, _interval(place - then), FIRST_OF_VOICE)
        if self.imitates:
            self._expect_duration(rows, voice, place, now)
        number = super()._begin_notes(rows, voice)
        self._before[rows, number] = np.where(again, self.last_note_of[at], 0)
        self._keys_before[rows, :, number] = np.where(again[:, None], self.keys[at], 0)
        if self.imitates:
            enters = ~again | (gap - long[:, 0] >= REST)
            self._imitate(rows, voice, number, place, pitches[:, 0], gap, enters)
        self.pitches[rows, voice, 1:], self.pitches[rows, voice, 0] = pitches[:, :-1], place
        self.durations[rows, voice, 1:], self.durations[rows, voice, 0] = long[:, :-1], 0
        self.voice_pitch[at], self.last_note_of[at] = place, number
        self.latest[rows] = voice + 1
        return number

    def _imitate(self, rows, voice, number, place, before, gap, enters) -> None:
        """How voices are expected to go on after the notes `number` that they have just struck."""
        lowest = self.tables.lowest_pitch - 1
        moved = _degree(place + lowest) - _degree(before + lowest)
        moved = np.minimum(np.maximum(moved, -STEP_MAX), STEP_MAX)
        step = (moved + STEP_MAX + 1) * (GAP_MAX + 1) + np.minimum(gap, GAP_MAX)
        steps = self.steps[rows, voice]
        steps[:, 1:] = steps[:, :-1]
        steps[:, 0] = np.where(enters, ENTRY, step)
        steps[enters, 1], steps[enters, 2:] = ENTRY_TOO, 0
        self.steps[rows, voice] = steps
        whole = steps[:, _LENGTHS - 1] > 0
        keys = self.keys[rows, voice] = np.where(whole, steps @ _WEIGHTS % HASH_MODULUS + 1, 0)
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
        source, entered = latest[one, length], (steps == ENTRY).argmax(axis=1)
        entered = (steps[one, entered] == ENTRY) & (entered < _LENGTHS[length])
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
        inside = (place > 0) & (place <= self._num_pitches)
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
        token = np.where(came, self._duration_place[self.notes[rows, source, DURATION]], 0)
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


__all__ = ["FeatureState"]
