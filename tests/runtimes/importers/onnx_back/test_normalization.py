"""Normalisation layers, and softmax in its old and new meaning."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 4, 5)).astype(np.float32) * 2 + 1


def random(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def test_batch_norm(same):
    given = {1: random(6), 2: random(6), 3: random(6), 4: np.abs(random(6)) + 0.1}
    same("BatchNormalization", [X], constants=given, epsilon=1e-3)
    same("BatchNormalization", [X[:, :, 0, 0]], constants=given)


def test_instance_norm(same):
    same("InstanceNormalization", [X], constants={1: random(6), 2: random(6)})


@pytest.mark.parametrize(("opset", "size"), [(18, 3), (21, 6)])
def test_group_norm(same, opset, size):
    same("GroupNormalization", [X], constants={1: random(size), 2: random(size)}, num_groups=3, opset=opset, valid=opset > 18)


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("outputs", [1, 3])
def test_layer_norm(same, axis, outputs):
    shape = X.shape[axis:]
    same("LayerNormalization", [X], constants={1: random(*shape), 2: random(*shape)}, axis=axis, outputs=outputs)
    same("LayerNormalization", [X], constants={1: random(*shape)}, axis=axis, epsilon=1e-2)


def test_mean_variance(same):
    same("MeanVarianceNormalization", [X])
    same("MeanVarianceNormalization", [X], axes=[1])


@pytest.mark.parametrize("p", [1, 2])
def test_lp_norm(same, p):
    same("LpNormalization", [X], axis=1, p=p)


def test_local_response(same):
    same("LRN", [X], size=3, alpha=0.1, bias=2.0)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("axis", [None, 1, 2, -1])
def test_softmax(same, op, opset, axis):
    same(op, [X], opset=opset, **({} if axis is None else {"axis": axis}))


def test_softmax_of_large_numbers(same):
    same("Softmax", [np.array([[1000.0, 999.0, -1000.0], [-np.inf, 0, 0]], np.float32)])
