"""The processor: every way a piece can be given is the same piece, and it comes back in its key."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoProcessor, AutoTokenizer

from modeling_musicgpt import shipped_checkpoint
from tests.tokenization.samples import random_score
from tokenization import (
    MusicGPTProcessor,
    MusicGPTTokenizer,
    MusicGPTTokenizerFast,
    ScoreError,
    ScoreReadError,
    TokenError,
    midi_bytes,
    read_score,
    reading,
    write_midi,
    write_musicxml,
)

PROCESSOR = MusicGPTProcessor(MusicGPTTokenizerFast())
PIECE = random_score(5, legal=True).replace(
    key="F# minor",
    form=None,
    notes=[(0, 24, 66, 0), (24, 48, 54, 1), (48, 24, 69, 0), (96, 96, 66, 0), (96, 96, 54, 1)],
    meters=None,
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The piece as files."""
    write_midi(PIECE, tmp_path / "piece.mid")
    write_musicxml(PIECE, tmp_path / "piece.musicxml")
    return tmp_path


@pytest.mark.parametrize("tokenizer", [MusicGPTTokenizer, MusicGPTTokenizerFast])
def test_bytes_paths_and_scores_are_the_same_piece(tokenizer, files: Path):
    processor = MusicGPTProcessor(tokenizer())
    expected = processor.tokenizer.encode_score(PIECE, add_eos=False)
    midi = files / "piece.mid"
    sources = [midi_bytes(PIECE), str(midi), midi, files / "piece.musicxml", PIECE]
    for source in sources:
        inputs = processor(source)
        assert inputs["input_ids"] == expected and inputs["attention_mask"] == [1] * len(expected), source
    batch = processor([*sources, PIECE.first_bars(1)], return_tensors="pt")
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (6, len(expected))
    assert batch["input_ids"][:5].tolist() == [expected] * 5
    short = processor(PIECE, bars=1)["input_ids"]
    hidden = len(expected) - len(short)
    assert batch["input_ids"][5].tolist() == [0] * hidden + short  # prompts are padded on the left
    assert batch["attention_mask"][5].tolist() == [0] * hidden + [1] * len(short)
    padded = processor(PIECE, return_tensors="pt", padding="max_length", max_length=64)
    assert padded["input_ids"].shape == (1, 64)
    assert processor(PIECE, add_eos=True)["input_ids"] == [*expected, 2]


def test_key_and_form_are_those_named():
    named = PROCESSOR.read(PIECE, key="A minor", form="fugue")
    assert (named.array == PIECE.array).all() and str(named.key) == "A minor" and named.form == "fugue"
    prefix = PROCESSOR.tokenizer("MODE_minor FORM_fugue")["input_ids"]
    assert PROCESSOR(PIECE, form="fugue")["input_ids"][:3] == prefix
    assert str(PROCESSOR.read(midi_bytes(PIECE), key="C minor").key) == "C minor"


def test_ids_come_back_in_their_key(tmp_path: Path):
    ids = torch.tensor(PROCESSOR(PIECE, add_eos=True)["input_ids"])
    back = PROCESSOR.decode_score(ids, key=PIECE.key)
    assert back.array.tolist() == PIECE.array.tolist() and back.key == PIECE.key
    (tmp_path / "back.mid").write_bytes(PROCESSOR.decode_midi(ids, key="F# minor"))
    assert read_score(tmp_path / "back.mid").array.tolist() == PIECE.array.tolist()
    assert PROCESSOR.decode(ids).startswith("<bos> MODE_minor METER_4/4")
    with pytest.raises(TokenError, match="Token 2 "):
        PROCESSOR.decode_midi([1, 149, 0, 2])
    with pytest.raises(ScoreError, match="nothing to write"):
        PROCESSOR.decode_midi(PROCESSOR.tokenizer.prefix())


def test_text_goes_to_the_tokenizer():
    options = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
    texts = ["MODE_minor FORM_fugue", "<eos>"]
    expected = PROCESSOR.tokenizer(texts, add_special_tokens=False, **options)
    found = PROCESSOR(text=texts, add_special_tokens=False, return_tensors="pt")
    assert torch.equal(found["input_ids"], expected["input_ids"])


def test_what_is_no_piece_is_refused(tmp_path: Path):
    for arguments in ({}, {"scores": PIECE, "text": "<bos>"}):
        with pytest.raises(ScoreError, match="either scores"):
            PROCESSOR(**arguments)
    with pytest.raises(ScoreError, match="not as int"):
        PROCESSOR(5)
    with pytest.raises(ScoreReadError, match="MThd"):
        PROCESSOR(b"<score-partwise/>")
    with pytest.raises(ScoreReadError, match="Cannot read"):
        PROCESSOR(tmp_path / "nothing.mid")


def test_in_a_folder_of_the_hub_midi_alone_is_read(files: Path, monkeypatch):
    def missing(name: str, package: str):
        raise ModuleNotFoundError(f"No module named {package}{name}", name=f"{package}{name}")

    monkeypatch.setattr(reading, "import_module", missing)
    assert PROCESSOR(files / "piece.mid") == PROCESSOR((files / "piece.mid").read_bytes()) == PROCESSOR(PIECE)
    with pytest.raises(ScoreReadError, match=r"end in \.musicxml .* reads MIDI alone\.$"):
        PROCESSOR(files / "piece.musicxml")


def test_the_auto_classes_know_the_shipped_folder(tmp_path: Path):
    processor = AutoProcessor.from_pretrained(shipped_checkpoint())
    assert type(processor) is MusicGPTProcessor and type(processor.tokenizer) is MusicGPTTokenizerFast
    tokenizer = AutoTokenizer.from_pretrained(shipped_checkpoint())
    assert type(tokenizer) is MusicGPTTokenizerFast
    assert tokenizer("MODE_minor", return_offsets_mapping=True)["offset_mapping"] == [(0, 0), (0, 10)]
    assert type(MusicGPTTokenizer.from_pretrained(shipped_checkpoint())) is MusicGPTTokenizer
    processor.save_pretrained(tmp_path)
    assert AutoProcessor.from_pretrained(tmp_path)(PIECE)["input_ids"] == PROCESSOR(PIECE)["input_ids"]
