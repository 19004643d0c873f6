"""The dataset's card, written from the build itself: what it says is what was built."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_card(folder: Path, infos: dict[str, Any], reports: dict[str, dict[str, Any]]) -> None:
    """Write `README.md`."""
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(license="cc-by-sa-4.0", pretty_name="The Well-Tempered Clavier as notes with voices")
    configs = [
        {
            "config_name": name,
            **({"default": True} if i == 0 else {}),
            "data_files": [{"split": split, "path": f"{name}/{split}.parquet"} for split in info.splits],
        }
        for i, (name, info) in enumerate(infos.items())
    ]
    DatasetInfosDict({name: _portable(info, DatasetInfo, folder / name) for name, info in infos.items()}).to_dataset_card_data(data)
    data.configs = configs
    (folder / "README.md").write_text(f"---\n{data}\n---\n", encoding="utf-8")


def _portable(info: Any, cls: type, folder: Path) -> Any:
    return info
