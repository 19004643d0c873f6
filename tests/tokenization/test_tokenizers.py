"""The two tokenizers: the same ids for everything, saved, loaded and exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenization.samples import SCORES, random_score
from tokenization import MusicGPTTokenizer, MusicGPTTokenizerFast, Score, ScoreError, TokenError
from tokenization.vocabulary import TOKEN_TO_ID

SLOW, FAST = MusicGPTTokenizer(), MusicGPTTokenizerFast()
BOTH = pytest.mark.parametrize("tokenizer", [SLOW, FAST], ids=["slow", "fast"])
WORDS = [*TOKEN_TO_ID, "NOTE_1", "note_60", "é", "<bos", "MODE_minorFORM_fugue"]
SPACES = [" ", "  ", "\n", "\t", "\xa0", "\u2003", "\x1c", "\u200b"]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES)), max_size=20),
    st.booleans(),
    st.sampled_from(("left", "right")),
)
def test_twins_give_the_same_for_any_text(pieces: list[tuple[str, str]], special: bool, side: str):
    text = "".join(word + space for word, space in pieces)
    batch = [text, "MODE_minor TIME_0", ""]
    options = {"padding": True, "truncation": True, "max_length": 12, "padding_side": side}
    options["add_special_tokens"] = special
    slow = SLOW(batch, return_special_tokens_mask=True, **options)
    fast = FAST(batch, return_special_tokens_mask=True, **options)
    for name in ("input_ids", "attention_mask", "special_tokens_mask"):
        assert slow[name] == fast[name], name
    assert SLOW.tokenize(text) == FAST.tokenize(text)
    ids = slow["input_ids"][0]
    for skip in (False, True):
        assert SLOW.decode(ids, skip_special_tokens=skip) == FAST.decode(ids, skip_special_tokens=skip)
        assert SLOW.convert_ids_to_tokens(ids, skip) == FAST.convert_ids_to_tokens(ids, skip)


@BOTH
def test_an_id_outside_the_vocabulary_is_unk(tokenizer):
    assert tokenizer.decode([5, 150, -1]) == "MODE_minor <unk> <unk>"
    assert tokenizer.convert_ids_to_tokens(999) == "<unk>"
    more = type(tokenizer)()
    more.add_tokens(["NEW_1"])
    assert more.decode([5, 150, 151]) == "MODE_minor NEW_1 <unk>"


@settings(max_examples=30)
@given(SCORES)
def test_scores_text_and_ids_agree(score: Score):
    ids = SLOW.encode_score(score)
    assert ids == FAST.encode_score(score) and SLOW.unk_token_id not in ids
    text = SLOW.decode(ids)
    for tokenizer in (SLOW, FAST):
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == ids
        assert tokenizer(text.removeprefix("<bos> "))["input_ids"] == ids
        assert tokenizer.decode_score(torch.tensor(ids)) == score.quantised()
    assert SLOW.encode_score(score, add_eos=False) == ids[:-1]


def test_fast_offsets_point_into_the_text():
    text = "MODE_minor  NOTE_60"
    encoding = FAST(text, return_offsets_mapping=True)
    assert [text[a:b] for a, b in encoding["offset_mapping"]] == ["", "MODE_minor", "NOTE_60"]


@BOTH
def test_text_gets_bos_and_no_eos(tokenizer):
    assert tokenizer("MODE_minor")["input_ids"] == [1, TOKEN_TO_ID["MODE_minor"]]
    assert tokenizer.vocab_size == len(tokenizer) == 150 and tokenizer.get_vocab() == TOKEN_TO_ID
    assert [getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos", "unk")] == [0, 1, 2, 3]
    assert type(tokenizer)(add_bos_token=False)("MODE_minor")["input_ids"] == [TOKEN_TO_ID["MODE_minor"]]


@BOTH
@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("eos", [True, False])
def test_what_is_added_to_text_is_kept_when_saved(tokenizer, bos: bool, eos: bool, tmp_path: Path):
    expected = [1] * bos + [TOKEN_TO_ID["NOTE_60"]] + [2] * eos
    asked = type(tokenizer)(add_bos_token=bos, add_eos_token=eos)
    changed = type(tokenizer)()
    changed.add_bos_token, changed.add_eos_token = bos, eos
    for place, one in enumerate((asked, changed)):
        one.save_pretrained(tmp_path / str(place))
        for twin in (MusicGPTTokenizer, MusicGPTTokenizerFast):  # either loads what the other saved
            again = twin.from_pretrained(tmp_path / str(place))
            encoded = again("NOTE_60", return_special_tokens_mask=True)
            assert one("NOTE_60")["input_ids"] == encoded["input_ids"] == expected
            assert encoded["special_tokens_mask"] == [1] * bos + [0] + [1] * eos
            assert (again.add_bos_token, again.add_eos_token) == (bos, eos)
        assert twin.from_pretrained(tmp_path / str(place), add_bos_token=not bos).add_bos_token != bos


@BOTH
def test_helpers(tokenizer):
    prefix = tokenizer.prefix(key="d minor", form="fugue", voices=3)
    assert prefix == tokenizer("MODE_minor FORM_fugue VOICES_3")["input_ids"]
    with pytest.raises(ScoreError, match="contradicts the mode"):
        tokenizer.prefix(key="d minor", mode="major")
    score = random_score(5, legal=True).replace(key="F# minor", notes=[(0, 24, 66, 0), (24, 48, 54, 1)])
    ids = tokenizer.encode_score(score)
    assert tokenizer.decode_score(ids, key="F# minor").array.tolist() == score.array.tolist()
    with pytest.raises(ScoreError, match="the mode must be the same"):
        tokenizer.decode_score(ids, key="F# major")
    with pytest.raises(TokenError, match="flat sequence"):
        tokenizer.decode_score(np.array([ids, ids]))
    with pytest.raises(TokenError, match="several lengths"):
        tokenizer.decode_score([[1, 2], [1]])
    with pytest.raises(ScoreError, match="Only a Score can be encoded, not list"):
        tokenizer.encode_score(ids)
    with pytest.raises(TokenError, match="integers"):
        tokenizer.decode_score(["<bos>"])
    assert tokenizer.decode_score([*ids[:3], 149, *ids[3:]], strict=False).notices


@BOTH
def test_saved_and_loaded(tokenizer, tmp_path: Path):
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "vocab.json").read_text()) == TOKEN_TO_ID
    again = type(tokenizer).from_pretrained(tmp_path)
    text = "MODE_minor <eos> TIME_0 zzz"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    again.add_tokens(["NEW_1"])
    again.save_pretrained(tmp_path / "more")
    assert type(tokenizer).from_pretrained(tmp_path / "more")("NEW_1")["input_ids"] == [1, 150]


def test_another_vocabulary_is_refused(tmp_path: Path):
    (tmp_path / "vocab.json").write_text('{"<pad>": 0, "hello": 1}')
    with pytest.raises(ScoreError, match="is not that of MusicGPT"):
        MusicGPTTokenizer(vocab_file=str(tmp_path / "vocab.json"))
    with pytest.raises(ScoreError, match="is not that of MusicGPT"):
        MusicGPTTokenizerFast(vocab={"<pad>": 0, "hello": 1})


@BOTH
def test_exported_folder_stands_alone(tokenizer, tmp_path: Path):
    tokenizer.save_pretrained(tmp_path / "export")
    score = random_score(3)
    ids = tokenizer.encode_score(score)
    program = (
        "import sys; from transformers import AutoTokenizer\n"
        f"t = AutoTokenizer.from_pretrained({str(tmp_path / 'export')!r}, trust_remote_code=True)\n"
        f"assert type(t).__name__ == {type(tokenizer).__name__!r} and 'tokenization' not in sys.modules\n"
        f"ids = {ids}\n"
        "assert t.encode_score(t.decode_score(ids)) == ids and 'music21' not in sys.modules\n"
        f"t.save_pretrained({str(tmp_path / 'again')!r})\n"
        f"a = AutoTokenizer.from_pretrained({str(tmp_path / 'again')!r}, trust_remote_code=True)\n"
        "assert a('MODE_minor')['input_ids'] == t('MODE_minor')['input_ids'] == [1, 5]\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    command, how = [sys.executable, "-I", "-c", program], {"capture_output": True, "text": True}
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=300, **how)
    assert done.returncode == 0, done.stderr[-2000:]
