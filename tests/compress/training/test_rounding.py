"""A trained network that magnifies rounding becomes a package all the same; one that answers otherwise does not."""

from __future__ import annotations

import digits
import numpy as np
import pytest
import torch

import portside as ps
from portside.compress.base import PassContext
from portside.compress.training import rounding
from portside.compress.training.retrace import repacked
from portside.compress.training.stored import trainee_of
from portside.runtimes.subjects import contract_of
from portside.sdk.core.errors import ContractError

FAR = 2e4


def magnifying(package):
    """Hidden units far from zero, and a last layer that takes it off again: what is left of them has lost its last bits."""
    trainee = trainee_of(package)
    with torch.no_grad():
        hidden, last = trainee.model.head[1], trainee.model.head[3]
        hidden.bias.add_(FAR)
        last.bias.sub_(FAR * last.weight.sum(dim=1))
    return trainee


def test_rounding_is_told_from_another_answer(trainable, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rounding, "TIMES", 20.0)  # how far kernels are apart is a matter of the CPU: here 2.8 times the noise
    made = repacked(trainable, magnifying(trainable), {"kind": "test"}, PassContext(tmp_path / "child"))
    limits = contract_of(made).rules["probabilities"].limits
    assert 1e-4 < limits["atol"] <= rounding.MOST, "the parent's tolerance is less than the network's own noise"
    assert contract_of(trainable).rules["probabilities"].limits.get("atol", 1e-4) == 1e-4
    assert ps.compile(ps.open(made.path, trust=True), target="onnx-cpu", out=tmp_path / "artifact").path.is_dir()


def test_what_is_more_than_the_noise_is_refused(trainable, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rounding, "noise", lambda *_: {"probabilities": 1e-6, "digit": 0.0})
    with pytest.raises(ContractError, match="does not answer like its source"):
        repacked(trainable, magnifying(trainable), {"kind": "test"}, PassContext(tmp_path / "child"))
    assert not (tmp_path / "child").exists()


def test_a_source_that_rounds_little_has_little_noise(trainable) -> None:
    signature, trainee = trainable.signature, trainee_of(trainable)
    draw = np.random.default_rng(0).uniform(0, 16, (40, 64)).astype(np.float32)

    def source(inputs):
        with torch.no_grad():
            answers = digits.predict(trainee.model, digits.featurize(torch.from_numpy(inputs["image"])))
        return {name: held.numpy() for name, held in answers.items()}

    assert 0 <= rounding.noise(signature, source, {"image": draw})["probabilities"] < 1e-5
    assert rounding.rounding_limits(ContractError("no report"), signature, source, {"image": draw}) == {}
