"""Signatures from examples: dtype, shape, range, missing values, categories; kinds of outputs."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.sdk.core import infer
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.door import Door
from portside.sdk.core.errors import FormatError, InputError


def test_a_table_with_missing_values_and_categories():
    frame = pd.DataFrame({"age": [31.0, None, 58.0], "colour": ["red", None, "blue"], "n": [1, 2, 3], "on": [True, False, True]})
    found = infer.signature(frame)
    assert [(spec.name, spec.dtype, spec.missing) for spec in found.inputs] == [
        ("age", "f64", True),
        ("colour", "i32", True),
        ("n", "i64", False),
        ("on", "bool", False),
    ]
    assert found.input("age").range == (31.0, 58.0) and found.input("n").range == (1.0, 3.0)
    assert found.input("colour").categories == ("blue", "red")
    assert infer.steps(frame) == {"colour": Categories(["blue", "red"])}


def test_examples_pass_the_door_that_they_imply_without_flags():
    frame = pd.DataFrame({"age": [31.0, None, 58.0], "colour": ["red", None, "blue"], "n": [1, 2, 3]})
    typed = Codec.of(infer.steps(frame)).encode(infer.columns(frame))
    assert Door(infer.signature(frame)).check(typed).flags == ()


@pytest.mark.parametrize(
    ("array", "dtype", "shape", "limits"),
    [
        (np.zeros((2, 3, 4), np.uint8), "u8", ("batch", 3, 4), None),
        (np.array([[1.0, 5.0]], np.float32), "f32", ("batch", 2), (1.0, 5.0)),
        (np.ones((2, 9), np.int64), "i64", ("batch", 9), None),
        (np.ones((2, 3, 8, 8), np.float32), "f32", ("batch", 3, 8, 8), None),
        ([1, 2.5], "f64", ("batch",), (1.0, 2.5)),
        (np.array([1.0, np.inf, np.nan]), "f64", ("batch",), (1.0, 1.0)),
    ],
)
def test_one_array_is_the_input_x(array: object, dtype: str, shape: tuple[object, ...], limits: object):
    spec = infer.signature(array).input("x")
    assert (spec.dtype, spec.shape, spec.range) == (dtype, shape, limits)


def test_columns_keep_bytes_and_stack_arrays():
    held = infer.columns({"photo": [b"\x89PNG\x00\x00"], "x": [np.ones(3, np.float32)] * 2, "t": ["a\x00", None], "n": 5, "w": "word"})
    assert held["photo"] == [b"\x89PNG\x00\x00"] and held["t"].tolist() == ["a\x00", None]
    assert held["x"].shape == (2, 3) and held["x"].dtype == np.float32
    assert held["n"].tolist() == [5] and held["w"].tolist() == ["word"]


def test_named_dimensions_and_images_of_any_size():
    tokens = infer.signature({"ids": np.ones((2, 9), np.int64)}, dynamic={"ids": {1: "sequence"}}).input("ids")
    assert tokens.shape == ("batch", "sequence")
    photo = infer.signature({"photo": [np.zeros((4, 5, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)]}).input("photo")
    assert photo.dtype == "u8" and photo.shape == ("batch", "photo_height", "photo_width", 3)


@pytest.mark.parametrize("column", [["a", 1], [True, 1], [b"png"], [{}], [None], [[1, 2], [3]], [f"text {row}" for row in range(50)]])
def test_a_column_that_cannot_be_told_is_refused_by_name(column: object):
    if column == [None]:
        assert infer.signature({"c": column}).input("c").missing
        return
    with pytest.raises(InputError) as caught:
        infer.signature({"c": column})
    assert caught.value.field == "c"


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.array([1, 2]), "decision"),
        (np.array([True]), "decision"),
        (np.array(["a"], dtype=object), "decision"),
        (np.array([0.0, 1.0, 0.5]), "score"),
        (np.array([0.0, 1.5]), "value"),
        (np.array([np.nan, 0.5]), "value"),
        (-np.eye(16), "embedding"),
        (np.eye(16), "score"),
        (-np.eye(4), "value"),
    ],
)
def test_kinds_of_outputs(array: np.ndarray, kind: str):
    assert infer.outputs({"y": array})[0].kind == kind


def test_outputs_without_a_row_axis():
    specs = infer.outputs({"a": np.ones((3, 2)), "b": np.ones(7), "c": np.float32(1.0)}, rows=3)
    assert [(spec.shape, spec.batch_axis) for spec in specs] == [(("batch", 2), 0), ((7,), None), ((), None)]


CELLS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.lists(CELLS | st.lists(CELLS, max_size=2), min_size=1, max_size=6))
def test_any_column_is_told_or_refused(column: list[object]):
    with contextlib.suppress(InputError, FormatError):
        assert infer.signature({"c": column}).inputs[0].shape[0] == "batch"
