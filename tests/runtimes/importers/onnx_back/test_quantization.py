"""Quantised operators: the same integers, computed in float32, and said so."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(3, 4)) * 20).astype(np.float32)
X[0] = [0.25, 0.75, -0.25, 1000]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_quantize(same, dtype):
    module = same("QuantizeLinear", [X], constants={1: np.float32(0.5), 2: np.array(3, dtype)})
    assert module.notes == ("QuantizeLinear run in float32 with rounding and saturation, not in integers.",)


def test_quantize_each_channel(same):
    same("QuantizeLinear", [X], constants={1: np.array([0.5, 0.1, 2], np.float32), 2: np.array([0, 3, -3], np.int8)}, axis=0)
    same("DequantizeLinear", [X.astype(np.int8)], constants={1: np.array([0.5, 0.1, 2, 1], np.float32), 2: np.zeros(4, np.int8)}, axis=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32])
def test_dequantize(same, dtype):
    same("DequantizeLinear", [RNG.integers(0, 100, (3, 4)).astype(dtype)], constants={1: np.float32(0.1)})


def test_dynamic(same):
    same("DynamicQuantizeLinear", [X], outputs=3)


def test_products(same):
    x, y = RNG.integers(0, 255, (3, 8)).astype(np.uint8), RNG.integers(-127, 127, (8, 4)).astype(np.int8)
    same("MatMulInteger", [x], constants={1: y, 2: np.uint8(7), 3: np.int8(1)})
    scales = {1: np.float32(0.02), 2: np.uint8(7), 3: y, 4: np.float32(0.01), 5: np.int8(1), 6: np.float32(0.1), 7: np.uint8(128)}
    same("QLinearMatMul", [x], constants=scales)


@pytest.mark.exact_sums
def test_convolutions(same):
    x, w = RNG.integers(0, 255, (1, 2, 5, 5)).astype(np.uint8), RNG.integers(-127, 127, (3, 2, 3, 3)).astype(np.int8)
    same("ConvInteger", [x], constants={1: w.astype(np.uint8), 2: np.uint8(7)})
    steps = {
        1: np.float32(0.02),
        2: np.uint8(7),
        3: w,
        4: np.array([0.01, 0.02, 0.03], np.float32),
        5: np.zeros(3, np.int8),
        6: np.float32(0.3),
    }
    same("QLinearConv", [x], constants={**steps, 7: np.uint8(128), 8: np.array([10, -20, 30], np.int32)})
