"""Models that nobody vouches for: every fault of config or weights is one sentence and exit code 2, and
nothing is unpickled.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file, save_file

from musicgpt.loading import load_model
from tests.musicgpt.commands import generate


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def put_weight(folder, **tensors):
    edit_weights(folder, lambda kept: kept.update(tensors))


def cut(folder, end):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:end])


def flip(folder, at):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[at] ^= 64
    (folder / "model.safetensors").write_bytes(data)


def only_pickle(folder):
    class Bomb:
        def __reduce__(self):
            return (open, (str(folder / "exploded"), "w"))

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


NORM = "model.norm.weight"
FAULTS = {
    "bar_period of 0": (lambda f: edit_config(f, bar_period=0), "bar_period"),
    "5 heads": (lambda f: edit_config(f, num_attention_heads=5), "num_attention_heads"),
    "a number as text": (lambda f: edit_config(f, hidden_size="32"), "hidden_size"),
    "151 tokens": (lambda f: edit_config(f, vocab_size=151), "another vocabulary"),
    "a size like none": (lambda f: edit_config(f, hidden_size=16_384, num_hidden_layers=32), "missing"),
    "another model": (lambda f: edit_config(f, model_type="gpt2"), "'gpt2'"),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "no model"),
    "no JSON": (lambda f: (f / "config.json").write_text("{" * 100_000), "no JSON"),
    "deep JSON": (lambda f: (f / "config.json").write_text("[" * 100_000), "no JSON"),
    "a huge config": (lambda f: (f / "config.json").write_text(" " * 2_000_000), "larger than"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    "a pickle": (only_pickle, "pytorch_model.bin; pickles are never loaded"),
    "cut in the numbers": (lambda f: cut(f, -100), "Cannot load"),
    "cut in the header": (lambda f: cut(f, 300), "Cannot load"),
    "an empty file": (lambda f: cut(f, 0), "Cannot load"),
    "a bit of the header": (lambda f: flip(f, 40), "Cannot load"),
    "a bit of its length": (lambda f: flip(f, 6), "Cannot load"),
    "a weight missing": (lambda f: edit_weights(f, lambda t: t.pop(NORM)), f"{NORM} missing"),
    "a weight too many": (lambda f: put_weight(f, more=torch.zeros(1)), "no place for more"),
    "another shape": (lambda f: put_weight(f, **{NORM: torch.zeros(33)}), "shape (33,), not (32,)"),
    "integers": (lambda f: put_weight(f, **{NORM: torch.zeros(32, dtype=torch.int32)}), "of type"),
    "not a number": (lambda f: edit_weights(f, lambda t: t[NORM].fill_(torch.nan)), f"{NORM} holds values"),
    "infinity": (lambda f: edit_weights(f, lambda t: t[NORM].fill_(torch.inf)), f"{NORM} holds values"),
    "too large": (lambda f: edit_weights(f, lambda t: t[NORM].fill_(3e38)), "gives no numbers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(fault, tiny_model_folder, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    break_it, words = FAULTS[fault]
    break_it(folder)
    assert generate(folder, tmp_path / "out", "--max-new-tokens 40 --seed 1") == 2
    error = capsys.readouterr().err
    assert error.startswith("musicgpt: error: ") and error.count("\n") == 1 and words in error
    assert not (tmp_path / "out").exists() and not (folder / "exploded").exists()


def test_what_is_right_is_loaded_bit_for_bit_and_nothing_else_of_the_folder_counts(
    tiny_model_folder, tmp_path
):
    from modeling_musicgpt import MusicGPTForCausalLM

    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    edit_config(
        folder, auto_map={"AutoConfig": "evil.Config"}, quantization_config=3, return_dict=False, dtype="x"
    )
    (folder / "generation_config.json").write_text('{"num_beams": 8, "max_time": 0.001}')
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "evil"}')
    ours, theirs = load_model(folder), MusicGPTForCausalLM.from_pretrained(tiny_model_folder)
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())
    assert ours.lm_head.weight is ours.model.embed_tokens.weight and not ours.training
    assert ours.generation_config.num_beams in (None, 1) and ours.config.return_dict
    for dtype in (torch.float16, torch.bfloat16):
        theirs.to(dtype).save_pretrained(folder)
        assert load_model(folder).dtype == dtype
        edit_config(folder, dtype="float32")  # stored in half the room, run in float32
        assert load_model(folder).dtype == torch.float32


def test_a_part_of_the_fuzz_finds_nothing(tiny_model_folder, tmp_path):
    """`python -m benchmarks.fuzz_models` does 10,000, and survives what kills its processes."""
    from benchmarks.fuzz_models import run_case

    found_once = (2583,)  # a musical model without <bos>
    cases = (*range(1, 51), *found_once)
    outcomes = Counter(run_case(number, tmp_path, tiny_model_folder) for number in cases)
    assert outcomes["refused"] > 10 and outcomes["composed"] > 5 and outcomes.total() == 51
