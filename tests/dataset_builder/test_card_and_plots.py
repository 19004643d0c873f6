from __future__ import annotations

import struct
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard

from dataset_builder.build import BuildOptions, build_dataset
from dataset_builder.card import FAULTS, licence_of
from dataset_builder.cleaning import COUNTS
from dataset_builder.credits import CREDITS, licence_table
from dataset_builder.features import DESCRIPTIONS, features


@pytest.fixture
def built(corpus, tmp_path) -> tuple[Path, dict]:
    result = build_dataset(
        BuildOptions(out=tmp_path / "out", source=(str(corpus),), configs=("wtc-plus", "wtc"), plots=True)
    )
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
        name: {split: n["pieces"] for split, n in report["splits"].items()} for name, report in reports.items()
    }
    for name, report in reports.items():
        for split, n in report["splits"].items():
            assert f"| {split} | {n['pieces']} | {n['notes']:,} | {n['tokens']:,} | {n['bars']} |" in card.text, name
        c = report["catalogue"]
        assert (
            f"the catalogue counts {c['expected']:,} notes in these pieces, the stages dropped {c['dropped']:,}"
            in card.text
        )
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


def test_the_licence_follows_the_sources():
    assert licence_of({"a": {"sources": {"buschke": {}, "mutopia": {}}}}) == "cc-by-sa-4.0"
    assert licence_of({"a": {"sources": {"buschke": {}, "music21": {}}}}) == "other"
    assert licence_of({"a": {"sources": {"my scores": {}}}}) == "other"


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
