"""Comparisons, truth values and casts, with NaN and infinities."""

import numpy as np
import pytest

X = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5, 2.5], np.float32)
BOOLS = np.array([True, False, True, False])


@pytest.mark.parametrize("op", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_comparisons(same, op):
    same(op, [X[:, None], X])
    same(op, [np.arange(5), np.array(2)])


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_truth_tables(same, op):
    same(op, [BOOLS[:2, None], BOOLS])


def test_not(same):
    same("Not", [BOOLS])


def test_equality_of_truth_values(same):
    same("Equal", [BOOLS[:2, None], BOOLS])


def test_not_a_number(same):
    same("IsNaN", [X])


@pytest.mark.parametrize("attributes", [{}, {"detect_negative": 0}, {"detect_positive": 0}, {"detect_positive": 0, "detect_negative": 0}])
def test_infinity(same, attributes):
    same("IsInf", [X], **attributes)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_where(same, dtype):
    same("Where", [BOOLS[:, None], np.arange(3).astype(dtype), np.full((1, 1), 7, dtype)])


@pytest.mark.parametrize("to", [np.float32, np.float64, np.int32, np.int64, np.bool_, np.float16])
def test_cast(same, to):
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(to))
    numbers = np.array([-2.7, -0.5, 0.0, 0.5, 2.7, 100.2], np.float32)
    for x in (numbers, numbers.astype(np.int64), BOOLS):
        same("Cast", [x], to=element)


def test_not_a_number_is_true(same):
    same("Cast", [X], to=9)


def test_small_integers(same):
    same("Cast", [np.array([0, 1, 254, 255], np.uint8)], to=1)
    same("Cast", [np.array([0, 1, 127, -128], np.int64)], to=3)


def test_cast_like(same):
    same("CastLike", [np.array([1.5, -1.5], np.float32), np.array([1], np.int64)])


@pytest.mark.parametrize("op", ["BitwiseAnd", "BitwiseOr", "BitwiseXor"])
def test_bits(same, op):
    same(op, [np.array([1, 6, 255], np.int32), np.array([3, 5, 16], np.int32)])


def test_shifts(same):
    for direction in ("LEFT", "RIGHT"):
        same("BitShift", [np.array([1, 6, 200], np.uint8), np.array([1, 2, 3], np.uint8)], direction=direction, traced=False)
