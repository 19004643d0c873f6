# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""Where in the music each token stands: meter and voices, derived from the token ids alone.

Everything here is integer arithmetic on whole sequences (running sums and running maxima), causal by
construction: row `i` depends on tokens `0..i` only, so a cached step that knows the earlier ids gets what the
full forward gets.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from .configuration_musicgpt import MusicGPTConfig
from .imitation_musicgpt import REST, Continuation, Expectation, Notes, continuations, last_place, value_at

# Number of embedded values: bar positions are at most 144 ticks (12/8, 3/2), ends of notes lie -24..103 ticks
# away.
NUM_BAR_POSITIONS = 144
REMAINING_MIN, REMAINING_MAX = -24, 103
NO_VOICE_REMAINING, DURATION_PENDING = 128, 129
NUM_REMAINING = 130
ELAPSED_MAX, NO_VOICE_ELAPSED = 63, 64
NUM_ELAPSED = 65
# Melodic intervals are told apart up to two octaves; 0 says that this token makes no interval, the last that
# a voice begins.
INTERVAL_MAX = 24
NO_INTERVAL, FIRST_OF_VOICE = 0, 2 * INTERVAL_MAX + 2
NUM_INTERVALS = 2 * INTERVAL_MAX + 3
# Steps of the polynomial hash that names a motif: beyond the largest value of each of its parts.
DURATION_BASE, INTERVAL_BASE, MOTIF_GAP_MAX = 199, 2 * INTERVAL_MAX + 2, 199
TICKS_PER_QUARTER = 24
# What a prefix can ask for beside the METER.
WISHES = ("MODE", "FORM", "VOICES", "TEMPO")
# No expected note lies so many ticks ahead; and no agreement has this number.
GAP_FAR, NO_MATCH = 1024, 99


class Meter(NamedTuple):
    """Time and meter after each token, integer tensors of shape `(batch, length)`."""

    ticks: torch.Tensor  # since the beginning of the piece
    bar_position: torch.Tensor  # tick in the bar
    bar: torch.Tensor  # bars since the last METER token
    bar_ticks: torch.Tensor  # length of the bar


class MusicalFeatures(NamedTuple):
    """The state after each token, integer tensors of shape `(batch, length)` or `(batch, length, voices)`."""

    ticks: torch.Tensor  # (B, L) since the beginning of the piece; what rotary attention measures
    bar_position: torch.Tensor  # (B, L) tick in the bar
    bar: torch.Tensor  # (B, L) bars since the last METER token
    interval: torch.Tensor  # (B, L) melodic interval made by a VOICE token, as an embedding index
    motif: torch.Tensor  # (B, L) hash of the voice's last notes, as an embedding index; 0 = none
    # (B, L, V) place of the voice's last NOTE token in its block, plus 1; 0 = it has not begun
    voice_pitch: torch.Tensor
    voice_remaining: torch.Tensor  # (B, L, V) ticks until its last note ends, as an embedding index
    voice_elapsed: torch.Tensor  # (B, L, V) ticks since its last note began, as an embedding index
    # (B, L, 4) the last MODE, FORM, VOICES and TEMPO token of the piece, as an embedding index; 0 = none
    wishes: torch.Tensor
    # (B, L, 2 V + 4) what imitation leads one to expect: `Expectation.packed`; None in steps without
    expectation: torch.Tensor | None

    def at(self, index: slice | torch.Tensor) -> MusicalFeatures:
        """The rows of some positions: a slice, or a tensor of indices of shape `(length,)`."""
        return MusicalFeatures(*(tensor[:, index] for tensor in self))


def num_wishes(config: MusicGPTConfig) -> int:
    """How many tokens there are that a prefix asks with, METER left out."""
    return sum(config.token_blocks[name][1] for name in WISHES)


def token_tables(config: MusicGPTConfig) -> dict[str, torch.Tensor]:
    """Every table by name, each of shape `(vocab_size + 1,)`: the last row stands for ids beyond the
    vocabulary. Beside them `step_token`, by ticks: the place of a TIME token in its block, plus 1.
    """
    tables = {
        name: torch.zeros(config.vocab_size + 1, dtype=torch.long)
        for name in ("step", "pitch", "duration", "bar_length", "voice", "wish", "wish_kind")
    }
    tables["is_time"] = torch.zeros(config.vocab_size + 1, dtype=torch.bool)
    tables["step_token"] = torch.zeros(GAP_FAR + 1, dtype=torch.long)
    if not config.is_musical:
        return tables

    def block(name: str) -> slice:
        first, count = config.token_blocks[name]
        return slice(first, first + count)

    tables["step"][block("TIME")] = torch.tensor(config.time_steps)
    tables["is_time"][block("TIME")] = True
    tables["step_token"][torch.tensor(config.time_steps)] = torch.arange(len(config.time_steps)) + 1
    tables["duration"][block("DUR")] = torch.tensor(config.durations)
    tables["bar_length"][block("METER")] = torch.tensor(config.meter_ticks)
    tables["pitch"][block("NOTE")] = torch.arange(config.token_blocks["NOTE"][1]) + 1
    tables["voice"][block("VOICE")] = torch.arange(config.token_blocks["VOICE"][1]) + 1
    known = 0
    for kind, name in enumerate(WISHES):
        count = config.token_blocks[name][1]
        tables["wish"][block(name)] = torch.arange(known, known + count) + 1
        tables["wish_kind"][block(name)] = kind + 1
        known += count
    return tables


class MusicalStateTracker(nn.Module):
    """Computes the `MusicalFeatures` of token sequences from lookup tables built out of the config.

    The tables are buffers that are not saved: the config holds what they are made of.
    """

    def __init__(self, config: MusicGPTConfig):
        super().__init__()
        self.config = config
        for name, table in self.tables().items():
            self.register_buffer(name, table, persistent=False)

    def rebuild(self) -> None:
        """Make the tables anew, where the vocabulary of the config has changed."""
        for name, table in self.tables().items():
            setattr(self, name, table.to(getattr(self, name).device))

    def tables(self) -> dict[str, torch.Tensor]:
        """`token_tables` of the config."""
        return token_tables(self.config)

    @torch.no_grad()
    def forward(self, ids: torch.Tensor) -> MusicalFeatures:
        """
        Args:
            ids (`torch.LongTensor` of shape `(batch, length)`): tokens from the beginning of the sequence.
                `<pad>` changes nothing; each `<bos>` begins a new piece, so that packed pieces do not hear
                each other.
        """
        ids, start = self._begun(ids)
        meter = self.meter(ids)
        ticks = meter.ticks
        # (B, L) of the token before: at VOICE tokens the note's
        pitch = nn.functional.pad(self.pitch[ids], (1, 0))[:, :-1]
        voice = torch.where(pitch > 0, self.voice[ids], 0)  # a VOICE without a NOTE before it says nothing
        last = self._last_of_voice(voice)
        *voices, interval = self._voices(ids, ticks, start, voice, pitch, last)
        motif = torch.zeros_like(ids)
        if self.config.num_motifs:
            motif = self._motif(ids, ticks, meter.bar_position, start, voice, pitch, last)
        expectation = ids.new_zeros(*ids.shape, 2 * self.config.max_voices + 4)
        if self.config.imitation_head and self.config.is_musical:
            expectation = self._expectation(ids, ticks, start, voice, pitch, last).packed()
        place = (ticks, meter.bar_position, meter.bar)
        return MusicalFeatures(*place, interval, motif, *voices, self._wishes(ids, start), expectation)

    def _wishes(self, ids, start) -> torch.Tensor:
        """What the prefix asks for, as far as it was read, `(B, L, wishes)`."""
        kinds = torch.arange(1, len(WISHES) + 1, device=ids.device)
        is_wish = self.wish_kind[ids][:, :, None] == kinds  # (B, L, wishes)
        last = last_place(is_wish)
        # (B, L * wishes) -> (B, L, wishes)
        wish = self.wish[ids].gather(1, last.clamp(min=0).flatten(1)).view_as(last)
        return torch.where(last > start[:, :, None], wish, 0)

    def _begun(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids with those beyond the vocabulary made one, and the place of the `<bos>` of each one's
        piece, -1 if none: `(B, L)` each.
        """
        ids = torch.where((ids >= 0) & (ids < self.config.vocab_size), ids, self.config.vocab_size)
        bos = self.config.bos_token_id
        return ids, last_place(ids == (-1 if bos is None else bos))  # without one no piece has a beginning

    @torch.no_grad()
    def meter(self, ids: torch.Tensor) -> Meter:
        """Only the meter of `forward`, from ids of shape `(batch, length)`; a METER token begins a bar."""
        ids, start = self._begun(ids)
        ticks = self.step[ids].cumsum(dim=1)
        ticks = ticks - value_at(ticks, start)
        length = self.bar_length[ids]
        meter = last_place(length > 0)
        known = meter > start
        meter = meter.clamp(min=0)
        length = torch.where(known, length.gather(1, meter), self.config.default_bar_ticks)
        since = ticks - torch.where(known, ticks.gather(1, meter), 0)
        return Meter(ticks, (since % length).clamp(max=NUM_BAR_POSITIONS - 1), since // length, length)

    def _last_of_voice(self, voice) -> torch.Tensor:
        """The last VOICE token of each voice up to each place, -1 if none: `(B, L, V)`."""
        voices = torch.arange(1, self.config.max_voices + 1, device=voice.device)
        is_voice = voice[:, :, None] == voices  # (B, L, V)
        return last_place(is_voice)

    def _voices(self, ids, ticks, start, voice, pitch, last) -> tuple[torch.Tensor, ...]:
        """What each voice's last note is and how long it sounds, each `(B, L, V)`, and the interval at each
        VOICE token, `(B, L)`.
        """
        batch, size = ids.shape
        begun = last > start[:, :, None]
        flat = last.clamp(min=0).view(batch, -1)  # (B, L, V) -> (B, L * V)

        pitch = pitch.gather(1, flat).view_as(last)
        onset = ticks.gather(1, flat).view_as(last)
        # The duration stands behind the VOICE token: at that token itself it is not known yet.
        duration = self.duration[ids].gather(1, (flat + 1).clamp(max=size - 1)).view_as(last)
        now = ticks[:, :, None]
        remaining = (onset + duration - now).clamp(REMAINING_MIN, REMAINING_MAX) - REMAINING_MIN
        place = torch.arange(size, device=ids.device)
        remaining = torch.where(last < place[:, None], remaining, DURATION_PENDING)
        remaining = torch.where(begun, remaining, NO_VOICE_REMAINING)
        elapsed = torch.where(begun, (now - onset).clamp(0, ELAPSED_MAX), NO_VOICE_ELAPSED)
        pitch = torch.where(begun, pitch, 0)
        return pitch, remaining, elapsed, self._interval(voice, pitch)

    def _interval(self, voice: torch.Tensor, pitch: torch.Tensor) -> torch.Tensor:
        """Semitones from the voice's previous note to this one, at VOICE tokens, as an embedding index `(B,
        L)`.
        """
        # (B, L, V) two tokens ago: before this note's NOTE and VOICE
        before = nn.functional.pad(pitch, (0, 0, 2, 0))[:, :-2]
        own = (voice - 1).clamp(min=0)[:, :, None]
        previous, current = (of.gather(2, own).squeeze(2) for of in (before, pitch))  # (B, L, V) -> (B, L)
        interval = (current - previous).clamp(-INTERVAL_MAX, INTERVAL_MAX) + INTERVAL_MAX + 1
        interval = torch.where((previous > 0) & (current > 0), interval, FIRST_OF_VOICE)
        return torch.where(voice > 0, interval, NO_INTERVAL)

    def _motif(self, ids, ticks, bar_position, start, voice, pitch, last) -> torch.Tensor:
        """A name for what the voice just did, `(B, L)`: equal motifs have equal names, whatever the pitch
        they begin on.

        At DUR and TIME tokens: the last two intervals and last two durations of the note's voice, so that
        attention finds where the motif was heard before. At VOICE tokens, where the duration is still open:
        the voice's last three durations, how long ago its last note began and the place in the quarter.
        """
        previous = self._previous(start, voice, last)
        second = value_at(previous, previous, -1)
        third = value_at(previous, second, -1)
        # (B, L) at VOICE tokens: the DUR behind, which is known from the next token on
        duration = nn.functional.pad(self.duration[ids], (0, 1))[:, 1:]

        steps = [
            self._step_name(pitch, previous, pitch),
            self._step_name(value_at(pitch, previous), second, pitch),
        ]
        melody = (steps[0] * INTERVAL_BASE + steps[1]) * DURATION_BASE + duration
        melody = melody * DURATION_BASE + value_at(duration, previous)
        rhythm = value_at(duration, previous) * DURATION_BASE + value_at(duration, second)
        rhythm = rhythm * DURATION_BASE + value_at(duration, third)
        gap = torch.where(previous >= 0, ticks - value_at(ticks, previous), 0).clamp(max=MOTIF_GAP_MAX)
        rhythm = (rhythm * TICKS_PER_QUARTER + bar_position % TICKS_PER_QUARTER) * (MOTIF_GAP_MAX + 1) + gap

        latest = last_place(voice > 0)
        after_note = (latest > start) & ((self.duration[ids] > 0) | self.is_time[ids])
        motif = torch.where(after_note, 1 + value_at(melody, latest) % self.config.num_motifs, 0)
        return torch.where(voice > 0, 1 + (7 * rhythm + 3) % self.config.num_motifs, motif)

    def _previous(self, start, voice, last) -> torch.Tensor:
        """At VOICE tokens the place of the same voice's VOICE token before, in the same piece; -1 elsewhere
        and if there is none: `(B, L)`.
        """
        before = nn.functional.pad(last, (0, 0, 1, 0), value=-1)[:, :-1]  # (B, L, V): up to the token before
        own = (voice - 1).clamp(min=0)[:, :, None]
        previous = before.gather(2, own).squeeze(2)  # (B, L)
        return torch.where((voice > 0) & (previous > start), previous, -1)

    def _expectation(self, ids, ticks, start, voice, pitch, last) -> Expectation:
        """What imitation leads one to expect of the token after each one."""
        previous = self._previous(start, voice, last)
        midi = (pitch - 1 + self.config.lowest_pitch).clamp(min=0)
        # (B, L) at VOICE tokens the note's duration, where it is known
        length = nn.functional.pad(self.duration[ids], (0, 1))[:, 1:]
        rest = ticks - value_at(ticks + length, previous)
        enters = (voice > 0) & ((previous < 0) | (rest >= REST))
        after = continuations(Notes(midi, ticks, previous, voice > 0, enters, start))

        # What each voice is expected to do after its last note, (B, L, V).
        flat = last.clamp(min=0).flatten(1)  # (B, L, V) -> (B, L * V)
        match, onset, expected = (
            tensor.gather(1, flat).view_as(last) for tensor in (after.match, after.onset, after.pitch)
        )
        match = torch.where(last > start[:, :, None], match, 0)
        expected = expected - self.config.lowest_pitch + 1
        inside = (expected > 0) & (expected <= self.config.token_blocks["NOTE"][1])
        waits = self.is_time[ids] | (self.bar_length[ids] > 0)
        now = waits[:, :, None] & (match > 0) & (onset == ticks[:, :, None]) & inside
        duration = self._expected_duration(ids, ticks, voice, midi, previous, after)
        step = self._expected_step(ids, ticks, start, voice, match, onset)
        return Expectation(torch.where(now, expected, 0), torch.where(now, match, 0), *duration, *step)

    def _expected_duration(
        self, ids, ticks, voice, midi, previous, after: Continuation
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """At VOICE tokens, if the note came when it was expected: the duration of the note that it imitates,
        and the case; `(B, L)` each.
        """
        size = ids.shape[1]
        came = (
            (voice > 0) & (value_at(after.match, previous) > 0) & (value_at(after.onset, previous) == ticks)
        )
        source = torch.where(came, value_at(after.source, previous), -1)
        first, count = self.config.token_blocks["DUR"]
        token = ids.gather(1, (source + 1).clamp(0, size - 1)) - first + 1
        came = came & (token > 0) & (token <= count)
        hit = (value_at(after.pitch, previous) == midi).long()
        case = 2 * (value_at(after.match, previous) - 1) + hit + 1
        return torch.where(came, token, 0), torch.where(came, case, 0)

    def _expected_step(self, ids, ticks, start, voice, match, onset) -> tuple[torch.Tensor, torch.Tensor]:
        """At DUR tokens: the time until the first note that is expected of a voice, and the longest agreement
        behind it; `(B, L)` each.

        At the same time only voices below the one that was struck last may follow, as notes are written from
        the highest voice down.
        """
        latest = last_place(voice > 0)
        struck = torch.where(latest > start, value_at(voice, latest), 0)  # (B, L) its number, from 1
        number = torch.arange(1, self.config.max_voices + 1, device=ids.device)
        now = ticks[:, :, None]
        comes = (match > 0) & ((onset > now) | ((onset == now) & (number > struck[:, :, None])))
        far = 2 * GAP_FAR
        step = torch.where(comes, onset - now, far)
        soonest = step.amin(dim=-1)  # (B, L, V) -> (B, L)
        longest = torch.where(comes & (step == soonest[:, :, None]), match, NO_MATCH).amin(dim=-1)
        token = self.step_token[soonest.clamp(0, GAP_FAR)]
        known = (self.duration[ids] > 0) & (struck > 0) & (soonest < GAP_FAR) & (token > 0)
        return torch.where(known, token, 0), torch.where(known, longest, 0)

    @staticmethod
    def _step_name(pitch, previous, pitches) -> torch.Tensor:
        """The interval from the note at `previous` to `pitch` as a number from 1; 0 without a previous note.
        `(B, L)`.
        """
        interval = (pitch - value_at(pitches, previous)).clamp(-INTERVAL_MAX, INTERVAL_MAX) + INTERVAL_MAX + 1
        return torch.where(previous >= 0, interval, 0)
