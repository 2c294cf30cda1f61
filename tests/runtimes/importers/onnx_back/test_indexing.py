"""Lookups and scatters at constant places and at places from the data, some counted from the back."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5)).astype(np.float32)


def both(same, op, x, index, *rest, **attributes):
    """With the index as a constant, and as an input."""
    same(op, [x, *rest], constants={1: index}, **attributes)
    same(op, [x, index, *rest], **attributes)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("index", [np.array(1), np.array([0, 2, -1]), np.array([[1, 2], [0, 0]]), np.array([1, 2], np.int32)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_gather(same, axis, index, dtype):
    both(same, "Gather", (X > 0.5).astype(dtype) if dtype != np.float32 else X, index, axis=axis)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_elements(same, axis):
    index = RNG.integers(-3, 3, (2, 3, 4))
    both(same, "GatherElements", X, index, axis=axis)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_gather_elements_of_a_matrix(same, dtype):
    x = (RNG.normal(size=(6, 5)) * 9).astype(dtype)
    both(same, "GatherElements", x, RNG.integers(-5, 5, (6, 3)), axis=1)
    both(same, "GatherElements", x, RNG.integers(-5, 5, (4, 7)), axis=1)


@pytest.mark.parametrize(("shape", "batch"), [((2, 1), 0), ((2, 2), 0), ((4, 2, 3), 0), ((3, 2, 1), 1), ((3, 4, 1), 2), ((3, 2), 1)])
def test_gather_nd(same, shape, batch):
    index = RNG.integers(-3, 3, shape)
    both(same, "GatherND", X, index, batch_dims=batch)
    both(same, "GatherND", (X * 9).astype(np.int64), index, batch_dims=batch)


@pytest.mark.parametrize("index", [np.array([[2], [0]]), np.array([[-1, 1], [0, -2]]), np.array([[[0, 0, 0]], [[2, 3, 4]]])])
def test_scatter_nd(same, index):
    shape = (*index.shape[:-1], *X.shape[index.shape[-1] :])
    both(same, "ScatterND", X, index, RNG.normal(size=shape).astype(np.float32))


def test_scatter_nd_adds(same):
    index = np.array([[2], [0], [2]])
    both(same, "ScatterND", X, index, RNG.normal(size=(3, 4, 5)).astype(np.float32), reduction="add")


@pytest.mark.parametrize("axis", [0, -1])
def test_scatter_elements(same, axis):
    index = np.array([[[0], [2]], [[-1], [-2]]]) if axis == 0 else np.array([[[0, -1], [2, 3]], [[-1, 2], [-2, 0]]])
    both(same, "ScatterElements", X, index, RNG.normal(size=index.shape).astype(np.float32), axis=axis)


@pytest.mark.parametrize("reduction", ["add", "mul", "max", "min"])
def test_scatter_elements_combines(same, reduction):
    both(same, "ScatterElements", X[0], np.array([[0, 1, 1, 2, 0]]), np.full((1, 5), 0.5, np.float32), reduction=reduction)


def test_the_last_write_to_a_place_stays(same):
    same("ScatterND", [np.zeros(4, np.float32), np.array([1, 2, 3], np.float32)], constants={1: np.array([[1], [1], [3]])})


def test_compress(same):
    same("Compress", [X], constants={1: np.array([True, False, True])}, axis=1)


def test_reverse_sequence(same):
    same("ReverseSequence", [X], constants={1: np.array([1, 3, 2, 3])}, time_axis=0, batch_axis=1)
    same("ReverseSequence", [X], constants={1: np.array([1, 4, 2])}, time_axis=1, batch_axis=0)


def test_places_known_to_be_positive_are_not_counted(same):
    from portside.runtimes.importers.onnx_back.bounds import follows

    assert follows("ArgMax", [False]) and follows("Where", [False, True, True]) and follows("Gather", [True, False])
    assert not follows("Where", [True, True, False]) and not follows("Sub", [True, True]) and not follows("Gather", [False, True])
