"""Changes to a piece, a visitor's own music, pieces that a browser keeps, and addresses: without a page or a model."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from musicgpt import Settings
from space.changes import edited, locked, revision
from space.controls import query_of, settings_from, values_from_query
from space.keep import KEPT, as_kept, from_kept, kept_takes, restored
from space.own import read_own, wish_with_own
from space.session import Candidate, Session, Take
from space.studio import Wish
from tokenization import MusicGPTError


@pytest.fixture
def session(score) -> Session:
    """A session with one piece on the page, of which the first four notes were given."""
    return Session(takes=[Take([Candidate(score, "piece", num_prompt_notes=4, seed=3)])])


def asked(session: Session, **more) -> dict:
    """What the browser sends of its piece."""
    return {"take": session.current.take, **more}


def test_an_edited_piece_keeps_what_was_given_and_what_was_touched(session, score):
    notes = score.array.tolist()
    moved = [*notes[:-1], [notes[-1][0], 48, 50, notes[-1][3]]]
    piece = edited(session, asked(session, notes=moved))
    assert piece.kin == session.current.take
    assert piece.locked == {*map(tuple, notes[:4]), tuple(moved[-1])}
    session.add(Take([piece]))
    # Without a note that was given it is no longer locked.
    assert edited(session, asked(session, notes=moved[1:])).locked == piece.locked - {tuple(notes[0])}
    assert session.undo()
    assert session.redo()
    assert session.current is piece


@pytest.mark.parametrize(
    "data, says",
    [
        ({"take": "other", "notes": [[0, 24, 60, 0]]}, "another one"),
        ({"notes": []}, "1 to 6000 notes"),
        ({"notes": "abc"}, "1 to 6000 notes"),
        ({"notes": [[0, 24, 60, 9]]}, "voice 9"),
        ({"notes": [[0, 24, 60]]}, "rows of"),
        ({"notes": [[0.5, 24, 60, 0]]}, "whole numbers"),
    ],
)
def test_what_is_no_piece_is_refused(session, data, says):
    with pytest.raises(MusicGPTError, match=says):
        edited(session, asked(session) | data)


def test_selected_notes_are_locked_and_free_again_and_stay_when_bars_are_composed_anew(session, score):
    selection = {"bars": [2, 3], "voices": [1]}
    piece = locked(session, asked(session, **selection))
    inside = {n for n in map(tuple, score.array.tolist()) if 96 <= n[0] < 288 and n[3] == 1}
    assert inside
    assert piece.locked == inside | set(map(tuple, score.array[:4].tolist()))
    session.takes[-1].candidates[0] = piece
    with pytest.raises(MusicGPTError, match="set it free"):
        revision(Wish(Settings()), session, asked(session, **selection))
    wish = revision(
        Wish(Settings(key="D major", voices=5)), session, asked(session, bars=[2, 3], voices=[0, 1])
    )
    kept = set(map(tuple, wish.given.score.array.tolist()))
    gone = set(map(tuple, score.array.tolist())) - kept
    assert gone == {n for n in map(tuple, score.array.tolist()) if 96 <= n[0] < 288 and n[3] == 0}
    assert wish.given.regions == ((96, 288, (0, 1)),)
    assert (wish.settings.key, wish.settings.voices, wish.kin) == (None, None, piece.take)
    assert locked(session, asked(session, **selection)).locked == piece.locked - inside


@pytest.mark.parametrize(
    "bars, voices", [([0, 1], [0]), ([3, 2], [0]), ([1, 99], [0]), ([1], [0]), ([1, 2], [7])]
)
def test_a_selection_that_is_not_there_is_refused(session, bars, voices):
    with pytest.raises(MusicGPTError):
        revision(Wish(Settings()), session, asked(session, bars=bars, voices=voices))


def test_the_browser_keeps_the_last_pieces_and_may_send_anything_back(score):
    takes = [Take([Candidate(score, f"p{k}", seed=k, link=f"seed={k}")]) for k in range(KEPT + 2)]
    session = Session(takes=[Take([Candidate(score, "shipped")], shipped=True), *takes])
    kept = json.loads(json.dumps(kept_takes(session)))
    back = [take.candidate for take in restored(kept)]
    assert [(c.score, c.stem, c.seed, c.link) for c in back] == [
        (t.candidate.score, t.candidate.stem, t.candidate.seed, t.candidate.link) for t in takes[-KEPT:]
    ]
    good = as_kept(Candidate(score, "../../etc/passwd"))
    assert from_kept(good).stem == "etcpasswd"
    for nonsense in (None, 7, "x", [3], [{}], [{**good, "seed": "x"}], [{**good, "score": {"notes": 1}}]):
        assert restored(nonsense) == []
    assert len(restored([*kept, None])) == KEPT - 1


def test_only_what_was_uploaded_can_be_read(tmp_path, repo_root):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "own.mid").write_bytes(b"")
    read = []
    studio = SimpleNamespace(folders=SimpleNamespace(uploads=uploads), read_upload=read.append)
    read_own(studio, {"path": str(uploads / "own.mid")})
    assert read == [str(uploads / "own.mid")]
    example = repo_root / "space" / "examples" / "subject_and_answer_d_minor.mid"
    (uploads / "link.mid").symlink_to(example)
    for path in (str(example), str(uploads / ".." / "x.mid"), str(uploads / "link.mid"), "", None):
        with pytest.raises(MusicGPTError, match="choose it again"):
            read_own(studio, {"path": path})


def test_own_music_is_given_and_stays():
    wish = Wish(Settings(key="C minor", meter="3/4", voices=3, form="prelude"))
    text = {"text": "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/4"}
    fugue = wish_with_own(None, wish, {"what": "fugue", **text})
    assert fugue.given.is_subject
    assert len(fugue.given.score) == 6
    assert fugue.settings.form is None
    bass = wish_with_own(None, wish, {"what": "harmonise", "part": "bass", **text})
    assert set(bass.given.score.array[:, 3]) == {2}
    on = wish_with_own(None, wish, {"what": "continue", "bars": 1, **text})
    assert (on.prompt.meters[0].name, on.prompt_bars) == ("3/4", 1)
    for data in (
        {"what": "opera", **text},
        {"what": "fugue", "text": ""},
        {"what": "fugue", "text": "H5/8"},
        {"what": "fugue", "text": "C5 " * 2000},
        {"what": "harmonise", "part": "kazoo", **text},
        None,
    ):
        with pytest.raises(MusicGPTError):
            wish_with_own(None, wish, data)


def test_an_address_says_the_settings():
    values = {"key": "Eb major", "form": "any", "meter": "3/4", "voices": "4", "tempo": "fast", "mood": "any"}
    values |= {"temperature": 1.15, "top_k": 0, "top_p": 0.95, "max_tokens": 400}
    query = query_of(values) + "&seed=7&__theme=dark"
    assert "any" not in query
    assert settings_from(**values_from_query(query)) == settings_from(**values, seed=7)
    with pytest.raises(MusicGPTError, match="seed must be a number"):
        values_from_query("?seed=x")
