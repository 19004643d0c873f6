"""The model as an ONNX graph: any batch and length, the same logits under onnxruntime."""

from __future__ import annotations

import pytest
import torch

from modeling_musicgpt.imitation_musicgpt import last_place

from .conftest import legal_ids, tiny_model


@pytest.mark.parametrize("shape", [(3, 41), (2, 1), (2, 30, 5)])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_what_is_exported_in_place_of_a_running_maximum_is_the_same(shape, share, monkeypatch):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < share
    expected = last_place(mask)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.equal(last_place(mask), expected)


@pytest.mark.slow
def test_exported_with_any_batch_and_length(tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(
            package, reason=f"{package} is not installed (pip install onnx onnxscript onnxruntime)"
        )
    import onnxruntime

    model = tiny_model(num_hidden_layers=1)
    ids = torch.tensor([legal_ids(24, seed=seed) for seed in range(2)])
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    shapes = {"input_ids": free, "attention_mask": free, "use_cache": None}
    exported = torch.export.export(model, (), inputs, dynamic_shapes=shapes)
    assert torch.equal(exported.module()(**inputs).logits, model(**inputs).logits)
    # The optimiser of onnxscript takes half of the time again and changes no value.
    torch.onnx.export(exported, dynamo=True, verbose=False, optimize=False).save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for rows, length, hidden in ((2, 24, 0), (1, 5, 0), (3, 70, 6)):
        ids = torch.tensor(
            [
                [0] * hidden * (row == 0) + legal_ids(length, seed=row)[: length - hidden * (row == 0)]
                for row in range(rows)
            ]
        )
        mask = (ids != 0).long()
        expected = model(ids, attention_mask=mask, use_cache=False).logits
        [logits] = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        assert torch.allclose(torch.from_numpy(logits)[mask.bool()], expected[mask.bool()], atol=1e-4), (
            rows,
            length,
        )
