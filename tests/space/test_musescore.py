"""A composed piece opens in MuseScore with all its notes."""

from __future__ import annotations

import os
import subprocess

from musicgpt import Settings
from space.session import Session
from space.studio import Wish
from tokenization import read_score


def test_musescore_opens_the_musicxml(studio, musescore, tmp_path):
    session = Session()
    *_, view = studio.compose(
        Wish(Settings(key="Eb major", form="prelude", max_new_tokens=120, seed=3)), session
    )
    out = tmp_path / "again.musicxml"
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)}
    subprocess.run(
        [musescore, "-o", str(out), view.files["musicxml"]],
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    # Onsets and pitches; MuseScore may number the voices of a staff otherwise.
    ours, theirs = (
        sorted(score.array[:, [0, 2]].tolist()) for score in (session.current.score, read_score(out))
    )
    assert ours == theirs
