"""The head of a model card: what the Hub reads, held to its own library, and what a model inherits from the
one it began with.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, ModelCardData, metadata_load

from dataset_builder.identity import identity_of
from modeling_musicgpt import shipped_checkpoint
from musicgpt.hub_model import write_model_folder
from training.card import introduction
from training.card_header import SHIPPED_NAME, Lineage, header, lineage_of

FIGURES = {
    "nats_per_note": 2.28791,
    "masked_nats_per_note": 2.2871,
    "bits_per_note": 3.30074,
    "musical_score": 71.25,
    "step": 7,
}


def data_of(*pieces: tuple[str, str]) -> dict:
    return {**identity_of(pieces, "songs")._asdict(), "config": "wtc-plus"}


WTC, SONGS = data_of(("wtc1p01", "buschke"), ("inv01", "mutopia")), data_of(("song", ""))


def read(text: str, folder: Path) -> dict:
    """The metadata as the Hub's library reads it, after it has been written and read by `ModelCardData` with
    all results.
    """
    path = folder / "README.md"
    path.write_text(f"{text}\n\n# A model\n", encoding="utf-8")
    data = metadata_load(path)
    assert ModelCard.load(path).data.to_dict() == ModelCardData(**dict(data)).to_dict() == data
    return data


def test_figures_come_back_from_the_index_of_results(tmp_path):
    data = read(header("mine", WTC, FIGURES, Lineage()), tmp_path)
    assert (data["language"], data["license"], data["datasets"]) == ("zxx", "cc-by-sa-4.0", ["musicgpt-wtc"])
    assert data["metrics"] == ["loss", "musical_metrics"]
    card = ModelCard.load(tmp_path / "README.md").data
    assert card.model_name == "mine"
    assert {result.metric_name: result.metric_value for result in card.eval_results} == {
        "Nats a note": 2.2879,
        "Nats a note, legal tokens only": 2.2871,
        "Bits a note": 3.3007,
        "Musical score, 0 to 100": 71.25,
    }
    assert {(r.dataset_type, r.dataset_config, r.dataset_split) for r in card.eval_results} == {
        ("musicgpt-wtc", "wtc-plus", "validation")
    }


@pytest.mark.parametrize(
    "data, lineage, licence, base",
    [
        (WTC, Lineage(), "cc-by-sa-4.0", None),
        (SONGS, Lineage(), None, None),
        (SONGS, Lineage(SHIPPED_NAME, "cc-by-sa-4.0"), "cc-by-sa-4.0", SHIPPED_NAME),
        (WTC, Lineage("someone/model"), None, "someone/model"),  # its terms are not known
        (None, Lineage(), None, None),
    ],
)
def test_the_licence_is_that_of_what_it_was_made_from(data, lineage, licence, base, tmp_path):
    found = read(header("mine", data, {}, lineage), tmp_path)
    assert (found.get("license"), found.get("base_model")) == (licence, base)
    assert ("bach" in found["tags"]) == (data is WTC)
    assert "model-index" not in found


def test_what_the_text_says_of_other_peoples_files():
    text = introduction("musicgpt", SONGS, Lineage(SHIPPED_NAME, "cc-by-sa-4.0"))
    assert "trained on songs as notes with voices" in text and "Tempered" not in text.partition("It began")[0]
    assert (
        f"`{SHIPPED_NAME}`, which are under CC BY-SA 4.0: so is this model" in text
        and "Knute Snortum" in text
    )
    assert "manner of the Well-Tempered Clavier" in introduction("musicgpt", WTC, Lineage())


def test_what_a_model_inherits(tmp_path):
    ours = Lineage(SHIPPED_NAME, "cc-by-sa-4.0")
    assert lineage_of(None) == Lineage()
    assert lineage_of("shipped") == lineage_of(str(shipped_checkpoint())) == ours
    assert lineage_of("someone/model") == Lineage("someone/model")
    assert lineage_of("../nowhere/model") == Lineage()
    exported, tuned, unknown = tmp_path / "exported", tmp_path / "tuned", tmp_path / "unknown"
    for folder in (exported, tuned, unknown):
        folder.mkdir()
        shutil.copy(shipped_checkpoint() / "config.json", folder)
    shutil.copy(shipped_checkpoint() / "README.md", exported)
    (tuned / "README.md").write_text(header("tuned", SONGS, {}, ours), encoding="utf-8")
    assert lineage_of(str(exported)) == lineage_of(str(tuned)) == ours
    assert lineage_of(str(unknown)) == Lineage()


def test_the_shipped_card_has_the_figures_of_its_text():
    path = shipped_checkpoint() / "README.md"
    data, text = metadata_load(path), path.read_text(encoding="utf-8")
    assert ModelCard.load(path).data.to_dict() == data
    assert (data["license"], data["datasets"]) == ("cc-by-sa-4.0", ["musicgpt-wtc"])
    assert data["model-index"][0]["name"] == SHIPPED_NAME
    body = text.split("---\n", 2)[2]
    results = ModelCard.load(path).data.eval_results
    assert len(results) >= 3 and all(f"{result.metric_value:.4f}" in body for result in results)
    assert body.index("trust_remote_code") < body.index("from musicgpt import")


def test_the_first_lines_of_the_shipped_card_make_a_piece(tmp_path, monkeypatch):
    from tokenization import MusicGPTProcessor, read_score

    assert MusicGPTProcessor  # transformers knows it from here on; an exported folder brings its code along
    text = (shipped_checkpoint() / "README.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    assert "trust_remote_code=True" in code and '"USER/NAME"' in code
    monkeypatch.chdir(tmp_path)
    folder = write_model_folder(tmp_path / "model")
    exec(code.replace("USER/NAME", str(folder)).replace("seed=7", "seed=7, max_new_tokens=100"), {})
    assert str(read_score(tmp_path / "fugue.mid").key) == "D minor"
