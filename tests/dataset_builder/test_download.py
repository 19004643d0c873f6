"""Fetching the files of a manifest from a local server with every fault that a network has."""

from __future__ import annotations

import csv
import hashlib
import re
import threading
from pathlib import Path

import pytest

from dataset_builder import build_dataset
from dataset_builder.build import BuildOptions
from dataset_builder.errors import DatasetError, DownloadError, PieceError
from dataset_builder.sources import download, fetching, open_source
from dataset_builder.sources.download import MANIFEST, read_manifest

from .lying_server import LIES, LyingServer

REPOSITORY, COMMIT = "someone/scores", "c0ffee" + 34 * "0"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.0)
    server = LyingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


PIECES = (("wtc1p01", "C", 0), ("wtc1p11", "F", 5), ("wtc1p09", "E", 4))


@pytest.fixture(scope="module")
def scores(new_score) -> list[bytes]:
    """A MusicXML file for each of `PIECES`."""
    from tokenization import musicxml_text

    made = [
        new_score(seed, root).replace(key=f"{tonic} major") for seed, (_, tonic, root) in enumerate(PIECES)
    ]
    return [musicxml_text(score).encode() for score in made]


@pytest.fixture
def manifest(server, tmp_path, scores) -> Path:
    """Three MusicXML files on the server and the manifest that names them."""
    path = tmp_path / "manifest.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["id", "tonic", "mode", "source", "repository", "commit", "path", "sha256", "licence", "encoder"]
        )
        for (name, tonic, _), data in zip(PIECES, scores, strict=True):
            where = f"Bach,_J. S./{name}/score.musicxml"
            server.files[f"/{REPOSITORY}/{COMMIT}/{where}"] = data
            digest = hashlib.sha256(data).hexdigest()
            writer.writerow(
                (name, tonic, "major", "test", REPOSITORY, COMMIT, where, digest, "CC0", "nobody")
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
        out=tmp_path / "out",
        source=("download",),
        configs=("wtc",),
        manifest=str(manifest),
        base_url=server.url,
        download_dir=str(tmp_path / "files"),
        strict=True,
    )
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
    again = open_all(server, manifest, tmp_path / "files").pieces[0].path
    assert again.read_bytes() == server.files[address(server, 0)]


def test_missing_files_are_reported_and_strict_stops(server, manifest, tmp_path):
    server.faults[address(server, 1)] = ["404"] * 9
    options = {"out": tmp_path / "out", "source": ("download",), "manifest": str(manifest)}
    options["base_url"] = server.url
    report = build_dataset(BuildOptions(**options, download_dir=str(tmp_path / "a"))).reports["wtc-plus"]
    assert [entry["id"] for entry in report["skipped"]] == ["wtc1p11"]
    with pytest.raises(PieceError, match=r"wtc1p11 cannot be used: .* 404"):
        build_dataset(BuildOptions(**options, download_dir=str(tmp_path / "b"), strict=True))


def test_nothing_there_at_all(manifest, tmp_path, server):
    server.files.clear()
    with pytest.raises(DownloadError, match="None of the 3 files of the manifest could be fetched"):
        open_all(server, manifest, tmp_path / "files")
    assert names(tmp_path / "files") == set()


@pytest.mark.parametrize(
    ("fault", "asked_anew"), [("416", "whole"), ("another part", "whole"), ("reset", "part")]
)
def test_taking_up_again_may_go_wrong_too(server, manifest, tmp_path, fault, asked_anew):
    path = address(server, 0)
    server.faults[path] = ["dropped", fault]
    collection = open_all(server, manifest, tmp_path / "files")
    assert collection.pieces[0].path.read_bytes() == server.files[path]
    spans = [span for where, span in server.requests if where == path]
    assert len(spans) == 3 and (spans[2] is None) == (asked_anew == "whole")


@pytest.fixture
def impatient(monkeypatch):
    """`impatient(attempts)`: deadlines of parts of a second from then on, so that no test waits for the real ones."""

    def begin(attempts: int) -> None:
        monkeypatch.setattr(fetching, "ATTEMPTS", attempts)
        monkeypatch.setattr(fetching, "ATTEMPT_SECONDS", 0.4)
        monkeypatch.setattr(fetching, "SILENCE_SECONDS", 0.2)

    return begin


# What a second attempt cannot better, and why it is given up.
FINAL = {
    "redirects to itself": "in a circle",
    "redirects on and on": "more than 5 times",
    "redirects without an address": "answered 302",
    "says that nothing has changed": "answered 304",
    "sends no end": "larger than 8 MB",
    "sends chunks without an end": "larger than 8 MB",
}
PASSING = [lie for lie in LIES if lie not in FINAL]


@pytest.mark.parametrize("lie", PASSING)
def test_after_a_lie_the_truth_is_taken(server, manifest, tmp_path, impatient, lie):
    entry, path = read_manifest(manifest)[0], address(server, 0)
    server.faults[path] = [lie]
    impatient(50)  # on a busy machine the truth, too, may be too slow for such deadlines
    target = fetching.fetch(entry.url(server.url), entry.sha256, tmp_path / entry.file_name, "wtc1p01")
    assert target.read_bytes() == server.files[path]
    assert server.faults[path] == [] and len(server.requests) > 1


def unavailable_after(server, manifest, folder, lies) -> dict[str, str]:
    """Why each file could not be had of which the server lies for ever, by the lie; the others came."""
    rows = list(csv.reader(manifest.open(encoding="utf-8")))
    data = server.files[address(server, 0)]
    for lie in lies:
        path = f"{lie}.musicxml"
        server.files[f"/{REPOSITORY}/{COMMIT}/{path}"] = data
        server.faults[f"/{REPOSITORY}/{COMMIT}/{path}"] = [lie] * 20
        rows.append([lie, "C", "major", "test", REPOSITORY, COMMIT, path, "0" * 64, "CC0", "nobody"])
    with manifest.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    collection = open_all(server, manifest, folder)
    assert [piece.id for piece in collection.pieces] == ["wtc1p01", "wtc1p11", "wtc1p09"]
    assert [name for name, _ in collection.unavailable] == list(lies)
    assert all(reason.isprintable() and len(reason) < 400 for _, reason in collection.unavailable)
    assert names(folder) == {piece.path.name for piece in collection.pieces}
    return dict(collection.unavailable)


def test_no_lie_ends_a_build_or_holds_it(server, manifest, tmp_path, impatient):
    assert len(LIES) >= 30
    open_all(server, manifest, tmp_path / "files")
    impatient(2)
    for reason in unavailable_after(server, manifest, tmp_path / "files", PASSING).values():
        assert re.match(r"could not be fetched from http\S* after 2 attempts: ", reason), reason


def test_a_lie_that_is_final_is_given_up_at_once(server, manifest, tmp_path):
    for lie, reason in unavailable_after(server, manifest, tmp_path / "files", FINAL).items():
        assert re.match(rf"could not be fetched from http\S* after 1 attempt: .*{FINAL[lie]}", reason), reason


def test_the_deadlines_of_a_file_and_of_all_files(server, manifest, tmp_path, monkeypatch):
    entry, path, folder = read_manifest(manifest)[0], address(server, 0), tmp_path / "files"
    folder.mkdir()
    server.faults[path] = ["sends the file byte by byte"] * 20
    monkeypatch.setattr(fetching, "ATTEMPT_SECONDS", 0.7)
    with pytest.raises(DownloadError, match=r"after \d attempts? in 2 seconds: it was not whole within"):
        fetching.fetch(entry.url(server.url), entry.sha256, folder / entry.file_name, "wtc1p01", deadline=2.0)
    spans = [span for where, span in server.requests if where == path]
    assert len(spans) >= 2 and spans[-1] is not None  # what had come was not asked for again
    server.faults.clear()
    open_all(server, manifest, folder)
    (folder / entry.file_name).unlink()
    monkeypatch.setattr(download, "ALL_SECONDS", 0.0)
    collection = open_all(server, manifest, folder)
    assert collection.unavailable == [
        ("wtc1p01", "was not asked for, since the time for all files was over; build again to go on.")
    ]
    assert len(collection.pieces) == 2


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
    address = entries[0].url("https://example.org/")
    assert address.startswith("https://example.org/MarkGotham/When-in-Rome/59dd9c8")
    assert not {" ", ","} & {*address}
