"""The endpoints, called as any program would: by `gradio_client`, with named inputs and outputs."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.error
import urllib.request
import wave
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tokenization import read_score, write_midi, write_musicxml

from .conftest import make_score


@pytest.fixture(scope="module")
def client(server, tmp_path_factory) -> Client:
    """A client that is connected to the server."""
    return Client(server, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


def health(server: str) -> dict:
    """What the server says of itself."""
    with urllib.request.urlopen(f"{server}/health", timeout=60) as answer:
        return json.load(answer)


def ask(server: str, endpoint: str, data: list) -> Any:
    """The stream of events that answers a call, as a program has it that knows nothing of Gradio's client."""
    body = json.dumps({"data": data}).encode()
    request = urllib.request.Request(
        f"{server}/gradio_api/call/{endpoint}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        event = json.load(answer)["event_id"]
    return urllib.request.urlopen(f"{server}/gradio_api/call/{endpoint}/{event}", timeout=60)


def test_an_example_is_read_where_it_lies_and_no_other_file_of_the_server(server, repo_root):
    for path, event in (
        (repo_root / "space" / "examples" / "subject_and_answer_d_minor.mid", b"complete"),
        (next(repo_root.glob("docs/samples/*.mid")), b"error"),
    ):
        with ask(server, "assess", [{"path": str(path), "meta": {"_type": "gradio.FileData"}}]) as answer:
            lines = answer.read().splitlines()
        assert b"event: " + event in lines
        assert (b'"metrics"' in b"".join(lines)) == (event == b"complete")


def test_health_and_an_abandoned_call(server, client):
    client.predict(max_tokens=64, api_name="/compose")  # the model is there
    before = health(server)
    assert before["status"] == "ready"
    assert before["processes"] == 2
    assert before["pieces"] >= 1
    assert before["files_megabytes"] > 0.1
    # As a program does that asks and goes away: the call is begun, then its answer is no longer listened to.
    with ask(
        server,
        "compose",
        ["fugue", "C minor", "any", "4/4", "3", "moderate", "any", 1.0, 0, 0.95, 4000, "", 1, "piano", "mp3"],
    ) as answer:
        assert answer.readline() == b"event: generating\n"
    while (now := health(server))["waiting"]:
        time.sleep(0.1)
    assert now["pieces"] == before["pieces"]


def test_endpoints_have_names_for_what_goes_in_and_comes_out(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    composing = {"/compose", "/continue", "/harmonize", "/revise"}
    assert set(endpoints) == composing | {"/perform", "/assess"}
    inputs = {name: [p["parameter_name"] for p in endpoints[name]["parameters"]] for name in endpoints}
    assert inputs["/compose"][:7] == ["form", "key", "bars", "meter", "voices", "tempo", "mood"]
    assert {"temperature", "top_k", "top_p", "max_tokens", "subject", "seed"} < set(inputs["/compose"])
    assert inputs["/continue"][:2] == ["score", "bars"]
    assert inputs["/harmonize"][:3] == ["melody", "part", "voices"]
    assert inputs["/revise"][:4] == ["score", "first_bar", "last_bar", "voices"]
    assert all(p["parameter_has_default"] for p in endpoints["/compose"]["parameters"])
    for name in composing:
        returns = [r["label"] for r in endpoints[name]["returns"]]
        assert returns == ["midi", "musicxml", "picture", "sound", "facts"]


def test_compose_is_reproducible_and_facts_tell_the_truth(client):
    wish = {"key": "E minor", "voices": "2", "max_tokens": 80, "instrument": "organ", "sound_format": "wav"}
    wish["api_name"] = "/compose"
    midi, musicxml, picture, sound, facts = client.predict(**wish)
    again = client.predict(**wish, seed=facts["seed"])
    assert Path(again[0]).read_bytes() == Path(midi).read_bytes()
    score = read_score(musicxml)
    assert (len(score), str(score.key)) == (facts["notes"], "E minor")
    assert facts["settings"]["seed"] == facts["seed"]
    assert f"seed-{facts['seed']}" in Path(midi).name
    assert Path(picture).read_bytes()[:4] == b"\x89PNG"
    with wave.open(sound) as file:
        assert any(file.readframes(file.getnframes()))


def test_prompt_is_continued_and_every_client_gets_its_own(server, client, tmp_path):
    given = make_score(bars=3, key="C minor")
    write_midi(given, tmp_path / "own.mid")
    results: dict[int, tuple] = {}

    def call(seed: int) -> None:
        own = client if seed == 1 else Client(server, verbose=False, download_files=str(tmp_path / "second"))
        prompt = (
            {"score": handle_file(tmp_path / "own.mid"), "bars": 2, "api_name": "/continue"}
            if seed == 1
            else {"key": "G major", "api_name": "/compose"}
        )
        results[seed] = own.predict(**prompt, seed=seed, max_tokens=80)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    facts = results[1][4]
    assert facts["given_notes"] == len(given.first_bars(2))
    assert facts["key"] == "C minor"
    assert read_score(results[1][1]).first_bars(2).array.tolist() == given.first_bars(2).array.tolist()
    assert (results[2][4]["key"], results[2][4]["given_notes"], results[2][4]["seed"]) == ("G major", 0, 2)


def test_a_subject_a_melody_and_the_bars_around_stay(client, tmp_path):
    subject = "C5/8 B4/16 C5/16 G4/8 Ab4/8 C5/8 B4/16 C5/16 D5/4"
    common = {"seed": 3, "instrument": "organ"}
    *_, facts = client.predict(subject=subject, max_tokens=240, **common, api_name="/compose")
    assert facts["given_notes"] == 9
    melody = {"melody": "C5/4 D5/4 Eb5/4 D5/4 C5/1", "part": "soprano", "voices": "4", "key": "C minor"}
    _, musicxml, *_ = client.predict(**melody, **common, api_name="/harmonize")
    harmonized = read_score(musicxml)
    top = harmonized.array[harmonized.array[:, 3] == 0]
    assert top[:, 2].tolist() == [72, 74, 75, 74, 72]
    assert harmonized.num_voices == 4
    score = make_score()
    write_musicxml(score, tmp_path / "own.musicxml")
    _, musicxml, *_, facts = client.predict(
        handle_file(tmp_path / "own.musicxml"), 2, 3, "1,2", **common, api_name="/revise"
    )
    before, after = (set(map(tuple, s.array.tolist())) for s in (score, read_score(musicxml)))
    assert before ^ after
    assert all(96 <= onset < 288 and voice < 2 for onset, _, _, voice in before ^ after)


@pytest.mark.parametrize(
    "endpoint, data, says",
    [
        ("compose", ["sonata", *["any"] * 6, 1.0, 0, 0.95, 80, "", 1, "piano", "mp3"], "sonata is not in"),
        ("compose", ["fugue", *["any"] * 6, 1.0, 0, 0.95, 80, "H5", 1, "piano", "mp3"], "H5.* is no note"),
        ("compose", ["fugue"], "enough input"),
        ("revise", [None, 1, 2, "", 1.0, 0, 0.95, 1, "piano", "mp3"], "No file was given"),
        ("continue", [None, 4, "any", 1.0, 0, 0.95, 80, 1, "piano", "mp3"], "No file was given"),
        ("harmonize", ["", "soprano", *["any"] * 4, 1.0, 0, 0.95, None, 1, "piano", "mp3"], "no notes yet"),
        ("assess", [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], "."),
    ],
)
def test_every_error_has_a_text(server, endpoint, data, says):
    with ask(server, endpoint, data) as answer:
        events = answer.read().decode().split("\n\n")
    error = next(event for event in events if event.startswith("event: error"))
    text = json.loads(error.split("data: ", 1)[1])["error"]
    assert text
    assert re.search(says, text)


def test_perform_and_assess(client, tmp_path):
    score = make_score(bars=2)
    write_midi(score, tmp_path / "own.mid")
    midi, musicxml, _, sound = client.predict(
        handle_file(tmp_path / "own.mid"), "harpsichord", "mp3", api_name="/perform"
    )
    assert read_score(midi).array.tolist() == read_score(musicxml).array.tolist() == score.array.tolist()
    assert Path(sound).stat().st_size > 10_000
    figures = client.predict(handle_file(tmp_path / "own.mid"), api_name="/assess")
    assert {"value", "nearest", "metrics"} <= set(figures)


@pytest.mark.parametrize(
    "name, data, says",
    [
        ("bad.mid", b"MThd nonsense", "cannot be used"),
        ("bad.txt", b"hello", "file type|no score|Invalid"),
        ("big.mid", b"\0" * 3_000_000, "size|MB"),
    ],
)
def test_bad_files_are_refused_in_words(client, tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Exception, match=says) as error:
        client.predict(handle_file(tmp_path / name), api_name="/assess")
    assert "Traceback" not in str(error.value)


def test_uploads_of_one_visitor_have_a_quota(server):
    header = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.mid"\r\n\r\n'

    def send(visitor: str, parts: int, size: int = 1_900_000) -> int:
        part = header + b"\0" * size + b"\r\n"
        head = {"Content-Type": "multipart/form-data; boundary=b", "X-Forwarded-For": visitor}
        request = urllib.request.Request(f"{server}/gradio_api/upload", part * parts + b"--b--\r\n", head)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status

    assert send("10.9.9.9", 1) == 200
    with pytest.raises(OSError):  # the connection is ended in the midst of it
        send("10.9.9.9", 40)
    with pytest.raises(urllib.error.HTTPError, match="429"):
        send("10.9.9.9", 1, size=10)  # small: it is sent whole before the refusal comes
    assert send("10.9.9.8", 1) == 200


@pytest.mark.parametrize(
    "wrong", [{"key": "H major"}, {"max_tokens": 10**6}, {"temperature": 99}, {"instrument": "kazoo"}]
)
def test_values_out_of_range_are_refused(client, wrong):
    with pytest.raises((AppError, ValueError)):
        client.predict(**wrong, api_name="/compose")
