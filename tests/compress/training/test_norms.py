"""Statistics of batch norms: taken anew where the norm follows its batches, left where its module does not let it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from portside.compress.training.batches import Batch
from portside.compress.training.norms import estimated, parted


class Held(nn.Sequential):
    """Its norm never trains."""

    def train(self, mode=True):
        super().train(mode)
        self[1].eval()
        return self


def batches(x):
    return [Batch(part, (x[part],), None) for part in parted(np.arange(len(x)))]


def test_they_are_the_datas_own_and_nothing_else_changes():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=0.01), nn.Dropout(0.5)).eval(), torch.randn(640, 4) * 3 + 1
    before = {name: held.clone() for name, held in model.named_parameters()}
    assert estimated(model, batches(x)) == 1
    with torch.no_grad():
        seen = model[0](x)
    torch.testing.assert_close(model[1].running_mean, seen.mean(0))
    torch.testing.assert_close(model[1].running_var, seen.var(0), rtol=0.03, atol=0)
    assert model[1].momentum == 0.01
    assert not any(held.training for held in model.modules())
    assert all(torch.equal(held, before[name]) for name, held in model.named_parameters())


def test_norms_that_are_held_still_stay_and_so_do_models_without():
    model, x = Held(nn.Linear(4, 3), nn.BatchNorm1d(3)).eval(), torch.randn(64, 4)
    assert estimated(model, batches(x)) == 0
    assert not model[1].running_mean.any()
    assert estimated(nn.Linear(4, 3), batches(x)) == 0


def test_what_fails_leaves_the_model_as_it_was_used():
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=0.2)).eval()
    try:
        estimated(model, batches(torch.randn(64, 5)))
    except RuntimeError:
        pass
    else:
        raise AssertionError("5 features are not 3")
    assert model[0].momentum == 0.2
    assert not model[0].training


def test_batches_are_alike_and_one_row_alone_is_none():
    assert [len(part) for part in parted(np.arange(150))] == [75, 75]
    assert [len(part) for part in parted(np.arange(40))] == [40]
    assert parted(np.arange(1)) == []
    assert parted(np.arange(0)) == []
