"""Scores that are fetched: a manifest of public MusicXML files with their commits and SHA-256 sums."""

from __future__ import annotations

import csv
import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from ..errors import DatasetError, DownloadError
from ..pieces import Collection, Piece, guess_kind, wtc_fields

MANIFEST = Path(__file__).with_name("manifest.csv")
BASE_URL = "https://raw.githubusercontent.com"
NEEDED = ("id", "repository", "commit", "path", "sha256", "licence")
ATTEMPTS = 4
TIMEOUT = 30.0  # seconds without an answer
FIRST_PAUSE = 0.5  # seconds before the second attempt; doubled before each further one
MAX_BYTES = 8 * 2**20
CHUNK = 64 * 1024
CONNECTIONS = 4
# Answers that a second attempt may better; any other error of the client's kind is final.
_PASSING = (408, 425, 429)


@dataclass(frozen=True)
class Entry:
    """One line of a manifest: which file of which repository at which commit, and the sum that it must have."""

    piece: dict
    repository: str
    commit: str
    path: str
    sha256: str

    def url(self, base_url: str) -> str:
        """Where the file is: `base_url/repository/commit/path`, the path quoted."""
        return "/".join((base_url.rstrip("/"), quote(f"{self.repository}/{self.commit}/{self.path}")))

    @property
    def file_name(self) -> str:
        """Its name in the cache: the sum, so that a changed manifest never finds an old file."""
        return self.sha256 + Path(self.path).suffix.lower()


def read_manifest(path: Path) -> list[Entry]:
    """The entries of a manifest: CSV with the columns `NEEDED`, and those of a catalogue (`tonic`, `mode`, `title` ...) if wanted.

    Raises:
        DatasetError: if the file is missing, lacks a column or holds a sum that is none.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            rows = list(reader)
    except OSError as error:
        raise DatasetError(f"Cannot read the manifest {path}: {error.strerror or error}.") from error
    if missing:
        raise DatasetError(f"The manifest {path.name} lacks the column {', '.join(missing)}.")
    entries = []
    for row in rows:
        sha256 = row["sha256"].lower()
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise DatasetError(
                f"The manifest {path.name} gives {row['id']} the SHA-256 {row['sha256']!r}, which is none."
            )
        fields = {"kind": guess_kind(row["path"]), **wtc_fields(row["id"])}
        fields |= {
            name: row.get(name) or fields.get(name, "")
            for name in ("work", "title", "bwv", "source", "encoder", "licence")
        }
        fields |= {name: row[name] for name in ("tonic", "mode") if row.get(name)}
        fields |= {"id": row["id"], "source_file": f"{row['repository']}@{row['commit'][:12]}/{row['path']}"}
        entries.append(Entry(fields, row["repository"], row["commit"], row["path"], sha256))
    return entries


def default_folder() -> Path:
    """Where fetched files are kept when nothing else is said."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "musicgpt" / "scores"


def open_download(
    manifest: str | None = None, base_url: str | None = None, download_dir: str | None = None
) -> Collection:
    """The pieces of a manifest, fetched where they are not in the cache yet.

    What cannot be fetched is named in `Collection.unavailable`, and the others are used.

    Args:
        manifest: path of a manifest; the built-in one (24 preludes of Book I) when not given.
        base_url: in place of `BASE_URL`, for a mirror; files are asked for at `base_url/repository/commit/path`.
        download_dir: where files are kept (`default_folder()`).

    Raises:
        DatasetError: if the manifest or the address cannot be used.
        DownloadError: if not one file could be had.
    """
    from tqdm import tqdm

    base = base_url or BASE_URL
    if urlsplit(base).scheme not in ("http", "https"):
        raise DatasetError(f"The base address {base!r} must begin with http:// or https://.")
    entries = read_manifest(Path(manifest) if manifest else MANIFEST)
    folder = Path(download_dir) if download_dir else default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    collection = Collection("download", rest_is_train=any("split" in entry.piece for entry in entries))

    def attempt(entry: Entry) -> Path | DownloadError:
        try:
            return fetch(entry, base, folder)
        except DownloadError as error:
            return error

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        results = list(
            tqdm(pool.map(attempt, entries), total=len(entries), desc="Fetching scores", unit="file", disable=None)
        )
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, DownloadError):
            collection.unavailable.append((entry.piece["id"], str(result).removeprefix(entry.piece["id"] + " ")))
        else:
            collection.pieces.append(Piece(path=result, **entry.piece))
    if not collection.pieces:
        reason = f" {collection.unavailable[0][1]}" if collection.unavailable else ""
        raise DownloadError(f"None of the {len(entries)} files of the manifest could be fetched.{reason}")
    return collection


def fetch(entry: Entry, base_url: str, folder: Path, attempts: int = ATTEMPTS, pause: float | None = None) -> Path:
    """The file of an entry in `folder`: the one that is there if its sum is right, else fetched and checked.

    A connection that breaks is taken up again where it broke, if the server can do that. The file appears under its name only
    when it is whole and its sum is right; after a failure nothing of it stays.

    Raises:
        DownloadError: naming the file, what went wrong and after how many attempts.
    """
    target = folder / entry.file_name
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == entry.sha256:
        return target
    pause = FIRST_PAUSE if pause is None else pause
    with _part_file(folder) as part:
        for number in range(1, attempts + 1):
            try:
                _continue(entry.url(base_url), part)
                _check_sum(entry, part)
                os.replace(part, target)
                return target
            except urllib.error.HTTPError as error:
                error.close()
                reason, final = (
                    f"the server answered {error.code} {error.reason}",
                    400 <= error.code < 500 and error.code not in _PASSING,
                )
            except DownloadError as error:
                reason, final = str(error), False
            except (OSError, http.client.HTTPException) as error:
                reason, final = (
                    f"the connection failed ({getattr(error, 'reason', None) or error or type(error).__name__})",
                    False,
                )
            if final or number == attempts:
                tries = f"after {number} attempt{'s' if number > 1 else ''}"
                raise DownloadError(
                    f"{entry.piece['id']} could not be fetched from {entry.url(base_url)} {tries}: {reason}."
                )
            time.sleep(pause * 2 ** (number - 1))
    raise AssertionError("unreachable")


@contextmanager
def _part_file(folder: Path) -> Iterator[Path]:
    """An empty file in the folder that is gone at the end unless it was moved away."""
    handle, name = tempfile.mkstemp(suffix=".part", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _continue(url: str, part: Path) -> None:
    """Fetch what is missing of a file and append it; from the beginning where the server does not do ranges.

    Raises:
        OSError, http.client.HTTPException: if the connection fails or ends early.
        DownloadError: if the file is too large to be a score.
    """
    have = part.stat().st_size
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        resumed = answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
        expected = answer.headers.get("Content-Length")
        received = 0
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(CHUNK):
                received += len(chunk)
                if received > MAX_BYTES:
                    raise DownloadError(f"it is larger than {MAX_BYTES // 2**20} MB, which no score is")
                file.write(chunk)
        if expected is not None and received < int(expected):
            raise ConnectionError(f"it ended after {received} of {expected} bytes")


def _check_sum(entry: Entry, part: Path) -> None:
    """Raise `DownloadError`, and start over, if the sum is wrong: a file that was cut or changed on its way, or upstream."""
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if found != entry.sha256:
        part.write_bytes(b"")
        raise DownloadError(f"its SHA-256 is {found[:12]}..., not {entry.sha256[:12]}... as the manifest says")
