# Copyright 2026 the MusicGPT authors. Licensed under the Apache License, Version 2.0.
"""What each voice would do next if it went on as some voice went on before: the expectation that imitation
raises, derived from the ids alone.

The last steps of a voice (diatonic interval and time from note to note, or that it entered) are looked up
among all steps that any voice has made so far; where they were made before, the voice is expected to go on as
that voice did, on its own degree of the scale. A subject that is answered, a sequence and a repeated figure
all are such cases. As everything in `musical_state_musicgpt.py` this is integer arithmetic on whole
sequences, causal by construction. The diatonic degree is that of C major / A minor, the keys of the tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

# Steps that must agree, from the most to the fewest; the longest agreement counts, and of several the latest.
MATCHES = (8, 5, 3, 2)
# Kinds of agreement: for each length one that reaches back to where the voice entered, as an answer does to
# its subject, and one that does not.
NUM_KINDS = 2 * len(MATCHES)
# Scores that the head gives: for each kind of agreement a pitch this many semitones off, a duration where the
# pitch was another or the expected one, and a time.
OFFSETS = (-2, -1, 0, 1, 2)
NUM_SCORES = NUM_KINDS * (len(OFFSETS) + 2 + 1)
# Scores for each kind: pitches, then durations, then times.
_WIDTHS = (len(OFFSETS), 2, 1)
# Of each score by kind: its place among those by length of agreement, and whether it is that of an entry.
_SIZES = [len(MATCHES) * width for width in _WIDTHS]
_OF_LENGTH = torch.cat(
    [
        part.view(len(MATCHES), 1, width).expand(-1, 2, -1).flatten()
        for part, width in zip(torch.arange(sum(_SIZES)).split(_SIZES), _WIDTHS, strict=True)
    ]
)
_FROM_ENTRY = torch.cat(
    [torch.tensor([True, False])[None, :, None].expand(len(MATCHES), 2, width).flatten() for width in _WIDTHS]
)
# The place of each score in `forward`: behind nothing first those from an entry, then the others.
_PLACE = 1 + _OF_LENGTH + torch.where(_FROM_ENTRY, 0, NUM_SCORES // 2)
# Of what is expected: how many cases there are, and the distances of the tokens that are scored.
_SCORED = {"NOTE": (NUM_KINDS, OFFSETS), "DUR": (2 * NUM_KINDS, (0,)), "TIME": (NUM_KINDS, (0,))}
# A step as a number: diatonic intervals up to three octaves, times up to four bars of 4/4, and the polynomial
# hash of several.
STEP_MAX, GAP_MAX = 24, 399
# An entry of a voice, at its beginning or after a rest of at least so many ticks, stands for two steps: so a
# voice that enters is expected to go on as the last one that entered did.
ENTRY, ENTRY_TOO, REST = 1, 2, 24
HASH_BASE, HASH_MODULUS = 20011, 2**31 - 1
# The degree of each pitch class: a raised one counts as the natural below, B flat as B.
DEGREES = (0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6)
NATURALS = (0, 2, 4, 5, 7, 9, 11)


class Expectation(NamedTuple):
    """What may be expected of the next token, integer tensors of shape `(batch, length)` or `(batch, length,
    voices)`.

    At TIME and METER tokens: what each voice is expected to strike now. At VOICE tokens: how long the note is
    expected to be. At DUR tokens: when the next note is expected. 0 everywhere else, and where nothing is
    expected.
    """

    pitch: torch.Tensor  # (B, L, V) place of the expected NOTE in its block, plus 1
    # (B, L, V) its kind of agreement, from 1: longer ones first, of one length those from an entry
    match: torch.Tensor
    duration: torch.Tensor  # (B, L) place of the expected DUR in its block, plus 1
    # (B, L) twice the kind less 1, plus 1 where the pitch came as expected, plus 1
    duration_case: torch.Tensor
    step: torch.Tensor  # (B, L) place of the expected TIME in its block, plus 1
    step_match: torch.Tensor  # (B, L) its kind of agreement

    def packed(self) -> torch.Tensor:
        """As one tensor `(batch, length, 2 * voices + 4)`."""
        single = (self.duration, self.duration_case, self.step, self.step_match)
        return torch.cat((self.pitch, self.match, torch.stack(single, dim=-1)), dim=-1)


def diatonic(pitch: torch.Tensor) -> torch.Tensor:
    """Number of the degree of the scale of MIDI pitches, counted through the octaves."""
    degrees = torch.tensor(DEGREES, device=pitch.device)
    return pitch // 12 * 7 + degrees[pitch % 12]


def natural(degree: torch.Tensor) -> torch.Tensor:
    """The MIDI pitch of a degree without accidental."""
    naturals = torch.tensor(NATURALS, device=degree.device)
    return degree // 7 * 12 + naturals[degree % 7]


class Notes(NamedTuple):
    """The notes of sequences, each at its VOICE token, tensors of shape `(batch, length)`."""

    pitch: torch.Tensor  # MIDI pitch
    onset: torch.Tensor  # ticks
    previous: torch.Tensor  # place of the VOICE token of the same voice's note before, -1 if there is none
    exists: torch.Tensor  # bool: whether there is a note
    enters: torch.Tensor  # bool: whether its voice begins with it, or comes back after a rest
    start: torch.Tensor  # place of the <bos> of its piece, -1 if none


class Continuation(NamedTuple):
    """How the voice of each note may go on, tensors of shape `(batch, length)`; of no meaning where `match`
    is 0.
    """

    match: torch.Tensor  # kind of the agreement, from 1; 0 if there was none
    source: torch.Tensor  # place of the VOICE token of the note that went on so before
    pitch: torch.Tensor  # MIDI
    onset: torch.Tensor  # ticks


def continuations(notes: Notes) -> Continuation:
    """What each voice is expected to do after each of its notes."""
    match = torch.zeros_like(notes.pitch)
    source = torch.full_like(notes.pitch, -1)
    for number in reversed(range(len(MATCHES))):  # the longest agreement is written last
        own, entered = _key(notes, MATCHES[number])
        before = torch.where(notes.exists & (notes.previous >= 0), value_at(own, notes.previous), 0)
        found = _latest(before, own, notes.start)
        match = torch.where(found >= 0, 2 * number + torch.where(entered, 1, 2), match)
        source = torch.where(found >= 0, found, source)
    # the note that came before, and the one before that
    model, old = source.clamp(min=0), value_at(notes.previous, source).clamp(min=0)
    pitch, old_pitch = notes.pitch.gather(1, model), notes.pitch.gather(1, old)
    moved = notes.pitch + pitch - old_pitch
    degree = diatonic(notes.pitch) + diatonic(pitch) - diatonic(old_pitch)
    moved = torch.where(diatonic(moved) == degree, moved, natural(degree))
    onset = notes.onset + notes.onset.gather(1, model) - notes.onset.gather(1, old)
    return Continuation(match, source, moved, onset)


def _key(notes: Notes, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A number for the last `steps` steps of the note's voice, 0 where it has made fewer, and whether they
    reach its entry: `(B, L)` each.
    """
    interval = diatonic(notes.pitch) - diatonic(value_at(notes.pitch, notes.previous))
    gap = (notes.onset - value_at(notes.onset, notes.previous)).clamp(max=GAP_MAX)
    step = (interval.clamp(-STEP_MAX, STEP_MAX) + STEP_MAX + 1) * (GAP_MAX + 1) + gap
    step = torch.where(notes.exists, torch.where(notes.enters, ENTRY, step), 0)
    before_entry = -2  # an entry counts as two steps, and what was before it is not looked at
    link = torch.where(notes.enters, before_entry, notes.previous)
    key, whole, at, entered = step, step > 0, link, notes.enters
    for _ in range(steps - 1):
        further = torch.where(at == before_entry, ENTRY_TOO, value_at(step, at))
        key, whole = (key * HASH_BASE + further) % HASH_MODULUS, whole & (further > 0)
        entered = entered | (value_at(step, at) == ENTRY)
        at = value_at(link, at, -1)
    return torch.where(whole, key + 1, 0), entered


def _latest(entries: torch.Tensor, queries: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """For each query the latest place up to its own, in its piece, whose entry is the same number; -1 if
    none. All `(B, L)`, 0 = nothing.
    """
    length = entries.shape[1]
    places = torch.arange(length, device=entries.device)
    piece = (start + 1) * 2**31  # places are below 2**31 / 2**18: the whole number stays below 2**63
    # Sorted by number and place, an entry before the query of its own place, the last entry before a query is
    # the one looked for.
    ranks = torch.cat(
        ((piece + entries) * (2 * length) + 2 * places, (piece + queries) * (2 * length) + 2 * places + 1),
        dim=1,
    )
    ranks, order = ranks.sort(dim=1)  # (B, 2 L)
    last = last_place(order < length)
    known = last.clamp(min=0)
    same = (last >= 0) & (ranks.gather(1, known) // (2 * length) == ranks // (2 * length))
    found = torch.where(same, order.gather(1, known), -1)
    found = torch.zeros_like(found).scatter(1, order, found)[:, length:]
    return torch.where(queries > 0, found, -1)


def last_place(mask: torch.Tensor) -> torch.Tensor:
    """The last place up to each one at which `mask` holds, -1 if none: `(B, L)` -> `(B, L)`, or `(B, L, n)`
    -> `(B, L, n)`.
    """
    place = torch.arange(mask.shape[1], device=mask.device)
    place = (place if mask.ndim == 2 else place[:, None]).expand(mask.shape)
    if not torch.compiler.is_exporting():
        return torch.where(mask, place, -1).cummax(dim=1).values
    # ONNX has no running maximum. The same by looking up the n-th place at which the mask holds, which takes
    # three to six times as long.
    number = mask.long().cumsum(dim=1)  # how many there are so far
    beyond = mask.shape[1] + 1  # where all other places go
    table = place.new_full((mask.shape[0], mask.shape[1] + 2, *mask.shape[2:]), -1)
    table = table.scatter(1, torch.where(mask, number, beyond), place)
    return table.gather(1, number)


def value_at(values: torch.Tensor, index: torch.Tensor, missing: int = 0) -> torch.Tensor:
    """`values[index]` along the sequence, `missing` where `index` is -1: `(B, L)`."""
    return torch.where(index >= 0, values.gather(1, index.clamp(min=0)), missing)


class MusicGPTImitationHead(nn.Module):
    """Scores the NOTE, DUR or TIME that imitation leads one to expect, by the kind of agreement; the hidden
    state says how much it counts.

    Attributes:
        proj (`nn.Linear`): the scores by length of agreement, `NUM_SCORES // 2`.
        entry (`nn.Parameter` of the same number): what is added to each where the agreement reaches back to
            where the voice entered.
    """

    def __init__(self, config):
        super().__init__()
        self.blocks = {name: tuple(config.token_blocks[name]) for name in _SCORED}
        self.max_voices = config.max_voices
        self.proj = nn.Linear(config.hidden_size, NUM_SCORES // 2)
        self.proj._starts_at_zero = True
        self.entry = nn.Parameter(torch.zeros(NUM_SCORES // 2))
        for name, table in self.tables().items():
            self.register_buffer(name, table, persistent=False)

    def weight_and_bias(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of a map from the hidden state to the scores of all kinds, `(NUM_SCORES, hidden)` and
        `(NUM_SCORES,)`.
        """
        bias = self.proj.bias[_OF_LENGTH] + self.entry[_OF_LENGTH] * _FROM_ENTRY
        return self.proj.weight[_OF_LENGTH], bias

    def tables(self) -> dict[str, torch.Tensor]:
        """`scored`, by block, token that is expected and case: the tokens that are scored, and the places of
        their scores, `(blocks, tokens, cases, 2, offsets)`; what is nothing scores token 0 by place 0.
        `block`, by expectation: which it is of, `(voices + 2,)`.
        """
        most = max(count for _, count in self.blocks.values())
        scored = torch.zeros(len(_SCORED), 1 + most, 1 + 2 * NUM_KINDS, 2, len(OFFSETS), dtype=torch.long)
        place = _PLACE.to(scored.device)  # a model may be made on a device without memory
        for table, name in zip(scored, _SCORED, strict=True):
            (first, count), (cases, offsets) = self.blocks[name], _SCORED[name]
            places, place = place.split((cases * len(offsets), len(place) - cases * len(offsets)))
            token = torch.arange(count)[:, None, None] + torch.tensor(offsets)  # (count, 1, offsets)
            inside = (token >= 0) & (token < count)
            own = table[1 : 1 + count, 1 : 1 + cases, :, : len(offsets)]
            own[:, :, 0] = torch.where(inside, first + token, 0)
            own[:, :, 1] = torch.where(inside, places.view(cases, -1), 0)
        return {"scored": scored, "block": torch.tensor([0] * self.max_voices + [1, 2])}

    def forward(
        self, hidden_states: torch.Tensor, expectation: torch.Tensor, logits: torch.Tensor
    ) -> torch.Tensor:
        """Adds to `logits`, `(B, L, vocab)`, from `expectation`, `(B, L, 2 * voices + 4)`: see
        `Expectation.packed`.
        """
        scores = self.proj(hidden_states)  # called, its weight never read: a quantised map has another
        scores = nn.functional.pad(torch.cat((scores + self.entry, scores), dim=-1), (1, 0))
        notes, others = expectation.split((2 * self.max_voices, 4), dim=-1)
        both = notes.unflatten(-1, (2, -1)), others.unflatten(-1, (2, 2)).mT
        token, case = torch.cat(both, dim=-1).unbind(-2)  # (B, L, V + 2) each
        # (B, L, V + 2, 2, offsets) -> (B, L, (V + 2) * offsets) each
        targets, places = (of.flatten(2) for of in self.scored[self.block, token, case].unbind(-2))
        return logits.scatter_add(-1, targets, scores.gather(-1, places).to(logits.dtype))


__all__ = [
    "Continuation",
    "Expectation",
    "MusicGPTImitationHead",
    "Notes",
    "continuations",
    "last_place",
    "value_at",
]
