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

from .configs import CONFIGS, ReadOptions
from .features import features
from .identity import identity_of
from .pieces import Collection
from .processing import Known, Processed, process_all

VERSION = "1.0.0"
ROWS_A_TABLE = 1000  # and a row group of the files


@dataclass
class WTCConfig(ReadOptions, datasets.BuilderConfig):
    """What to build. Arguments: those of `configs.ReadOptions`, and

    Args:
        collection (`Collection`, *optional*): the pieces themselves, in place of a source.
    """

    collection: Collection | None = None

    def open(self) -> Collection:
        """The pieces that this config takes from its source, files fetched where they must be.

        Raises:
            DatasetError: if there is no such source, or nothing in it for this config.
        """
        return self.collections([self.name])[self.name]

    def create_config_id(self, config_kwargs: dict, custom_features: Any = None) -> str:
        """The id that the cache of `datasets` goes by: it changes with the files of the source, not only with
        its name.
        """
        self.collection = self.collection or self.open()
        kwargs = {name: value for name, value in config_kwargs.items() if name != "collection"}
        return super().create_config_id({**kwargs, "content": self.collection.fingerprint()}, custom_features)


class WTCDataset(datasets.ArrowBasedBuilder):
    """Builds the Well-Tempered Clavier, or anyone's scores, as a dataset. Arguments: those of `WTCConfig`,
    and `config_name`.

    After `download_and_prepare`, `processed` says what became of each piece. Builders of several configs of
    one source may share `known`, so that each piece is read once.
    """

    VERSION = datasets.Version(VERSION)
    BUILDER_CONFIG_CLASS = WTCConfig
    BUILDER_CONFIGS = [
        WTCConfig(name=name, version=VERSION, description=text) for name, text in CONFIGS.items()
    ]
    DEFAULT_CONFIG_NAME = "wtc-plus"

    processed: Processed | None = None
    known: Known | None = None
    _num_proc = 1

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(description=self.config.description, features=features())

    def _download_and_prepare(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        # Reading the scores is the work, and it is shared out before the splits are known; the writer then
        # has little to do, and one file a split keeps the bytes the same whatever the number of processes.
        self._num_proc = kwargs.pop("num_proc", None) or 1
        super()._download_and_prepare(dl_manager, verification_mode, **kwargs)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        collection = self.config.collection or self.config.open()
        self.processed = process_all(
            collection, self._num_proc, self.config.strict, self.config.validation_share, self.known
        )
        self.processed.notices[:0] = collection.notices
        self.info.citation = identity_of(
            ((row["id"], row["source"]) for row in self.processed.facts()), collection.name
        ).citation
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"split": split}) for split in self.processed.kept
        ]

    def _generate_tables(self, split: str) -> Iterator[tuple[int, Any]]:
        assert self.processed is not None
        rows = self._writer_batch_size or self.DEFAULT_WRITER_BATCH_SIZE or ROWS_A_TABLE
        yield from enumerate(self.processed.tables(split, rows))
