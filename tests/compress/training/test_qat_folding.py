"""Folding batch norms: nothing changes in float, the edit makes the module again, and what cannot be folded is left."""

from __future__ import annotations

from copy import deepcopy

import digits
import pytest
import torch
from torch import nn

from portside.compress.qat_folding import fold
from portside.compress.training.stored import trainee_of
from portside.compress.training.structure import with_edits, with_weights
from portside.sdk.core import errors

X = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def lively(model):
    """Norms as after training."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.2, 3.0)
            if module.affine:
                nn.init.uniform_(module.weight, -2.0, 2.0)
                nn.init.normal_(module.bias)
    return model.eval()


def test_in_float_nothing_changes(trainable):
    model = trainee_of(trainable).model
    with torch.no_grad():
        before = model(X)
        edits = fold(model, (X,))
        torch.testing.assert_close(model(X), before, atol=1e-5, rtol=1e-5)
    assert [(edit["module"], edit["norm"]) for edit in edits] == [("stem.0", "stem.1"), ("inner.0", "inner.1"), ("down.0", "down.1")]
    assert not [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def test_the_edit_makes_the_module_again():
    model = lively(digits.make())
    edits = fold(model, (X,))
    again = with_weights(with_edits(digits.make(), edits), model.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(X), model(X))


@pytest.mark.parametrize("layer", [
    lambda: nn.Sequential(nn.Conv2d(1, 4, 3, groups=1, bias=False), nn.BatchNorm2d(4, affine=False), nn.Conv2d(4, 4, 3, groups=4),
                          nn.BatchNorm2d(4)),
    lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3), nn.BatchNorm1d(3)),
    lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4)),
])  # fmt: skip
def test_layers_with_and_without_bias_and_groups(layer):
    model = lively(layer())
    before = deepcopy(model)
    edits = fold(model, (X,))
    assert len(edits) == sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in before.modules())
    with torch.no_grad():
        torch.testing.assert_close(model(X), before(X), atol=1e-5, rtol=1e-5)


class Twice(nn.Module):
    """One convolution is read beside its norm, one is called twice, one norm comes first."""

    def __init__(self):
        super().__init__()
        self.first, self.read, self.again = nn.BatchNorm2d(1), nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(1) for _ in range(3))

    def forward(self, x):
        held = self.read(self.first(x))
        held = held + self.norms[0](held)
        return self.norms[2](self.again(self.norms[1](self.again(held))))


def test_what_cannot_be_folded_is_left():
    model = lively(Twice())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    assert fold(model, (X,)) == []
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


class Looks(nn.Module):
    """It reads its norm's weight."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x):
        return self.norm(self.layer(x)) * self.norm.weight.sum()


def test_a_model_that_looks_into_its_norms_is_refused():
    with pytest.raises(errors.UnsupportedError, match="norms"):
        fold(lively(Looks()), (X,))
