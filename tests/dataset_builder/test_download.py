"""Fetching the files of a manifest from a local server with every fault that a network has."""

from __future__ import annotations

import csv
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from dataset_builder import build_dataset
from dataset_builder.build import BuildOptions
from dataset_builder.errors import DatasetError, DownloadError, PieceError
from dataset_builder.sources import download, open_source
from dataset_builder.sources.download import MANIFEST, fetch, read_manifest

REPOSITORY, COMMIT = "someone/scores", "c0ffee" + 34 * "0"


class FaultyServer(ThreadingHTTPServer):
    """Serves `files`; `faults[path]` is a list of what goes wrong with the next requests for it, one each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(self.path)
        span = self.headers.get("Range")
        self.server.requests.append((path, span))
        waiting = self.server.faults.get(path, [])
        fault = waiting.pop(0) if waiting else ""
        data = self.server.files.get(path)
        if fault.isdigit() or data is None:
            return self.send_error(int(fault or 404))
        if fault == "changed":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault == "cut":  # whole for all that the headers say
            data = data[: len(data) // 2]
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if fault == "dropped":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        self.wfile.write(body)
        return None


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.0)
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def manifest(server, tmp_path, new_score) -> Path:
    """Three MusicXML files on the server and the manifest that names them."""
    from tokenization import musicxml_text

    path = tmp_path / "manifest.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["id", "tonic", "mode", "source", "repository", "commit", "path", "sha256", "licence", "encoder"]
        )
        for seed, (name, tonic) in enumerate((("wtc1p01", "C"), ("wtc1p11", "F"), ("wtc1p09", "E"))):
            data = musicxml_text(
                new_score(seed, {"C": 0, "F": 5, "E": 4}[tonic]).replace(key=f"{tonic} major")
            ).encode()
            where = f"Bach,_J. S./{name}/score.musicxml"
            server.files[f"/{REPOSITORY}/{COMMIT}/{where}"] = data
            writer.writerow(
                [
                    name,
                    tonic,
                    "major",
                    "test",
                    REPOSITORY,
                    COMMIT,
                    where,
                    hashlib.sha256(data).hexdigest(),
                    "CC0",
                    "nobody",
                ]
            )
    return path


def address(server, number: int) -> str:
    return list(server.files)[number]


def open_all(server, manifest: Path, folder: Path):
    return open_source("download", manifest=str(manifest), base_url=server.url, download_dir=str(folder))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_build_from_fetched_files(server, manifest, tmp_path):
    options = BuildOptions(
        out=tmp_path / "out", source=("download",), configs=("wtc",), manifest=str(manifest), base_url=server.url,
        download_dir=str(tmp_path / "files"), strict=True,
    )  # fmt: skip
    report = build_dataset(options).reports["wtc"]
    assert {piece["id"]: piece["split"] for piece in report["pieces"]} == {
        "wtc1p01": "train",
        "wtc1p11": "validation",
        "wtc1p09": "test",
    }
    assert report["sources"]["test"]["licences"] == {"CC0": 3}
    assert len(server.requests) == 3
    # Everything is in the cache now: no request, no work.
    assert build_dataset(options).up_to_date
    assert len(server.requests) == 3


@pytest.mark.parametrize("ranges", [True, False])
def test_a_dropped_connection_is_taken_up_again(server, manifest, tmp_path, ranges):
    server.ranges = ranges
    path = address(server, 0)
    server.faults[path] = ["dropped", "dropped"]
    collection = open_all(server, manifest, tmp_path / "files")
    assert (len(collection.pieces), collection.unavailable) == (3, [])
    assert collection.pieces[0].path.read_bytes() == server.files[path]
    asked = [span for where, span in server.requests if where == path]
    half = len(server.files[path]) // 2
    assert asked[0] is None
    assert asked[1] == f"bytes={half}-"
    assert len(asked) == 3


@pytest.mark.parametrize("fault", ["changed", "cut", "503", "429"])
def test_a_passing_fault_is_tried_again(server, manifest, tmp_path, fault):
    server.faults[address(server, 1)] = [fault]
    assert len(open_all(server, manifest, tmp_path / "files").pieces) == 3
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("fault", "requests", "words"),
    [
        ("changed", 4, "its SHA-256 is"),
        ("cut", 4, "its SHA-256 is"),
        ("dropped", 4, "the connection failed"),
        ("500", 4, "the server answered 500"),
        ("404", 1, "the server answered 404"),
        ("403", 1, "the server answered 403"),
    ],
)
def test_after_a_lasting_fault_nothing_half_written_stays(server, manifest, tmp_path, fault, requests, words):
    path = address(server, 2)
    server.faults[path] = [fault] * 20
    folder = tmp_path / "files"
    collection = open_all(server, manifest, folder)
    assert [piece.id for piece in collection.pieces] == ["wtc1p01", "wtc1p11"]
    ((name, reason),) = collection.unavailable
    assert name == "wtc1p09"
    assert words in reason
    assert f"after {requests} attempt" in reason
    assert sum(where == path for where, _ in server.requests) == requests
    assert names(folder) == {piece.path.name for piece in collection.pieces}
    # The next time only the missing one is asked for.
    server.faults.clear()
    server.requests.clear()
    assert len(open_all(server, manifest, folder).pieces) == 3
    assert [where for where, _ in server.requests] == [path]


def test_a_spoilt_file_in_the_cache_is_fetched_again(server, manifest, tmp_path):
    first = open_all(server, manifest, tmp_path / "files").pieces[0].path
    first.write_bytes(first.read_bytes()[:100])
    assert (
        open_all(server, manifest, tmp_path / "files").pieces[0].path.read_bytes() == server.files[address(server, 0)]
    )


def test_missing_files_are_reported_and_strict_stops(server, manifest, tmp_path):
    server.faults[address(server, 1)] = ["404"] * 9
    options = {"out": tmp_path / "out", "source": ("download",), "manifest": str(manifest), "base_url": server.url}
    report = build_dataset(BuildOptions(**options, download_dir=str(tmp_path / "a"))).reports["wtc-plus"]
    assert [entry["id"] for entry in report["skipped"]] == ["wtc1p11"]
    with pytest.raises(PieceError, match=r"wtc1p11 cannot be used: .* 404"):
        build_dataset(BuildOptions(**options, download_dir=str(tmp_path / "b"), strict=True))


def test_nothing_there_at_all(manifest, tmp_path, server):
    server.files.clear()
    with pytest.raises(DownloadError, match="None of the 3 files of the manifest could be fetched"):
        open_all(server, manifest, tmp_path / "files")
    assert names(tmp_path / "files") == set()


def test_an_endless_file_is_given_up(server, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="larger than"):
        fetch(read_manifest(manifest)[0], server.url, tmp_path, attempts=1)
    assert names(tmp_path) == {"manifest.csv"}


def test_bad_manifests_and_addresses(tmp_path, server):
    bad = tmp_path / "bad.csv"
    bad.write_text("id,path\nx,y\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="lacks the column repository, commit, sha256, licence"):
        read_manifest(bad)
    bad.write_text("id,repository,commit,path,sha256,licence\nx,a/b,c,d,123,CC0\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="which is none"):
        read_manifest(bad)
    with pytest.raises(DatasetError, match="must begin with http"):
        open_source("download", base_url="file:///etc", download_dir=str(tmp_path / "files"))


def test_the_built_in_manifest():
    entries = read_manifest(MANIFEST)
    assert [entry.piece["id"] for entry in entries] == [f"wtc1p{n:02}" for n in range(1, 25)]
    assert len({entry.sha256 for entry in entries}) == 24
    assert entries[8].piece["split"] == "test"
    assert entries[0].url("https://example.org/").startswith("https://example.org/MarkGotham/When-in-Rome/59dd9c8")
    assert " " not in entries[0].url("https://example.org") and "," not in entries[0].url("https://example.org")
