"""Training: it learns, it is the same for the same seed, and it goes on where it was interrupted as if it had not been."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import portside as ps
from portside.compress.base import PassContext
from portside.compress.training.batches import Batches
from portside.compress.training.fit import Fit, rate
from portside.compress.training.spec import Schedule
from portside.compress.training.stored import trainee_of
from portside.sdk.core import errors

SCHEDULE = Schedule(epochs=3, batch=128, lr=2e-3)


def fresh(package, train, context, schedule=SCHEDULE, **options):
    """A trainee with weights of its own, and the fit around it."""
    trainee = trainee_of(package)
    torch.manual_seed(7)
    for module in trainee.model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    batches = Batches(package, trainee, train)
    return trainee, Fit(trainee.model, lambda batch: trainee.loss(trainee.model(*batch.features), batch.required()), batches, schedule,
                        context, {"test": 1}, **options)  # fmt: skip


def right(package, trainee, data):
    batch = Batches(package, trainee, data).of(np.arange(len(data)))
    with torch.no_grad():
        return float((trainee.model(*batch.features).argmax(1) == batch.labels).float().mean())


def weights(trainee):
    return {name: held.clone() for name, held in trainee.model.state_dict().items()}


def test_it_learns(trainable, parts):
    trainee, fit = fresh(trainable, parts[0], PassContext())
    before = right(trainable, trainee, parts[1])
    fit.run()
    assert before < 0.5 < 0.85 < right(trainable, trainee, parts[1])
    assert not trainee.model.training


def test_an_interrupted_run_ends_as_one_that_was_not(trainable, parts, tmp_path):
    whole, fit = fresh(trainable, parts[0], PassContext(seed=3))
    fit.run()
    stopped, fit = fresh(trainable, parts[0], PassContext(seed=3, checkpoints=tmp_path))

    def stop(done, of, what):
        if done == 2 * fit.batches.steps(128) + 4:
            raise KeyboardInterrupt

    fit.context = replace(fit.context, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        fit.run()
    again, fit = fresh(trainable, parts[0], PassContext(seed=3, checkpoints=tmp_path))
    seen = []
    fit.context = replace(fit.context, progress=lambda done, of, what: seen.append(done))
    fit.run()
    assert seen[0] == 2 * fit.batches.steps(128) + 1
    assert all(torch.equal(held, weights(again)[name]) for name, held in weights(whole).items())
    assert not all(torch.equal(held, weights(stopped)[name]) for name, held in weights(whole).items())


@pytest.mark.parametrize("damage", ["short", "a bit of a weight", "none"])
def test_a_damaged_checkpoint_is_trained_anew(trainable, parts, tmp_path, damage):
    one, fit = fresh(trainable, parts[0], PassContext(checkpoints=tmp_path))
    fit.run()
    (file,) = tmp_path.glob("*.checkpoint")
    data = bytearray(file.read_bytes())
    data[-100] ^= damage == "a bit of a weight"
    file.write_bytes(data[:-100] if damage == "short" else data)
    other, fit = fresh(trainable, parts[0], PassContext(checkpoints=tmp_path))
    steps = []
    fit.context = replace(fit.context, progress=lambda done, of, what: steps.append(done))
    with nullcontext() if damage == "none" else pytest.warns(RuntimeWarning, match=f"{file.name} is damaged and was dropped"):
        fit.run()
    assert bool(steps) == (damage != "none")
    assert all(torch.equal(held, weights(other)[name]) for name, held in weights(one).items())


def test_the_users_random_numbers_stay_as_they_were(trainable, parts):
    torch.manual_seed(11)
    expected = torch.rand(3)
    _, fit = fresh(trainable, parts[0].take(range(200)), PassContext())
    torch.manual_seed(11)
    fit.run()
    assert torch.equal(torch.rand(3), expected)


def test_a_deadline_ends_it_early(trainable, parts):
    trainee, fit = fresh(trainable, parts[0], PassContext(deadline=0.0))
    before = weights(trainee)
    fit.run()
    assert all(torch.equal(held, before[name]) for name, held in weights(trainee).items())


def test_a_loss_that_is_no_number_is_named(trainable, parts):
    trainee, fit = fresh(trainable, parts[0], PassContext())
    fit.objective = lambda batch: trainee.model(*batch.features).sum() * float("nan")
    with pytest.raises(errors.InputError, match="no longer a number"):
        fit.run()


def test_labels_are_needed_and_may_be_names(trainable, parts):
    trainee = trainee_of(trainable)
    batches = Batches(trainable, trainee, ps.Data(parts[0].inputs))
    with pytest.raises(errors.InputError, match="labels"):
        batches.of(np.arange(4)).required()
    with pytest.raises(errors.InputError, match="categories"):
        Batches(trainable, trainee, ps.Data(parts[0].inputs, labels=parts[0].labels.astype(str)))


@pytest.mark.parametrize(("rows", "size", "sizes"), [(5, 1, [1] * 5), (5, 2, [2, 2]), (1, 2, [1]), (4, 2, [2, 2]), (3, 8, [3])])
def test_one_row_is_left_out_only_where_it_is_left_over(trainable, parts, rows, size, sizes):
    batches = Batches(trainable, trainee_of(trainable), parts[0].take(range(rows)))
    made = list(batches.epoch(size, 0, 0))
    assert [len(batch.rows) for batch in made] == sizes
    assert batches.steps(size) == len(made)


def test_the_rate_rises_and_falls():
    rates = [rate(step, 100, 0.1) for step in range(100)]
    assert rates.index(max(rates)) == 10
    assert max(rates) == 1.0
    assert all(one < other for one, other in pairwise(rates[:11]))
    assert all(one > other for one, other in pairwise(rates[10:]))
    assert rates[-1] < 0.01
