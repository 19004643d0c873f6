"""A build from end to end: is there anything to do, the configs, the card, the report, and the folder put in
place at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenization.folders import check_folder, file_sha256, manifest_of, replacing_folder

from .configs import ReadOptions
from .pieces import Collection
from .processing import Known

STAMP = "build.json"
# Of one parquet file before compression, about 10,000 pieces; a larger split has several.
SHARD_SIZE = "300MB"
FORMAT = 2


@dataclass(kw_only=True)
class BuildOptions(ReadOptions):
    """What to build and where, beside `ReadOptions`. See the command's help for each field."""

    out: Path
    configs: Sequence[str] = ("wtc-plus",)
    num_proc: int = 1
    force: bool = False
    plots: bool = False
    overwrite: bool = False


@dataclass
class BuildResult:
    """What a build did: `up_to_date` if nothing had to be done; the report of each config."""

    out: Path
    up_to_date: bool
    seconds: float
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)


def code_digest() -> str:
    """SHA-256 over the code that decides what a row holds: this package and `tokenization`."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parent
    for folder in (root, root.parent / "tokenization"):
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.csv")]):
            digest.update(path.relative_to(root.parent).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _fingerprint(options: BuildOptions, collections: dict[str, Collection]) -> str:
    """Everything that the result depends on: code, versions, options, and the bytes of the files."""
    choices = {
        k: v
        for k, v in asdict(options).items()
        if k not in ("out", "source", "num_proc", "force", "download_dir", "overwrite")
    }
    packages = {name: version(name) for name in ("datasets", "pyarrow", "numpy", "music21")}
    contents = {name: collection.fingerprint() for name, collection in collections.items()}
    text = json.dumps([FORMAT, code_digest(), choices, packages, contents], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp_of(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _is_whole(folder: Path) -> bool:
    """Whether all files of the last build are there as it wrote them."""
    files = manifest_of(folder)
    return bool(files) and all(
        (folder / name).is_file() and file_sha256(folder / name) == digest for name, digest in files.items()
    )


def build_dataset(options: BuildOptions) -> BuildResult:
    """Build every asked config into `options.out`, unless it is there already.

    The folder then holds `<config>/<split>.parquet` (several files of a large split), the card `README.md`
    (which `load_dataset(out)` goes by), `report.json` and `build.json`; the first config is the default one.

    Raises:
        DatasetError: if a source or config cannot be built.
        FolderError: without `overwrite`, if `out` holds anything but an earlier build.
        PieceError: with `strict`, at the first piece that cannot be used.
    """
    start = time.perf_counter()
    check_folder(options.out, "dataset", options.overwrite)
    collections = options.collections(options.configs)
    fingerprint = _fingerprint(options, collections)
    stamp = _stamp_of(options.out)
    if not options.force and stamp and stamp.get("fingerprint") == fingerprint and _is_whole(options.out):
        reports = json.loads((options.out / "report.json").read_text(encoding="utf-8"))
        return BuildResult(options.out, True, time.perf_counter() - start, reports)
    with replacing_folder(options.out, "dataset", options.overwrite) as fresh:
        reports = _build_into(fresh, options, collections, fingerprint)
    return BuildResult(options.out, False, time.perf_counter() - start, reports)


def _build_into(
    folder: Path, options: BuildOptions, collections: dict[str, Collection], fingerprint: str
) -> dict[str, dict[str, Any]]:
    from .card import write_card

    infos, reports = {}, {}
    known = Known()
    for name, collection in collections.items():
        infos[name], reports[name] = _build_config(folder, options, name, collection, known)
    write_card(folder, infos, reports)
    if options.plots:
        from .plots import write_plots

        write_plots(folder, list(collections), folder / "plots")
    (folder / "report.json").write_text(
        json.dumps(reports, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / STAMP).write_text(json.dumps({"fingerprint": fingerprint}, indent=1) + "\n", encoding="utf-8")
    return reports


def _build_config(
    folder: Path, options: BuildOptions, name: str, collection: Collection, known: Known
) -> tuple[Any, dict[str, Any]]:
    """Run the builder for one config and lay its files out as `<config>/<split>.parquet`; its info and its
    report.
    """
    from .builder import WTCDataset
    from .report import report_of

    # The reading of the scores has a bar of its own.
    with tempfile.TemporaryDirectory(prefix="musicgpt-") as cache, without_progress_bars():
        builder = WTCDataset(
            config_name=name,
            collection=collection,
            cache_dir=cache,
            strict=options.strict,
            validation_share=options.validation_share,
        )
        builder.known = known
        prepared = Path(cache) / "prepared"
        builder.download_and_prepare(
            str(prepared), file_format="parquet", num_proc=options.num_proc, max_shard_size=SHARD_SIZE
        )
        (folder / name).mkdir()
        # `<name>-<split>.parquet`, or `<name>-<split>-00000-of-00002.parquet` and so on.
        for source in prepared.glob("*.parquet"):
            shutil.move(source, folder / name / source.name[source.name.index("-") + 1 :])
        # The builder downloads nothing; what somebody downloads who loads this folder from the Hub is its
        # files.
        builder.info.download_size = sum(file.stat().st_size for file in (folder / name).iterdir())
    return builder.info, report_of(collection, builder.processed)  # type: ignore[arg-type]


@contextlib.contextmanager
def without_progress_bars() -> Iterator[None]:
    """Without the bars of `datasets`, whose reading and writing take no time worth showing."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
