from __future__ import annotations

import struct
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, DatasetCardData, metadata_load
from pyarrow.parquet import read_table

from dataset_builder.build import BuildOptions, build_dataset
from dataset_builder.card import FAULTS
from dataset_builder.cleaning import COUNTS
from dataset_builder.credits import CREDITS, licence_table
from dataset_builder.features import DESCRIPTIONS, features
from dataset_builder.identity import Identity, identity_of
from tokenization import write_midi

from .conftest import make_corpus


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("built")
    source, configs = (str(make_corpus(folder / "corpus")),), ("wtc-plus", "wtc")
    result = build_dataset(BuildOptions(out=folder / "out", source=source, configs=configs, plots=True))
    return result.out, result.reports


def test_the_card_says_what_was_built(built):
    out, reports = built
    card = DatasetCard.load(out / "README.md")
    assert [config["config_name"] for config in card.data.configs] == ["wtc-plus", "wtc"]
    assert card.data.configs[0]["default"] is True
    sizes = {
        info["config_name"]: {split["name"]: split["num_examples"] for split in info["splits"]}
        for info in card.data.dataset_info
    }
    assert sizes == {
        name: {split: n["pieces"] for split, n in report["splits"].items()}
        for name, report in reports.items()
    }
    for name, report in reports.items():
        for split, n in report["splits"].items():
            row = f"| {split} | {n['pieces']} | {n['notes']:,} | {n['tokens']:,} | {n['bars']} |"
            assert row in card.text, name
        c = report["catalogue"]
        counted = f"counts {c['expected']:,} notes in these pieces, the stages dropped {c['dropped']:,}"
        assert f"the catalogue {counted}" in card.text
    for notice in reports["wtc-plus"]["notices"]:
        assert notice in card.text
    for text in COUNTS.values():
        assert text in card.text
    assert "| `buschke` | 5 |" in card.text
    assert "github.com/Buschke/sheet-music" in card.text
    assert "Public Domain (5)" in card.text


def test_faults_are_named_only_of_pieces_that_are_there(built):
    text = (built[0] / "README.md").read_text(encoding="utf-8")
    assert "`wtc1p02`: a few notes stand beside the grid" in text
    assert "wtc2p04" not in text
    assert all(names and not sentence.endswith(".") for names, sentence in FAULTS)


def test_every_column_is_described():
    assert set(features()) == set(DESCRIPTIONS)
    assert set(features()["changes"]) == set(COUNTS)


WTC, FURTHER, MUSIC21, OWN = ("wtc1p01", "buschke"), ("inv01", "mutopia"), ("bwv846", "music21"), ("song", "")
NAMES = {
    "musicgpt-wtc": "The Well-Tempered Clavier",
    "musicgpt-wtc and further": "The Well-Tempered Clavier and further works of Bach",
    "musicgpt-my-scores of Bach": "Works of Johann Sebastian Bach from My Scores",
    "musicgpt-my-scores": "My Scores",
}


@pytest.mark.parametrize(
    "pieces, name, of_wtc, of_bach, licence",
    [
        ([WTC], "musicgpt-wtc", True, True, "cc-by-sa-4.0"),
        ([WTC, FURTHER], "musicgpt-wtc and further", True, True, "cc-by-sa-4.0"),
        ([FURTHER], "musicgpt-my-scores of Bach", False, True, "cc-by-sa-4.0"),
        ([("wtc1p01", "music21"), MUSIC21], "musicgpt-my-scores of Bach", False, True, "other"),
        ([WTC, OWN], "musicgpt-my-scores", False, False, "other"),
        ([("wtc1p01", "")], "musicgpt-my-scores", False, False, "other"),
    ],
)
def test_only_the_wtc_goes_by_its_name(pieces, name, of_wtc, of_bach, licence):
    title = f"{NAMES[name]} as notes with voices"
    assert identity_of(pieces, "My Scores") == Identity(name.split()[0], title, of_wtc, of_bach, licence)


def hub_data(folder: Path) -> dict:
    """The metadata of a card as the Hub's own library reads it, and writes it again."""
    data = metadata_load(folder / "README.md")
    assert DatasetCardData(**dict(data)).to_dict() == data
    return data


def test_the_metadata_is_what_the_hub_wants(built):
    data = hub_data(built[0])
    assert data["license"] == "cc-by-sa-4.0" or data["license_name"]
    kind = (data["language"], data["task_categories"], data["size_categories"])
    assert kind == ("zxx", ["text-generation"], "n<1K")
    for info in data["dataset_info"]:
        files = {
            file.stem: file.stat().st_size for file in (built[0] / info["config_name"]).glob("*.parquet")
        }
        assert info["download_size"] == sum(files.values()) > 0
        assert info["dataset_size"] == sum(split["num_bytes"] for split in info["splits"]) > 0
        for split in info["splits"]:
            table = read_table(built[0] / info["config_name"] / f"{split['name']}.parquet")
            assert table.num_rows == split["num_examples"]


def test_anyones_files_are_not_called_bachs(new_score, tmp_path):
    folder = tmp_path / "night songs"
    folder.mkdir()
    for seed in range(4):
        write_midi(new_score(seed), folder / f"song{seed}.mid")
    result = build_dataset(BuildOptions(out=tmp_path / "out", source=(str(folder),)))
    data, text = hub_data(result.out), (result.out / "README.md").read_text(encoding="utf-8")
    assert data["pretty_name"] == "night songs as notes with voices"
    licence = (data["license"], data["license_name"], data["license_link"])
    assert licence == ("other", "by-file-see-license", "LICENSE.md")
    assert "not stated (4 pieces)" in (result.out / "LICENSE.md").read_text(encoding="utf-8")
    for word in ("Bach", "Tempered", "bach", "tempered", "key numbers"):
        assert word not in text, word
    assert "a hash of the tune's opening decides" in text


def test_the_licence_of_the_weights_names_every_source_of_open_scores():
    text = (Path(__file__).parent.parent.parent / "LICENSE-WEIGHTS.md").read_text(encoding="utf-8")
    assert licence_table() in text
    assert all(credit.repository in text for name, credit in CREDITS.items() if name != "music21")


def test_plots_are_drawn(built):
    from matplotlib.image import imread

    for name in ("pitches", "durations", "tokens", "splits"):
        path = built[0] / "plots" / f"{name}.png"
        assert struct.unpack(">II", path.read_bytes()[16:24]) == (675, 324)
        image = imread(path)[..., :3]
        # Something else than white paper, axes and letters: coloured areas.
        assert (image.max(axis=-1) - image.min(axis=-1) > 0.2).mean() > 0.01
