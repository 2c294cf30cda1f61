"""What shapes alone decide is folded; masks and one-hot rows are constants."""

import numpy as np
import pytest

from portside.sdk.core.errors import UnsupportedError

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, -1, 2])
def test_triangles(same, upper, k):
    same("Trilu", [X], constants=None if k is None else {1: np.array(k)}, upper=upper)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(same, axis):
    same("OneHot", [np.array([[0, 2], [-1, 5]])], constants={1: np.array(3), 2: np.array([-1.0, 4.0], np.float32)}, axis=axis)


def test_constants_leave_no_step(same):
    assert not same("Range", [], constants={0: np.int64(2), 1: np.int64(9), 2: np.int64(3)}).steps
    assert not same("Range", [], constants={0: np.float32(1), 1: np.float32(0), 2: np.float32(-0.25)}).steps
    assert not same("ConstantOfShape", [], constants={0: np.array([2, 3])}).steps
    assert not same("NonZero", [], constants={0: np.array([[1, 0], [2, 3]])}).steps
    assert not same("EyeLike", [X[0]], k=1).steps


def test_how_many_the_data_decide_is_refused(same):
    with pytest.raises(UnsupportedError, match=r"NonZero \(node\).*depends on the data"):
        same("NonZero", [X])
    with pytest.raises(UnsupportedError, match=r"Range \(node\).*depends on the data"):
        same("Range", [np.int64(9)], constants={1: np.int64(9), 2: np.int64(1)})
