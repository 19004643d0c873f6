"""The `datasets` builder: sources in, splits with typed columns out.

    from dataset_builder import WTCDataset

    builder = WTCDataset(config_name="wtc", source="../shared/data")
    builder.download_and_prepare("out", file_format="parquet")   # or without a folder, into the cache of datasets
    dataset = builder.as_dataset()                                # (when prepared into the cache)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import datasets

from .configs import CONFIGS, select
from .features import features
from .pieces import Collection
from .presets import apply_preset
from .processing import Processed, process_all
from .sources import open_source

VERSION = "1.0.0"
LICENCE = "cc-by-sa-4.0"
CITATION = """@misc{musicgpt_wtc,
  title = {The Well-Tempered Clavier as notes with voices, in C major and A minor},
  author = {MusicGPT contributors, after the encoders named in the column `encoder`},
  year = {2026},
  note = {Music by Johann Sebastian Bach, 1722 and 1742}
}"""


@dataclass
class WTCConfig(datasets.BuilderConfig):
    """What to build.

    Args:
        source (`str` or list of `str`): a folder of scores, `"music21"` or `"download"`, or several of them.
        route (`str`): which form of the catalogued pieces to read: `"notes"`, `"midi"` or `"musicxml"`.
        preset (`str`, *optional*): a name in `presets.PRESETS`.
        strict (`bool`): stop at a piece that cannot be used, in place of skipping it.
        validation_share (`float`): for pieces whose split nothing declares.
        without_sources (tuple of `str`): values of the column `source` to leave out.
        manifest, base_url, download_dir (`str`, *optional*): see `sources.download.open_download`.
        collection (`Collection`, *optional*): the pieces themselves, in place of a source.
    """

    source: Any = "music21"
    route: str = "notes"
    preset: str | None = None
    strict: bool = False
    validation_share: float = 0.1
    without_sources: tuple[str, ...] = ()
    manifest: str | None = None
    base_url: str | None = None
    download_dir: str | None = None
    collection: Collection | None = None

    def open(self) -> Collection:
        """The pieces that this config takes from its source, files fetched where they must be.

        Raises:
            DatasetError: if there is no such source, or nothing in it for this config.
        """
        options = {"manifest": self.manifest, "base_url": self.base_url, "download_dir": self.download_dir}
        collection = select(open_source(self.source, self.route, **options), self.name, tuple(self.without_sources))
        return apply_preset(collection, self.preset)

    def create_config_id(self, config_kwargs: dict, custom_features: Any = None) -> str:
        """The id that the cache of `datasets` goes by: it changes with the files of the source, not only with its name."""
        self.collection = self.collection or self.open()
        kwargs = {name: value for name, value in config_kwargs.items() if name != "collection"}
        return super().create_config_id({**kwargs, "content": self.collection.fingerprint()}, custom_features)


class WTCDataset(datasets.GeneratorBasedBuilder):
    """Builds the Well-Tempered Clavier, or anyone's scores, as a dataset. Arguments: those of `WTCConfig`, and `config_name`.

    After `download_and_prepare`, `processed` holds the rows, what was skipped and why.
    """

    VERSION = datasets.Version(VERSION)
    BUILDER_CONFIG_CLASS = WTCConfig
    BUILDER_CONFIGS = [WTCConfig(name=name, version=VERSION, description=text) for name, text in CONFIGS.items()]
    DEFAULT_CONFIG_NAME = "wtc-plus"

    processed: Processed | None = None
    _num_proc = 1

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=self.config.description, features=features(), license=LICENCE, citation=CITATION, homepage=""
        )

    def _download_and_prepare(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        # Reading the scores is the work, and it is shared out before the splits are known; the writer then has little to do, and
        # one file a split keeps the bytes the same whatever the number of processes.
        self._num_proc = kwargs.pop("num_proc", None) or 1
        super()._download_and_prepare(dl_manager, verification_mode, **kwargs)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        collection = self.config.collection or self.config.open()
        self.processed = process_all(collection, self._num_proc, self.config.strict, self.config.validation_share)
        self.processed.notices[:0] = collection.notices
        return [datasets.SplitGenerator(name=split, gen_kwargs={"rows": rows}) for split, rows in self.processed.rows.items()]

    def _generate_examples(self, rows: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(rows)
