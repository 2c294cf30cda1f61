"""A module that was trained further becomes a package again: derived, proven on every golden row, and trainable once more."""

from __future__ import annotations

import digits
import numpy as np
import pytest
import torch

import portside as ps
from portside.compress.base import PassContext
from portside.compress.training.retrace import repacked
from portside.compress.training.stored import trainee_of
from portside.compress.training.structure import factored, replaced
from portside.sdk.core import errors


def moved(package):
    """A trainee whose weights differ a little from the package's."""
    trainee = trainee_of(package)
    torch.manual_seed(0)
    with torch.no_grad():
        for held in trainee.model.parameters():
            held.mul_(1 + 0.01 * torch.randn_like(held))
    return trainee


def test_the_child_answers_as_its_module(trainable, parts, tmp_path):
    trainee = moved(trainable)
    made = repacked(trainable, trainee, {"kind": "test"}, PassContext(tmp_path / "child"))
    x = parts[1].inputs["image"][:50]
    with torch.no_grad():
        expected = digits.predict(trainee.model, digits.featurize(torch.from_numpy(x)))
    got = made.predict({"image": x})
    np.testing.assert_allclose(got["probabilities"], expected["probabilities"].numpy(), atol=1e-5)
    assert made.lineage == (trainable.digest,)
    assert made.content.recipe[-1] == {"kind": "test"}
    assert made.signature == trainable.signature
    assert made.content.program_digest != trainable.content.program_digest


def test_the_child_can_be_trained_and_compiled(trainable, tmp_path):
    made = repacked(trainable, moved(trainable), {"kind": "test"}, PassContext(tmp_path / "child"))
    again = ps.open(made.path, trust=True)
    assert not torch.equal(trainee_of(again).model.state_dict()["stem.0.weight"], trainee_of(trainable).model.state_dict()["stem.0.weight"])
    artifact = ps.compile(again, target="onnx-cpu", out=tmp_path / "artifact")
    assert artifact.path.is_dir()


def test_edits_are_made_again(trainable, tmp_path):
    trainee = trainee_of(trainable)
    layer = factored(trainee.model.get_submodule("head.1"), 8)
    replaced(trainee.model, "head.1", layer)
    edits = [{"kind": "low-rank", "module": "head.1", "rank": 8}]
    made = repacked(trainable, trainee, {"kind": "test"}, PassContext(tmp_path / "child"), edits)
    found = trainee_of(ps.open(made.path, trust=True)).model.get_submodule("head.1")
    assert torch.equal(found[0].weight, layer[0].weight)
    assert found[1].weight.shape == (64, 8)


def test_layers_take_the_size_of_their_weights(trainable, tmp_path):
    trainee = trainee_of(trainable)
    hidden, last = trainee.model.get_submodule("head.1"), trainee.model.get_submodule("head.3")
    hidden.weight, hidden.bias = (torch.nn.Parameter(held[:40].detach().clone()) for held in (hidden.weight, hidden.bias))
    last.weight = torch.nn.Parameter(last.weight[:, :40].detach().clone())
    made = repacked(trainable, trainee, {"kind": "test"}, PassContext(tmp_path / "child"))
    model = trainee_of(ps.open(made.path, trust=True)).model
    assert (model.get_submodule("head.1").out_features, model.get_submodule("head.3").in_features) == (40, 40)


def test_precision_comes_last(trainable, parts, tmp_path):
    lowered = ps.compress(trainable, "float16", parts[0], out=tmp_path / "small")
    with pytest.raises(errors.InputError, match="before"):
        repacked(ps.open(lowered.path, trust=True), trainee_of(trainable), {"kind": "test"}, PassContext(tmp_path / "child"))
