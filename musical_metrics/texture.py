"""How many voices sound, how they strike together, and how far they lie apart.

Huron (*Music Perception* 7, 1989, and *Music Theory Spectrum* 31, 2009, "Characterizing musical textures")
describes a texture by how many parts are active and how far their onsets agree.
"""

from __future__ import annotations

import numpy as np

from tokenization.analysis.view import SILENT, View

from .measure import NO_NOTES, Measure, needs_notes, needs_voices, nothing, ratio


def _sounding(view: View) -> np.ndarray:
    """How many voices sound at each onset, `(t,)`."""
    return (view.rows != SILENT).sum(axis=1)


@needs_notes
def voices_sounding(view: View) -> Measure:
    """Mean share of the piece's voices that sound, over its time; what sounds at an onset counts until the
    next.
    """
    lengths = np.diff(np.append(view.times, view.score.end))
    return ratio((_sounding(view) * lengths).sum(), len(view.voices) * lengths.sum(), NO_NOTES)


@needs_notes
def changing_texture(view: View) -> Measure:
    """Standard deviation over the bars of the mean number of voices that sound at their onsets: 0 where the
    texture stays.
    """
    bar = view.bar_of(view.times)
    count = np.bincount(bar)
    full = count > 0
    if full.sum() < 2:
        return nothing("the piece has fewer than two bars with notes")
    mean = np.bincount(bar, weights=_sounding(view))[full] / count[full]
    return Measure(float(mean.std()))


@needs_voices
def struck_together(view: View) -> Measure:
    """Share of the onsets, of those at which two voices or more sound, at which two or more strike."""
    several = _sounding(view) > 1
    together = view.attacks.sum(axis=1) > 1
    return ratio((several & together).sum(), several.sum(), "no two voices ever sound together")


@needs_voices
def outer_distance(view: View) -> Measure:
    """Mean distance in semitones of the highest and the lowest sounding note, over the onsets at which two
    voices or more sound.
    """
    pitches = view.pitches(view.rows)[_sounding(view) > 1]
    if not len(pitches):
        return nothing("no two voices ever sound together")
    lowest = np.where(pitches == SILENT, 128, pitches).min(axis=1)
    return Measure(float((pitches.max(axis=1) - lowest).mean()))
