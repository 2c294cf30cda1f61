"""Pools, with padding that must neither win nor count."""

import numpy as np
import pytest

from portside.sdk.core.errors import UnsupportedError

X = np.random.default_rng(0).normal(size=(2, 3, 9, 8)).astype(np.float32) - 3
FORMS = [
    {}, {"strides": [2, 2]}, {"pads": [1, 1, 1, 1]}, {"pads": [0, 1, 1, 0], "strides": [2, 1]},
    {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"strides": [2, 2], "ceil_mode": 1}, {"pads": [1, 1, 1, 1], "strides": [2, 2], "ceil_mode": 1},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_max_pool(same, form):
    same("MaxPool", [X], kernel_shape=[3, 3], **form)


def test_max_pool_dilated(same):
    same("MaxPool", [X], kernel_shape=[3, 2], dilations=[2, 3])


def test_max_pool_of_infinities(same):
    x = X.copy()
    x[:, :, 5, ::3] = -np.inf
    x[:, :, 1, 1] = np.inf
    same("MaxPool", [x], kernel_shape=[2, 2], pads=[1, 1, 0, 0])


def test_max_pool_of_small_integers(same):
    same("MaxPool", [(X * 20).astype(np.uint8)], kernel_shape=[2, 2], pads=[1, 1, 0, 0])


def test_max_pool_along_one_axis(same):
    same("MaxPool", [X[:, :, 0]], kernel_shape=[3], strides=[2])


def test_places_are_refused(same):
    with pytest.raises(UnsupportedError, match=r"MaxPool \(node\).*second output"):
        same("MaxPool", [X], kernel_shape=[2, 2], outputs=2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("inclusive", [0, 1])
def test_average_pool(same, form, inclusive):
    same("AveragePool", [X], kernel_shape=[3, 3], count_include_pad=inclusive, opset=19, **form)


def test_average_pool_along_one_axis(same):
    same("AveragePool", [X[:, :, 0]], kernel_shape=[3], strides=[2], pads=[1, 1])


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool(same, p):
    same("LpPool", [X], kernel_shape=[2, 2], p=p, strides=[2, 2])
