"""Pushing to a fake Hub that records the calls: a real HTTP server, the real client."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants
import pytest

from dataset_builder.build import BuildOptions, build_dataset
from dataset_builder.errors import DatasetError
from dataset_builder.push import push_dataset

from .conftest import make_corpus


class FakeHub(ThreadingHTTPServer):
    """Answers what the client asks when it makes a repository and commits to it; keeps every call."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str, bytes]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def log_message(self, *args) -> None:
        pass

    def _answer(self) -> None:
        body = self._body()
        self.server.calls.append((self.command, self.path, body))
        if self.server.status != 200:
            return self._send({"error": "no"}, self.server.status)
        asked = json.loads(body) if self.path == "/api/repos/create" or "/preupload/" in self.path else {}
        if self.path == "/api/repos/create":
            return self._send({"url": f"{self.server.url}/datasets/{asked['organization']}/{asked['name']}"})
        if "/preupload/" in self.path:
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return self._send({"files": [{"path": file["path"], **modes} for file in asked["files"]]})
        if "/commit/" in self.path:
            address = f"{self.server.url}/datasets/someone/wtc/commit/{'1' * 40}"
            return self._send({"commitUrl": address, "commitOid": "1" * 40, "success": True})
        return self._send({"errors": [], "warnings": []})

    do_GET = do_POST = _answer

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, data: dict, status: int = 200) -> None:
        text = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def is_private(create: dict) -> bool:
    """Whether the call asks for a private repository, in the words of an older or a newer client."""
    return create.get("private") is True or create.get("visibility") == "private"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    server = FakeHub()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    source = (str(make_corpus(folder / "corpus")),)
    build_dataset(BuildOptions(out=folder / "out", source=source, configs=("wtc-plus", "wtc")))
    return folder / "out"


@pytest.mark.parametrize("private", [True, False])
def test_one_repository_and_one_commit_with_all_files(hub, built, private):
    assert (
        push_dataset(built, "someone/wtc", private, endpoint=hub.url, token="hf_test")
        == f"{hub.url}/datasets/someone/wtc"
    )
    create = json.loads(next(body for _, path, body in hub.calls if path == "/api/repos/create"))
    assert (create["name"], create["organization"], create["type"]) == ("wtc", "someone", "dataset")
    assert is_private(create) == private
    commits = [body for _, path, body in hub.calls if "/commit/" in path]
    assert len(commits) == 1
    lines = [json.loads(line) for line in commits[0].splitlines()]
    files = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"])
        for line in lines
        if line["key"] == "file"
    }
    wanted = [
        "README.md",
        "LICENSE.md",
        "report.json",
        *(f"{config}/{split}.parquet" for config in ("wtc-plus", "wtc") for split in ("train", "validation")),
    ]
    assert files == {name: (built / name).read_bytes() for name in wanted}


def test_the_command_pushes_what_it_built(hub, corpus, tmp_path, monkeypatch, capsys):
    from dataset_builder.__main__ import main

    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    places = ["--source", str(corpus), "--out", str(tmp_path / "out"), "--num-proc", "1"]
    assert main([*places, "--push", "someone/wtc", "--private"]) == 0
    assert f"Pushed to {hub.url}/datasets/someone/wtc." in capsys.readouterr().out
    assert is_private(json.loads(next(body for _, path, body in hub.calls if path == "/api/repos/create")))


@pytest.mark.parametrize(
    ("status", "words"), [(401, "the token is missing or wrong"), (403, "may not write there")]
)
def test_a_refusal_is_one_sentence(hub, built, status, words):
    hub.status = status
    with pytest.raises(DatasetError, match=words):
        push_dataset(built, "someone/wtc", endpoint=hub.url, token="hf_test")


def test_other_failures(built, tmp_path, hub, monkeypatch):
    with pytest.raises(DatasetError, match="not the name of a repository"):
        push_dataset(built, "a/b/c", endpoint=hub.url, token="hf_test")
    with pytest.raises(DatasetError, match="holds no built dataset"):
        push_dataset(tmp_path, "someone/wtc", endpoint=hub.url, token="hf_test")
    with pytest.raises(DatasetError, match="could not be reached"):
        push_dataset(built, "someone/wtc", endpoint="http://127.0.0.1:9", token="hf_test")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DatasetError, match="offline mode is on"):
        push_dataset(built, "someone/wtc", endpoint=hub.url, token="hf_test")
