"""From a wish to a finished piece, without a page: growth, files, stopping, candidates, continuing, several
visitors.
"""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import ExitStack
from pathlib import Path

import gradio as gr
import pytest

from musicgpt import Settings
from musicgpt.given import Given, parse_melody
from musicgpt.printing import can_print
from musicgpt.prompts import NoNewNote
from space import rendering, sampling
from space.api import Api
from space.own import own_wish
from space.session import Session
from space.studio import Studio, Wish, describe
from space.words import translated
from tokenization import MusicGPTError, Score, read_score, write_midi
from tokenization.guarded import Limits, MemoryLimitError
from tokenization.heading import subtitle_of

FILES = {"mid", "mp3", "musicxml", "png"} | ({"pdf"} if can_print() else set())
SETTINGS = Settings(key="D minor", form="fugue", voices=3, tempo="moderate", max_new_tokens=80, seed=5)


def compose(studio: Studio, session: Session, settings: Settings = SETTINGS, **wish):
    """All views of one take."""
    return list(studio.compose(Wish(settings, **wish), session))


def alone(seed: int):
    """The piece that a seed makes without a Space."""
    [piece] = sampling._composer.compose(SETTINGS.with_seed(seed))
    return piece.score


def test_the_roll_grows_and_all_files_hold_the_same_piece(studio):
    session = Session()
    views = compose(studio, session)
    states = [view.roll["state"] for view in views]
    assert states == sorted(states, key=["waiting", "running", "finishing", "done"].index)
    assert set(states) == {"waiting", "running", "finishing", "done"}
    growing = [view.roll["notes"] for view in views if view.roll["state"] == "running"]
    assert all(len(a) <= len(b) for a, b in zip(growing, growing[1:], strict=False))
    assert sorted(growing[-1]) == sorted(session.current.score.array.tolist())
    final = views[-1]
    assert set(final.files) == FILES
    for path in map(Path, final.files.values()):
        assert path.stat().st_size > 200
        assert "d-minor" in path.name
        assert "seed-5" in path.name
    score = session.current.score
    assert len(read_score(final.files["musicxml"])) == len(score)
    assert final.figures["metrics"]
    assert len(final.engraving["pages"]) >= 1
    assert not final.busy


def test_a_seed_gives_the_same_piece_alone_and_among_candidates(studio):
    many = Session()
    compose(studio, many, candidates=3)
    candidates = many.takes[-1].candidates
    assert [candidate.seed for candidate in candidates] == [5, 6, 7]
    assert [candidate.score for candidate in candidates] == [alone(seed) for seed in (5, 6, 7)]
    assert len({candidate.stem for candidate in candidates}) == 3
    many.takes[-1].chosen = 1
    many.instrument = "organ"
    *_, view = studio.finish(many, "wide")
    assert "organ" in view.files["mp3"]
    assert "seed-6" in view.files["mid"]


def test_stop_keeps_what_is_there_as_a_whole_piece(studio):
    session, last = Session(), None
    for view in studio.compose(Wish(Settings(max_new_tokens=2000, seed=1)), session):
        if view.roll["state"] == "running" and len(view.roll["notes"]) >= 3:
            session.stop()
        last = view
    assert session.current.ended == "you"
    assert 3 <= len(session.current.score) < 400
    assert set(last.files) == FILES
    assert "stopped by you" in last.roll["message"]


def test_stop_while_waiting_leaves_the_queue_and_the_old_piece(studio):
    session = Session()
    compose(studio, session)
    before = session.current
    with studio.turns.waiting() as in_front:
        assert in_front(5) == 0
        views = studio.compose(Wish(SETTINGS), session)
        next(views)
        assert "in front of you" in next(views).roll["message"]
        session.stop()
        with pytest.raises(MusicGPTError, match="before the first note"):
            list(views)
    assert session.current is before
    assert not session.running
    assert len(studio.turns) == 0


def test_what_is_no_longer_on_the_page_is_not_shown_when_it_is_written(studio):
    session = Session()
    views = studio.compose(Wish(SETTINGS), session)
    while next(views).roll["state"] != "finishing":
        pass
    session.instrument = "organ"  # chosen while the sound is written for the piano
    assert list(views) == []
    session.instrument = "piano"
    session.current.made.clear()
    views = studio.finish(session, "wide")
    assert next(views).busy
    session.running = True  # and something else is being composed
    assert list(views) == []
    assert set(session.current.made) >= {"mid", "figures", ("mp3", "piano")}, "it is kept for later"


def test_the_sound_is_of_the_instrument_that_was_chosen_last(studio):
    session = Session()
    for view in studio.compose(Wish(SETTINGS), session):
        if view.roll["state"] == "running":
            session.instrument = "organ"
    assert view.files["mp3"].endswith("organ.mp3")


def test_a_subject_that_fills_the_piece_is_told_of(studio):
    settings = Settings(key="D minor", voices=3, max_new_tokens=480, seed=1)
    given = Given.subject(parse_melody("C5/1 " * 60, "4/4").replace(key="D minor"), 3)
    with pytest.raises(MusicGPTError, match="found room"):
        compose(studio, Session(), settings, given=given)


def test_a_candidate_without_a_note_does_not_take_the_others_with_it(studio, monkeypatch):
    whole = Studio._compose_one

    def all_but(empty):
        def compose_one(self, wish, stop, label):
            if wish.settings.seed in empty:
                raise NoNewNote("The model ended the piece.")
            return (yield from whole(self, wish, stop, label))

        monkeypatch.setattr(Studio, "_compose_one", compose_one)

    session = Session()
    all_but({4})
    for _ in studio.compose(Wish(SETTINGS.with_seed(3), candidates=3), session):
        pass
    assert [candidate.seed for candidate in session.takes[-1].candidates] == [3, 5]
    all_but({3, 4})
    with pytest.raises(NoNewNote):
        list(studio.compose(Wish(SETTINGS.with_seed(3), candidates=2), session))


def test_visitors_at_once_get_their_own_pieces(studio):
    sessions = {seed: Session() for seed in (11, 12, 13)}
    threads = [
        threading.Thread(target=compose, args=(studio, s, SETTINGS.with_seed(seed)))
        for seed, s in sessions.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    folders = {Path(session.current.made["mid"]).parent for session in sessions.values()}
    assert len(folders) == 3
    for seed, session in sessions.items():
        assert session.current.score == alone(seed)


def test_files_are_made_outside_the_models_turn(studio, monkeypatch):
    waiting, run = [], studio.workers.run
    monkeypatch.setattr(
        studio.workers, "run", lambda *a, **k: waiting.append(len(studio.turns)) or run(*a, **k)
    )
    compose(studio, Session())
    assert waiting == [0] * (4 if can_print() else 3)  # paper, print, sound, figures


def test_continuing_keeps_every_given_note(studio, repo_root):
    session = Session()
    compose(studio, session)
    given = session.current
    studio_wish = studio.with_current(Wish(SETTINGS.with_seed(8)), session)
    list(studio.compose(studio_wish, session))
    kept = given.score.first_bars(studio_wish.prompt_bars).array
    current = session.current
    assert current.num_prompt_notes == len(kept)
    assert current.score.array[: len(kept)].tolist() == kept.tolist()
    assert len(current.score) > len(kept)
    says = f"continues {len(kept)} given notes"
    assert says in describe(current) and says in subtitle_of(current.score)
    assert f"continúa {len(kept)} notas dadas" in translated(describe(current), "es")
    assert "given notes" not in describe(given)
    assert session.undo()
    assert session.current is given
    upload = str(repo_root / "space" / "examples" / "subject_and_answer_d_minor.mid")
    asked = Wish(Settings(key="F major", meter="3/4", max_new_tokens=80, seed=2))
    wish = own_wish(asked, "continue", score=studio.read_upload(upload), bars=2)
    *_, view = studio.compose(wish, session)
    assert (str(session.current.score.key), session.current.score.meters[0].name) == ("D minor", "4/4")
    assert view.roll["prompt"] == session.current.num_prompt_notes == len(wish.prompt.first_bars(2))


def test_other_processes_get_plain_strings(studio, repo_root):
    # Gradio hands over a str of its own kind; sent to another process it would make that process import
    # Gradio.
    class Name(str):
        __slots__ = ()

    path = Name(repo_root / "space" / "examples" / "subject_and_answer_d_minor.mid")
    assert len(studio.read_upload(path)) == 36


def test_swept_files_are_made_again(studio):
    session = Session()
    first = compose(studio, session)[-1]
    for path in first.files.values():
        Path(path).unlink()
    Path(first.files["mid"]).parent.rmdir()
    *_, view = studio.finish(session, "wide")
    assert all(Path(path).is_file() for path in view.files.values())
    assert view.files["mid"] != first.files["mid"]


@pytest.mark.parametrize(
    "name, data, says",
    [
        ("notes.txt", b"hello", "notes.txt is no score"),
        ("broken.mid", b"MThd nonsense", "broken.mid cannot be used"),
        ("empty.musicxml", b"", "empty"),
        ("wrong.xml", b"<html><body/></html>", "wrong.xml cannot be used"),
        ("bomb.mxl", b"PK\x03\x04" + b"\x00" * 64, "bomb.mxl cannot be used"),
        ("large.mid", b"MThd" + b"\x00" * 3_000_000, "at most 2 MB"),
    ],
)
def test_a_bad_file_gives_one_friendly_sentence(studio, tmp_path, name, data, says):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MusicGPTError, match=says) as error:
        studio.read_upload(str(path))
    text = str(error.value)
    assert str(tmp_path) not in text
    assert "\n" not in text
    assert len(text) < 300


def test_an_upload_has_limits_of_its_own(studio, tmp_path, monkeypatch):
    meters = b"\1\xff\x58\4\3\2\x18\x08" * 200_000
    path = tmp_path / "meters.mid"
    path.write_bytes(b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk" + len(meters).to_bytes(4, "big") + meters)
    with pytest.raises(MusicGPTError, match="no notes"):
        studio.read_upload(str(path))
    # The readers let nothing in that comes near the limits that hold; so they are set below what this file
    # takes. In a fresh process: one that has read the file once may have kept the memory that it needs again.
    for process in multiprocessing.active_children():
        process.kill()
    monkeypatch.setattr(rendering, "UPLOAD_LIMITS", Limits(megabytes=4))
    with pytest.raises(MemoryLimitError, match="more than 4 MB"):
        studio.read_upload(str(path))


ASKED = ("fugue", "D minor", "any", "4/4", "3", "moderate", "any", 1.0, 0, 0.95, 4000, "", 5)


def test_the_server_survives_the_death_of_all_its_processes(studio):
    session = Session()
    for process in multiprocessing.active_children():
        process.kill()
    view = compose(studio, session)[-1]
    assert set(view.files) == FILES
    assert view.figures["metrics"]


def test_a_call_that_is_abandoned_stops_and_leaves_nothing(studio):
    pieces, folders = studio.pieces, set(studio.folders.root.iterdir())
    call = Api(studio).compose(*ASKED)
    next(call)
    assert len(studio.turns) == 1
    call.close()
    assert len(studio.turns) == 0
    assert studio.pieces == pieces
    assert set(studio.folders.root.iterdir()) == folders


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), MusicGPTError("")])
def test_no_failure_is_without_a_message(studio, monkeypatch, caplog, error):
    def fail(*arguments, **limits):
        raise error

    monkeypatch.setattr(studio.workers, "run", fail)
    with pytest.raises(gr.Error, match=rf"Something went wrong on the server \({type(error).__name__}\)"):
        list(Api(studio).compose(*ASKED[:10], 40))
    assert "in fail" in caplog.text  # the place is in the server's log


def test_calls_of_one_visitor_are_counted(studio):
    with ExitStack() as stack:
        for _ in range(studio.calls.most_each):
            stack.enter_context(studio.calls.of(""))
        for call in (
            lambda: list(Api(studio).compose(*ASKED)),
            lambda: list(Api(studio).perform("a.mid", "piano", "mp3")),
            lambda: Api(studio).assess("a.mid"),
        ):
            with pytest.raises(gr.Error, match="of your calls"):
                call()


def test_a_long_wav_is_refused_before_it_is_made(studio, tmp_path):
    write_midi(Score([(0, 24, 60, 0), (24 * 13 * 40, 24, 62, 0)], tempo=40), tmp_path / "long.mid")
    with pytest.raises(gr.Error, match=r"13 minutes; as WAV at most 6 .* ask for mp3"):
        list(Api(studio).perform(str(tmp_path / "long.mid"), "piano", "wav"))


def test_wrong_wishes_are_refused(studio):
    with pytest.raises(MusicGPTError, match="1 to 4"):
        compose(studio, Session(), candidates=9)
    with pytest.raises(MusicGPTError, match="no piece"):
        studio.with_current(Wish(SETTINGS), Session())
