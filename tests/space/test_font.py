"""The soundfont for the browser: the instruments of the page whole, the others silent."""

from __future__ import annotations

import gzip

import midirenderer
import pytest

from space.audio import INSTRUMENTS, midi_for_synthesis, soundfont
from space.font import browser_font, only
from tokenization import MusicGPTError, midi_bytes


def test_the_page_s_instruments_sound_as_before_in_a_tenth_of_the_size(score):
    small = gzip.decompress(browser_font())
    assert len(small) == len(soundfont())
    assert len(browser_font()) < len(soundfont()) / 10
    for instrument in INSTRUMENTS:
        midi = midi_for_synthesis(midi_bytes(score), instrument)
        assert midirenderer.render_wave_from(small, midi) == midirenderer.render_wave_from(soundfont(), midi)


def test_other_instruments_are_empty(score):
    midi = midi_for_synthesis(midi_bytes(score), "organ")
    sound = midirenderer.render_wave_from(only(soundfont(), [0]), midi)
    assert not any(sound[100:])


def test_what_is_no_soundfont_is_refused():
    with pytest.raises(MusicGPTError, match="no RIFF file"):
        only(b"RIFFxxxxWAVE", [0])
