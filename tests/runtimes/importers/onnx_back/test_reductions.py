"""Reductions over every form of axes, places of extremes with ties, sorting, running sums."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5)).astype(np.float32)
TIES = RNG.integers(0, 3, (4, 6)).astype(np.float32)
NAMES = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum",
         "ReduceLogSumExp"]  # fmt: skip


@pytest.mark.parametrize("op", NAMES)
def test_reductions(same, op):
    x = np.abs(X) if op == "ReduceLogSum" else X
    for axes in ([1], [0, -1], [0, 1, 2]):
        same(op, [x], constants={1: np.array(axes)}, keepdims=0)
        same(op, [x], constants={1: np.array(axes)})
    same(op, [x])
    same(op, [x], noop_with_empty_axes=1)
    same(op, [x], opset=11, axes=[1, 2], keepdims=0)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceSumSquare"])
def test_reductions_of_integers(same, op):
    same(op, [RNG.integers(-5, 6, (3, 4)).astype(np.int32)], constants={1: np.array([1])})


def test_extremes_of_truth_values(same):
    for op in ("ReduceMax", "ReduceMin"):
        same(op, [X > 0], constants={1: np.array([1])}, opset=20)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
def test_ties(same, op, last):
    for axis in (0, 1, -1):
        same(op, [TIES], axis=axis, select_last_index=last)
        same(op, [TIES.astype(np.int32)], axis=axis, select_last_index=last, keepdims=0)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [0, -1])
def test_top_of_ties(same, largest, axis):
    same("TopK", [TIES], constants={1: np.array([3])}, outputs=2, largest=largest, axis=axis, traced=False)
    same("TopK", [TIES.astype(np.int64)], constants={1: np.array([2])}, outputs=2, largest=largest, axis=axis, traced=False)


def test_top_traced(same):
    same("TopK", [X], constants={1: np.array([3])}, outputs=2)
    same("TopK", [X], constants={1: np.array([2])}, outputs=2, largest=0, axis=1)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_running_sums(same, exclusive, reverse):
    for x in (X, RNG.integers(0, 9, (3, 4))):
        same("CumSum", [x], constants={1: np.array(1)}, exclusive=exclusive, reverse=reverse)
