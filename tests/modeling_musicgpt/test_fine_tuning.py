"""The trainers that people use, unmodified, for a few steps each: weights move, and the model still composes
legally.
"""

from __future__ import annotations

import pytest
import torch

from tokenization import MusicGPTTokenizerFast
from tokenization.codec import first_error

from .conftest import legal_ids, tiny_model

TOKENIZER = MusicGPTTokenizerFast()
TEXTS = [TOKENIZER.decode(legal_ids(48, seed=seed)[1:]) for seed in range(4)]
PROMPT = TOKENIZER.prefix(mode="minor", meter="3/4")
TRL = "TRL is not installed (pip install trl)"


@pytest.fixture
def options(tmp_path):
    """What all trainers are told: one step on the CPU, nothing reported or saved."""
    return {
        "output_dir": str(tmp_path),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
        "learning_rate": 1e-2,
        "disable_tqdm": True,
        "bf16": False,
    }


def _moved(trainer, model) -> None:
    """One training step, after which the weights that learn are others and the output is legal."""
    before = {
        name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad
    }
    trainer.train()
    assert any(
        not torch.equal(weight, before[name]) for name, weight in model.named_parameters() if name in before
    )
    torch.manual_seed(0)
    model.eval()
    output = model.generate(input_ids=torch.tensor([PROMPT]), max_new_tokens=24, do_sample=True)
    assert first_error(output[0].tolist()) is None


def test_trainer(options):
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    model = tiny_model()
    rows = [TOKENIZER(text) for text in TEXTS]
    collator = DataCollatorForLanguageModeling(TOKENIZER, mlm=False)
    given = {"train_dataset": rows, "data_collator": collator, "processing_class": TOKENIZER}
    _moved(Trainer(model, TrainingArguments(**options), **given), model)


def test_lora_without_naming_modules():
    peft = pytest.importorskip("peft", reason="PEFT is not installed (pip install peft)")
    from modeling_musicgpt.configuration_musicgpt import LORA_TARGETS

    model = peft.get_peft_model(tiny_model(), peft.LoraConfig(task_type="CAUSAL_LM"))
    assert model.peft_config["default"].target_modules == set(LORA_TARGETS)
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learning and all(
        "lora_" in name and any(target in name for target in LORA_TARGETS) for name in learning
    )
    added = tiny_model()
    peft.inject_adapter_in_model(peft.LoraConfig(), added)  # what `model.add_adapter` of transformers does
    assert (
        sum("lora_A" in name for name, _ in added.named_parameters())
        == len(LORA_TARGETS) * added.config.num_hidden_layers
    )


@pytest.mark.parametrize("adapted", [False, True])
def test_trl_sft(adapted, options):
    trl = pytest.importorskip("trl", reason=TRL)
    from datasets import Dataset

    lora = (
        pytest.importorskip("peft", reason="PEFT is not installed (pip install peft)").LoraConfig()
        if adapted
        else None
    )
    trainer = trl.SFTTrainer(
        tiny_model(),
        trl.SFTConfig(**options, max_length=64),
        train_dataset=Dataset.from_dict({"text": TEXTS}),
        processing_class=TOKENIZER,
        peft_config=lora,
    )
    _moved(trainer, trainer.model)


def test_trl_dpo(options):
    trl = pytest.importorskip("trl", reason=TRL)
    from datasets import Dataset

    cut = [text.split() for text in TEXTS]
    rows = {"prompt": [" ".join(words[:8]) + " " for words in cut[:2]]}
    rows |= {
        name: [" ".join(words[8:end]) for words in cut[:2]]
        for name, end in (("chosen", 40), ("rejected", 24))
    }
    trainer = trl.DPOTrainer(
        tiny_model(),
        ref_model=tiny_model(),
        args=trl.DPOConfig(**options, max_length=64),
        train_dataset=Dataset.from_dict(rows),
        processing_class=TOKENIZER,
    )
    _moved(trainer, trainer.model)


def test_trl_grpo(options):
    trl = pytest.importorskip("trl", reason=TRL)
    from datasets import Dataset

    def reward(completions, **_):
        return [float(sum(TOKENIZER(text)["input_ids"])) for text in completions]  # no two are alike

    trainer = trl.GRPOTrainer(
        tiny_model(),
        reward_funcs=reward,
        args=trl.GRPOConfig(**options, num_generations=2, max_completion_length=16),
        train_dataset=Dataset.from_dict({"prompt": ["MODE_minor METER_3/4 ", "MODE_major METER_4/4 "]}),
        processing_class=TOKENIZER,
    )
    _moved(trainer, trainer.model)
