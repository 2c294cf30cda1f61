"""What users pass becomes what a page can hold, by value; the rest is refused with the field's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portside.runtimes.web.outgoing import tensors, wire
from portside.sdk.core import errors
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (
        TensorSpec("x", "f32", ("batch", 2)), TensorSpec("code", "i32", ("batch",), categories=("a", "b"), missing=True),
        TensorSpec("photo", "u8", ("batch", "h", "w"), canvas=(4, 4)),
    ), (),
)  # fmt: skip


def sent(name, value):
    return tensors({name: value}, SIGNATURE)[name]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.ones(2, np.float16), "float32"),
        (np.ones(2, ">f4"), "float32"),
        (np.ones(2, np.longdouble), "float64"),
        (np.ones(2, np.uint16), "int64"),
        (np.ones(2, np.int16), "int64"),
        (np.array([2**62], np.uint64), "int64"),
        (np.ones(2, np.bool_), "bool"),
        (np.int64(7), "int64"),
        ([1, 2], "int64"),
        ([1, 2.5], "float64"),
        ([[True], [False]], "bool"),
    ],
)
def test_other_dtypes_become_those_of_signatures(value, dtype):
    found = sent("x", value)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, np.asarray(value))


def test_text_stays_text():
    assert sent("x", np.array([["a", "bc"]])).tolist() == [["a", "bc"]]
    assert sent("x", ["a", None]).tolist() == ["a", None]


def test_null_in_a_list_is_what_the_field_calls_missing():
    np.testing.assert_array_equal(sent("x", [[1, None]]), [[1, np.nan]])
    assert sent("code", [0, None, 1]).tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((2, 4), np.complex64), [[1, 2], [3]], [object()], np.array([1, "a", object()], object),
        np.array(["2020-01-01"], "datetime64[D]"),
        np.array([2**64 - 1], np.uint64), np.ma.masked_array([1.0], [True]), [1, True], {"a": 1},
    ],
    ids=range(9),
)  # fmt: skip
def test_what_a_page_cannot_hold_is_refused_by_field(value):
    with pytest.raises(errors.InputError) as caught:
        sent("x", value)
    assert caught.value.field == "x"


def test_images_of_different_sizes_are_a_list():
    found = sent("photo", [np.zeros((2, 3), np.uint8), np.zeros((4, 1), np.uint8)])
    assert [image.shape for image in found] == [(2, 3), (4, 1)]


def test_wire_values_keep_their_kinds():
    plain = {"a": ["x", None, 1, 2.5, True], "b": b"\1"}
    held = wire({**plain, "c": np.float32(2), "d": (bytearray(b"z"), memoryview(b"q")), "e": np.array(["n", None], object)})
    assert held == {**plain, "c": 2.0, "d": [b"z", b"q"], "e": ["n", None]}
    assert wire({"p": np.zeros((2, 2, 3), np.uint8)})["p"].dtype == np.uint8


@pytest.mark.parametrize("value", [{"a": 1}, {1}, Path("photo.png"), [[object()]]], ids=range(4))
def test_wire_values_that_are_none_are_refused_by_field(value):
    with pytest.raises(errors.InputError) as caught:
        wire({"a": value})
    assert caught.value.field == "a"
