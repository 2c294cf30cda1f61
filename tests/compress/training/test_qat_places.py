"""Values of a program are found in its module by what they hold: residual adds, functions, bare parameters, moves."""

from __future__ import annotations

import digits
import functions
import numpy as np
import pytest
import torch

import portside as ps
from portside.compress.base import PassContext
from portside.compress.qat_calls import Calls, seen
from portside.compress.qat_folding import fold
from portside.compress.qat_places import UNSEEN, alike, find_places, without
from portside.compress.quantize import Plans
from portside.compress.settings import Settings
from portside.compress.training.stored import trainee_of
from portside.sdk.core.plan import plan_of


def places_of(package, rows, kept=()):
    model, plans = trainee_of(package).model, Plans(package)
    features = (digits.featurize(torch.from_numpy(rows.inputs["image"][:8])),)
    fold(model, features)
    plan = plans.plan(Settings("int8-static", kept=kept), plans.calibrate(rows.take(range(64))))
    return find_places(package, plans.graphs, plan, seen(model, features)[0], rows.take(range(8)).inputs)


def test_a_residual_add_is_rounded_where_the_users_code_makes_it(trainable, parts):
    places = places_of(trainable, parts[0])
    assert places.results[("", "relu", 1)] == "main/v/Relu_6"
    assert places.results[("inner.0", "conv2d", 1)] == "main/v/Conv_4"
    assert places.products[("stem.0", "conv2d", 1)].enters
    assert places.products[("head.1", "linear", 1)].reads == "main/v/Relu_8"  # the Reshape between them moves codes
    assert not places.products[("head.1", "linear", 1)].enters
    assert places.lost == {}


def test_beside_a_float_layer_the_rest_is_found(trainable, parts):
    places = places_of(trainable, parts[0], ("main/Conv_4",))
    assert "main/Conv_4" not in {held.node for held in places.products.values()}
    assert places.results[("inner.0", "conv2d", 1)] == "main/v/Conv_4"  # the int8 Add reads it
    assert places.lost == {}


@pytest.mark.slow
@pytest.mark.long
def test_a_module_of_functions_is_trained_too(parts, tmp_path):
    torch.manual_seed(0)
    few = parts[0].take(range(200))
    ps.pack(functions.make().eval(), name="bare", featurize=digits.featurize, predict=digits.predict,
            examples={"image": few.inputs["image"][:16]}, out=tmp_path / "bare", training=ps.Training(functions.make))  # fmt: skip
    package = ps.open(tmp_path / "bare", trust=True)
    places = places_of(package, few)
    assert sorted(key[1] for key in places.products) in (["__matmul__", "conv2d", "conv2d"], ["conv2d", "conv2d", "matmul"])
    assert places.lost == {}
    made = ps.QAT(epochs=1).run(package, few, PassContext(tmp_path / "child"))
    assert plan_of(made.content.plan).kept == {}
    before, after = (trainee_of(ps.open(held.path, trust=True)).model.state_dict() for held in (package, made))
    assert all(not torch.equal(value, after[name]) for name, value in before.items())


def test_a_call_that_training_does_not_make_is_lost(trainable, parts):
    places = places_of(trainable, parts[0])
    gone = ("head.3", "linear", 1)
    fewer = without(places, {gone})
    assert gone not in fewer.products
    assert fewer.lost == {"main/Gemm_12": UNSEEN}


def test_calls_have_the_same_keys_in_every_pass(trainable):
    model = trainee_of(trainable).model
    x = torch.rand(3, 1, 8, 8)
    first, second = ([call.key for call in seen(model, (x,))[0]] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first)
    assert ("stem.0", "conv2d", 1) in first
    hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
    assert hooks == 0


def test_a_pass_that_fails_leaves_no_hooks(trainable):
    model = trainee_of(trainable).model
    with pytest.raises(RuntimeError), Calls(model):
        model(torch.rand(3, 2, 8, 8))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert model(torch.rand(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize(("one", "other", "same"), [
    ((2, 3), (2, 3), True), ((2, 1, 3), (2, 3), True), ((4, 5, 3), (20, 3), True), ((2, 3), (3, 2), False), ((6,), (7,), False),
])  # fmt: skip
def test_shapes_differ_by_axes_of_one_and_by_how_rows_are_counted(one, other, same):
    numbers = np.linspace(-1, 1, int(np.prod(one)), dtype=np.float32)
    others = np.linspace(-1, 1, int(np.prod(other)), dtype=np.float32)
    assert alike(numbers.reshape(one), others.reshape(other)) == same
    assert not alike(numbers.reshape(one), others.reshape(other) + np.float32(0.01))
