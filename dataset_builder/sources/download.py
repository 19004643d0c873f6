"""Scores that are fetched: a manifest of public MusicXML files with their commits and SHA-256 sums."""

from __future__ import annotations

import csv
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from ..errors import DatasetError, DownloadError
from ..pieces import Collection, Piece, guess_kind, wtc_fields
from .fetching import DEADLINE, fetch

MANIFEST = Path(__file__).with_name("manifest.csv")
BASE_URL = "https://raw.githubusercontent.com"
NEEDED = ("id", "repository", "commit", "path", "sha256", "licence")
CONNECTIONS = 4
ALL_SECONDS = (
    1800.0  # for all files of a manifest; what has come until then is kept, and the next build goes on
)


@dataclass(frozen=True)
class Entry:
    """One line of a manifest: which file of which repository at which commit, and the sum that it must
    have.
    """

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
    """The entries of a manifest: CSV with the columns `NEEDED`, and those of a catalogue (`tonic`, `mode`,
    `title` ...) if wanted.

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

    What cannot be fetched is named in `Collection.unavailable`, and the others are used. No file is waited
    for longer than `fetching.DEADLINE` seconds, and all together no longer than `ALL_SECONDS`, whatever the
    server does.

    Args:
        manifest: path of a manifest; the built-in one (24 preludes of Book I) when not given.
        base_url: in place of `BASE_URL`, for a mirror; files are asked for at
            `base_url/repository/commit/path`.
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

    end = time.monotonic() + ALL_SECONDS

    def attempt(entry: Entry) -> Path | DownloadError:
        seconds = min(DEADLINE, end - time.monotonic())
        try:
            return fetch(entry.url(base), entry.sha256, folder / entry.file_name, entry.piece["id"], seconds)
        except DownloadError as error:
            return error

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        results = list(
            tqdm(
                pool.map(attempt, entries),
                total=len(entries),
                desc="Fetching scores",
                unit="file",
                disable=None,
            )
        )
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, DownloadError):
            collection.unavailable.append(
                (entry.piece["id"], str(result).removeprefix(entry.piece["id"] + " "))
            )
        else:
            collection.pieces.append(Piece(path=result, **entry.piece))
    if not collection.pieces:
        reason = f" {collection.unavailable[0][1]}" if collection.unavailable else ""
        raise DownloadError(f"None of the {len(entries)} files of the manifest could be fetched.{reason}")
    return collection
