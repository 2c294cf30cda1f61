"""Moves without arithmetic, in the forms of old and new opsets."""

import numpy as np
import pytest

X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
INTS = np.int64


def ints(*numbers):
    return np.array(numbers, INTS)


@pytest.mark.parametrize("shape", [(4, -1), (0, -1), (2, 0, 2, 2), (-1,)])
def test_reshape(same, shape):
    same("Reshape", [X], constants={1: ints(*shape)})


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_flatten(same, axis):
    same("Flatten", [X], axis=axis)


def test_transpose(same):
    same("Transpose", [X])
    same("Transpose", [X], perm=[1, 2, 0])


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 3), None])
def test_squeeze_and_back(same, axes):
    x = X[None, ..., None][:, :, :, :1, 0] if axes is None else X.reshape(1, 6, 4, 1)
    same("Squeeze", [x], constants=None if axes is None else {1: ints(*axes)})
    same("Squeeze", [x], opset=11, **({} if axes is None else {"axes": list(axes)}))


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 4), (3, 1)])
def test_unsqueeze(same, axes):
    same("Unsqueeze", [X], constants={1: ints(*axes)})
    if min(axes) >= 0:
        same("Unsqueeze", [X], opset=11, axes=list(axes))


def test_expand(same):
    same("Expand", [X[:, :1]], constants={1: ints(5, 1, 3, 1)})
    same("Expand", [X], constants={1: ints(1)})


def test_tile(same):
    same("Tile", [X], constants={1: ints(2, 1, 3)})


def test_concat(same):
    same("Concat", [X, X[:, :1]], axis=1)
    same("Concat", [X, X], axis=-1)


@pytest.mark.parametrize(("sizes", "axis"), [((1, 3), 2), ((2, 1), 1)])
def test_split_by_sizes(same, sizes, axis):
    same("Split", [X], constants={1: ints(*sizes)}, outputs=2, axis=axis)
    same("Split", [X], outputs=2, opset=11, axis=axis, split=list(sizes))


def test_split_evenly(same):
    same("Split", [X], outputs=2, axis=-1, num_outputs=2)
    same("Split", [X], outputs=2, axis=1, num_outputs=2)  # 2 and 1
    same("Split", [X], outputs=2, axis=2, opset=13)


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ((1,), (3,), (2,), None), ((-2,), (2**31,), (-1,), None), ((0, 1), (1, 99), None, None), ((3,), (0,), (2,), (-1,)),
        ((-1,), (-(2**40),), (2,), (-1,)), ((99,), (-99,), (2,), (-2,)), ((0,), (4,), (2,), (2,)), ((0, 2), (9, -9), (1, 2), (2, -2)),
    ],
)  # fmt: skip
def test_slice(same, starts, ends, axes, steps):
    given = {1: ints(*starts), 2: ints(*ends)}
    given |= {} if axes is None else {3: ints(*axes)}
    given |= {} if steps is None else {4: ints(*steps)}
    same("Slice", [X], constants=given)


def test_slice_of_old_opsets(same):
    same("Slice", [X], opset=9, starts=[1], ends=[3], axes=[2])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 1, 2, 1, 0, 1), (0, 0, 0, 0, 2, 0)])
def test_pad(same, mode, pads):
    value = {2: np.float32(1.5)} if mode == "constant" else {}
    same("Pad", [X], constants={1: ints(*pads), **value}, mode=mode, opset=19)


def test_pad_crops_and_takes_axes(same):
    same("Pad", [X], constants={1: ints(0, -1, 0, 0, 0, -2)})
    same("Pad", [X], constants={1: ints(1, 2), 3: ints(-1)}, opset=18)
    same("Pad", [X], opset=10, pads=[0, 1, 0, 0, 0, 2], value=2.0)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(same, mode):
    same("DepthToSpace", [np.arange(8 * 6, dtype=np.float32).reshape(1, 8, 2, 3)], blocksize=2, mode=mode)


def test_space_to_depth(same):
    same("SpaceToDepth", [np.arange(2 * 4 * 6, dtype=np.float32).reshape(1, 2, 4, 6)], blocksize=2)


def test_shapes_are_constants(same):
    assert not same("Shape", [X]).steps
    assert not same("Shape", [X], start=-2).steps
    assert not same("Shape", [X], start=1, end=2).steps
    assert not same("Size", [X]).steps
