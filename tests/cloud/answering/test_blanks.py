"""Nothing in the place of an answer: for every dtype, along any axis, and nothing else is touched."""

import numpy as np
import pytest

from portside.cloud.answering.blanks import blank, covered, nothing
from portside.sdk.core.signature import Signature, TensorSpec

OUTPUTS = (
    TensorSpec("label", "i64", ("batch",), categories=("a", "b")),
    TensorSpec("share", "f32", ("batch", 2)),
    TensorSpec("turned", "i32", (2, "batch"), batch_axis=1),
    TensorSpec("size", "u8", ("batch",)),
    TensorSpec("whole", "f32", (3,), batch_axis=None),
)
SIGNATURE = Signature(inputs=(TensorSpec("x", "f32", ("batch", 1)),), outputs=OUTPUTS)
NAMED = {
    "label": np.array(["a", "b", "a"], object), "share": np.arange(6, dtype=np.float32).reshape(3, 2),
    "turned": np.arange(6, dtype=np.int32).reshape(2, 3), "size": np.array([1, 2, 3], np.uint8), "whole": np.ones(3, np.float32),
}  # fmt: skip


def test_rows_are_covered_and_the_others_stay():
    before = {name: array.copy() for name, array in NAMED.items()}
    held = covered(NAMED, SIGNATURE, [1])
    assert held["label"].tolist() == ["a", None, "a"] and held["size"].tolist() == [1, 255, 3]
    assert np.isnan(held["share"][1]).all() and held["share"][[0, 2]].tolist() == [[0, 1], [4, 5]]
    assert held["turned"].tolist() == [[0, -1, 2], [3, -1, 5]] and np.isnan(held["whole"]).all()
    assert all(np.array_equal(NAMED[name], array) for name, array in before.items())
    assert {name: array.dtype for name, array in held.items()} == {name: array.dtype for name, array in NAMED.items()}


def test_rows_are_taken_from_what_is_given_meanwhile():
    meanwhile = {name: array.copy() for name, array in NAMED.items()} | {"label": np.array(["b"] * 3, object)}
    assert covered(NAMED, SIGNATURE, [0, 2], meanwhile)["label"].tolist() == ["b", "b", "b"]


def test_answers_that_hold_nothing():
    held = nothing(SIGNATURE, 2)
    assert held["label"].tolist() == [None, None] and held["share"].shape == (2, 2) and held["turned"].shape == (2, 2)
    boxes = Signature((), (TensorSpec("boxes", "f32", ("batch", "found", 4)),))
    assert nothing(boxes, 2)["boxes"].shape == (2, 0, 4)


@pytest.mark.parametrize(("dtype", "held"), [("i4", -1), ("u1", 255), ("?", False), ("O", None)])
def test_what_stands_for_nothing(dtype, held):
    assert blank(np.dtype(dtype)) == held or blank(np.dtype(dtype)) is held
