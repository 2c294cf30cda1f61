"""The door: what is refused, what is flagged, what is clamped; with the field and the row named."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.sdk.core.door import Checked, Door, Flag
from portside.sdk.core.door_gate import Gate
from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.signature import MISSING_CODE, NUMPY, UNKNOWN_CODE, Signature, StatePair, TensorSpec


def door(*specs: TensorSpec, state: tuple[StatePair, ...] = ()) -> Door:
    return Door(Signature(specs, (), state))


def refused(gate: Door, **inputs: object) -> InputError:
    with pytest.raises(InputError) as caught:
        gate.check(inputs)
    return caught.value


X = TensorSpec("x", "f32", ("batch", 3))
IDS = TensorSpec("ids", "i64", ("batch", "sequence"))
MASK = TensorSpec("mask", "i64", ("batch", "sequence"))
COLOUR = TensorSpec("colour", "i32", ("batch",), categories=("red", "blue"))


def test_a_fitting_array_passes_uncopied():
    array = np.ones((2, 3), np.float32)
    checked = door(X).check({"x": array})
    assert checked.arrays["x"] is array and checked.flags == ()


def test_a_view_that_is_not_contiguous_becomes_contiguous():
    checked = door(X).check({"x": np.ones((3, 2), np.float32).T})
    assert checked.arrays["x"].flags.c_contiguous


@pytest.mark.parametrize(
    ("given_dtype", "spec_dtype", "rim"),
    [
        ("f8", "f64", "f4"),
        ("f2", "f16", "f4"),
        ("i8", "i64", "i4"),
        ("i4", "f32", "f4"),
        (">f4", "f32", "f4"),
        ("u1", "i32", "i4"),
        ("i8", "u8", "u1"),
    ],
)
def test_what_leaves_is_in_the_dtype_of_the_rim(given_dtype: str, spec_dtype: str, rim: str):
    checked = door(TensorSpec("x", spec_dtype, ("batch",))).check({"x": np.array([1, 2], given_dtype)})
    assert checked.arrays["x"].dtype == np.dtype(rim) and checked.arrays["x"].tolist() == [1, 2]


def test_ids_above_int32_are_refused_by_row():
    error = refused(door(IDS), ids=np.array([[1, 2], [3, 2**31]]))
    assert (error.field, error.row) == ("ids", 1) and "2147483648" in str(error)


def test_floats_too_large_for_the_dtype_are_refused_and_infinities_kept_apart():
    assert refused(door(X), x=np.full((1, 3), 1e39)).row == 0
    assert refused(door(TensorSpec("h", "f16", ("batch",))), h=[1.0, 70000.0]).row == 1
    assert door(X).check({"x": np.full((1, 3), np.inf)}).flags == (Flag("x", 0, "range", math.inf),)


def test_integral_floats_fit_integers_and_others_do_not():
    assert door(IDS).check({"ids": [[1.0, 2.0]]}).arrays["ids"].tolist() == [[1, 2]]
    for wrong in (1.5, math.nan, math.inf, 1e17):
        assert refused(door(IDS), ids=np.array([[1.0, wrong]])).row == 0


@pytest.mark.parametrize("value", [[[True, False, True]], np.ones((1, 3), bool), [[1.0, True, 2.0]], [["1", "2", "3"]], [[{}, 1, 2]]])
def test_booleans_and_texts_are_no_numbers(value: object):
    assert refused(door(X), x=value).field == "x"


def test_numbers_are_no_booleans():
    gate = door(TensorSpec("on", "bool", ("batch",)))
    assert gate.check({"on": [True, False]}).arrays["on"].dtype == bool
    assert refused(gate, on=[True, 0]).row == 1
    assert refused(gate, on=[1, 0]).field == "on"
    assert refused(gate, on=np.array([1, 0])).field == "on"


@pytest.mark.parametrize(
    "value",
    [
        np.ones(3, np.float32),
        np.ones((1, 4), np.float32),
        np.ones((0, 3), np.float32),
        [[1, 2], [1]],
        5,
        None,
        {},
        "x",
        [],
        b"12",
        1j,
        np.zeros((1, 3), complex),
        np.zeros((1, 3), "M8[s]"),
        np.ma.masked_array(np.ones((1, 3)), np.ones((1, 3), bool)),
    ],
)
def test_shapes_and_types_that_do_not_fit(value: object):
    assert refused(door(X), x=value).field == "x"


def test_symbolic_dimensions_agree_over_the_request():
    error = refused(door(IDS, MASK), ids=np.ones((2, 5), np.int64), mask=np.ones((2, 4), np.int64))
    assert error.field == "mask" and "'sequence' is 5 in 'ids'" in str(error)


def test_names_are_exact():
    assert refused(door(X), x=np.ones((1, 3)), y=1).field == "y"
    assert refused(door(X)).field == "x"


def test_null_is_a_missing_value_where_the_signature_takes_one():
    gate = door(TensorSpec("age", "f64", ("batch",), missing=True), TensorSpec("c", "i64", ("batch",), categories=("a",), missing=True))
    checked = gate.check({"age": [1, None], "c": [None, 0]})
    assert np.isnan(checked.arrays["age"][1]) and checked.arrays["c"].tolist() == [MISSING_CODE, 0] and checked.flags == ()


def test_missing_values_are_refused_where_the_signature_takes_none():
    assert refused(door(X), x=np.array([[0, 0, 0], [0, np.nan, 0]])).row == 1
    assert refused(door(COLOUR), colour=[0, None]).row == 1
    assert refused(door(COLOUR), colour=np.array([0, MISSING_CODE])).row == 1


def test_ranges_flag_reject_or_clamp():
    spec = TensorSpec("age", "f32", ("batch",), range=(0, 120))
    assert door(spec).check({"age": [5, 130, -1]}).flags == (Flag("age", 1, "range", 130.0), Flag("age", 2, "range", -1.0))
    clamped = door(TensorSpec("age", "f32", ("batch",), range=(0, 120), on_range="clamp")).check({"age": [5, 130]})
    assert clamped.arrays["age"].tolist() == [5, 120] and clamped.flags == (Flag("age", 1, "clamped", 130.0),)
    error = refused(door(TensorSpec("age", "f32", ("batch",), range=(0, 120), on_range="reject")), age=[5, 130])
    assert error.row == 1 and "0 to 120" in str(error)


def test_ranges_bind_integers_and_let_missing_values_pass():
    assert door(TensorSpec("n", "i64", ("batch",), range=(0, 9))).check({"n": [3, 12]}).flags == (Flag("n", 1, "range", 12),)
    assert door(TensorSpec("a", "f32", ("batch",), range=(0, 9), missing=True)).check({"a": [None, 3]}).flags == ()


def test_an_infinite_range_takes_infinities_and_an_empty_one_is_an_error():
    assert door(TensorSpec("a", "f32", ("batch",), range=(-math.inf, math.inf))).check({"a": [math.inf]}).flags == ()
    with pytest.raises(FormatError):
        door(TensorSpec("a", "f32", ("batch",), range=(1, 0)))


def test_large_finite_values_are_not_infinite():
    assert door(X).check({"x": np.full((1, 3), 3e38, np.float32)}).flags == ()


def test_a_range_is_rounded_as_the_data_are():
    assert door(TensorSpec("a", "f64", ("batch",), range=(0.1, 0.1))).check({"a": [0.1]}).flags == ()
    clamped = door(TensorSpec("n", "i32", ("batch",), range=(0.5, 2.5), on_range="clamp")).check({"n": [0, 3]})
    assert clamped.arrays["n"].tolist() == [1, 2]


def test_unknown_codes_become_one_code_and_are_flagged():
    checked = door(COLOUR).check({"colour": np.array([1, 7, UNKNOWN_CODE, -9], np.int32)})
    assert checked.arrays["colour"].tolist() == [1, UNKNOWN_CODE, UNKNOWN_CODE, UNKNOWN_CODE]
    assert checked.flags == (Flag("colour", 1, "unknown", 7), Flag("colour", 2, "unknown", -2), Flag("colour", 3, "unknown", -9))


def test_unknown_codes_are_refused_where_the_signature_says_so():
    spec = TensorSpec("colour", "i32", ("batch",), categories=("red",), on_unknown="reject")
    assert refused(door(spec), colour=[0, 3]).row == 1


def test_one_flag_a_row_along_the_batch_axis():
    spec = TensorSpec("x", "f32", (2, "batch"), batch_axis=1, range=(0, 1))
    assert [flag.row for flag in door(spec).check({"x": [[5, 0, 5], [5, 0, 0]]}).flags] == [0, 2]
    shared = TensorSpec("x", "f32", (2,), batch_axis=None, range=(0, 1))
    assert door(shared).check({"x": [0, 5]}).flags == (Flag("x", None, "range", 5.0),)


def test_absent_inputs_take_their_default_in_the_shape_of_the_request():
    gate = door(X, TensorSpec("gain", "f32", ("batch",), required=False, default=2.0))
    checked = gate.check({"x": np.ones((4, 3))})
    assert checked.arrays["gain"].tolist() == [2.0] * 4 and checked.flags == (Flag("gain", None, "absent", 2.0),)
    assert list(checked.arrays) == ["x", "gain"]
    assert refused(door(X, TensorSpec("gain", "f32", ("batch",), required=False)), x=np.ones((1, 3))).field == "gain"


def test_states_may_be_left_to_the_session():
    gate = door(X, TensorSpec("h", "f32", ("batch", 2)), state=(StatePair("h_out", "h", ("batch", 2)),))
    assert list(gate.check({"x": np.ones((1, 3))}).arrays) == ["x"]
    assert refused(gate, x=np.ones((1, 3)), h=np.ones((1, 3))).field == "h"


def test_images_of_any_size():
    gate = door(TensorSpec("photo", "u8", ("batch", "photo_height", "photo_width", 3), canvas=(20, 30)))
    images = [np.zeros((20, 30, 3), np.uint8), np.zeros((1, 7, 3), np.uint8)]
    assert [image.shape for image in gate.check({"photo": images}).arrays["photo"]] == [(20, 30, 3), (1, 7, 3)]
    assert gate.check({"photo": np.stack([images[0]] * 2)}).arrays["photo"].shape == (2, 20, 30, 3)
    for wrong in (
        np.zeros((21, 30, 3), np.uint8),
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
    ):
        error = refused(gate, photo=[images[0], wrong])
        assert (error.field, error.row) == ("photo", 1)


def test_texts_pass_as_objects():
    gate = door(TensorSpec("t", "string", ("batch",)))
    assert gate.check({"t": ["a", "b"]}).arrays["t"].tolist() == ["a", "b"]
    assert refused(gate, t=["a", 1]).row == 1


SPECS = st.sampled_from(
    [
        X,
        IDS,
        COLOUR,
        TensorSpec("s", "f64", ("batch",), range=(-5, 5), on_range="clamp", missing=True),
        TensorSpec("b", "bool", ("batch",)),
        TensorSpec("u", "u8", ("batch", 2)),
        TensorSpec("h", "f16", (), batch_axis=None),
        TensorSpec("t", "string", ("batch",), missing=True),
        TensorSpec("m", "i64", ("batch",), categories=("a", "b"), missing=True),
        TensorSpec("p", "u8", ("batch", "h", "w", 1), canvas=(4, 4)),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([2**31, 2**63, 10**400, -1, 0, 1])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(SPECS, JSON)
def test_any_json_is_taken_or_refused_with_a_field(spec: TensorSpec, value: object):
    try:
        checked = door(spec).check({spec.name: value})
    except InputError as error:
        assert error.field == spec.name
    else:
        assert isinstance(checked, Checked)


NUMBERS = st.lists(st.floats(width=32) | st.integers(-(2**40), 2**40), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["f32", "f64", "i64", "i32", "u8", "i8"]), st.sampled_from(["flag", "clamp", "reject"]), st.booleans(), NUMBERS)
def test_what_passed_passes_again_unchanged(dtype: str, on_range: str, coded: bool, numbers: list[float]):
    names = ("a", "b", "c") if coded and dtype.startswith("i") else None
    gate = door(TensorSpec("x", dtype, ("batch",), range=None if names else (-100, 100), on_range=on_range, missing=True, categories=names))
    try:
        first = gate.check({"x": numbers})
    except InputError:
        return
    second = gate.check(first.arrays)
    np.testing.assert_array_equal(first.arrays["x"], second.arrays["x"])
    assert first.arrays["x"].dtype == second.arrays["x"].dtype


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_the_quick_look_for_non_finite_values_agrees_with_numpy(numbers: list[float]):
    array = np.array(numbers, np.float32)
    gate = door(TensorSpec("x", "f32", ("batch",), missing=True))
    assert [flag.row for flag in gate.check({"x": array}).flags] == np.flatnonzero(np.isinf(array)).tolist()


COLUMNS = (
    TensorSpec("a", "f64", ("batch",)),
    TensorSpec("b", "f32", ("batch",), missing=True, range=(-5, 5)),
    TensorSpec("c", "f32", ("batch",), range=(0, 3), on_range="clamp"),
    TensorSpec("d", "i64", ("batch",), range=(-2, 7), on_range="reject", required=False, default=1),
    TensorSpec("e", "i32", ("batch",), categories=("x", "y", "z"), missing=True),
    TensorSpec("f", "i32", ("batch",), categories=("x", "y", "z"), on_unknown="reject"),
    TensorSpec("g", "u8", ("batch",), categories=("x", "y", "z")),
    TensorSpec("h", "i8", ("batch",)),
    TensorSpec("i", "f16", ("other",)),
)
GOOD = st.integers(0, 2)
ODD = st.sampled_from([math.nan, math.inf, -math.inf, -1, -2, 3, 4, 9, 200, 2**31, 1e39, 0.5, -0.0])


def laid(values: list[float], dtype: str, how: str) -> object:
    """A column as callers lay them out."""
    with np.errstate(all="ignore"):
        column = np.array(values, np.float64).astype(dtype)
    made = {
        "column": column,
        "strided": np.repeat(column, 2)[::2],
        "backwards": column[::-1],
        "matrix": column[:, None],
        "list": column.tolist(),
    }
    return {**made, "bare": column.reshape(())}[how] if len(values) == 1 else made.get(how, column)


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[TensorSpec], dict[str, object]]:
    """Some of the columns and a request: usual values in the rim's dtype, most of the time, so that each check is reached."""
    specs = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique_by=lambda spec: spec.name))
    rows = draw(st.integers(0, 4))
    found: dict[str, object] = {}
    for spec in specs:
        length = draw(st.sampled_from([rows] * 7 + [rows + 1]))
        values = draw(st.lists(draw(st.sampled_from([GOOD, GOOD | ODD])), min_size=length, max_size=length))
        dtype = draw(st.sampled_from([NUMPY[spec.rim_dtype].str[1:]] * 6 + ["f8", "i8", "f4", "i4", "?", ">f4"]))
        found[spec.name] = laid(values, dtype, draw(st.sampled_from(["column"] * 8 + ["strided", "backwards", "matrix", "list", "bare"])))
    change = draw(st.sampled_from(["none"] * 8 + ["absent", "more"]))
    if change == "absent":
        del found[specs[0].name]
    return specs, {**found, "more": 1} if change == "more" else found


def answered(gate: Door, inputs: dict[str, object]) -> object:
    """Everything that can be told of a request's passage."""
    try:
        checked = gate.check(inputs)
    except InputError as error:
        return str(error)
    arrays = [(name, array.dtype, array.shape, array.flags.c_contiguous, array.tobytes()) for name, array in checked.arrays.items()]
    return arrays, repr(checked.flags), [name for name in checked.arrays if checked.arrays[name] is inputs.get(name)]


@settings(max_examples=500, deadline=None)
@given(requests())
def test_a_column_that_is_looked_at_once_passes_as_one_that_is_looked_at_twice(asked: tuple[list[TensorSpec], dict[str, object]]):
    specs, inputs = asked
    quick, slow = door(*specs), door(*specs)
    for gate in slow.gates:
        gate.strides = None
    assert answered(quick, inputs) == answered(slow, inputs)


ROWS = (
    TensorSpec("a", "f64", ("batch", 3)),
    TensorSpec("b", "f32", ("batch", 3), missing=True, range=(0, 2), on_range="clamp"),
    TensorSpec("c", "i32", ("batch", 3), categories=("x", "y", "z")),
    TensorSpec("d", "u8", ("batch", 3)),
    TensorSpec("e", "bool", ("batch", 3)),
    TensorSpec("f", "f32", ("batch", 1), range=(0, 2), on_range="reject"),
    TensorSpec("g", "f32", ("batch", "length")),
)
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "backwards": lambda rows: rows[::-1],
    "every other": lambda rows: np.repeat(rows, 2, 0)[::2],
}


@st.composite
def rows_of_several(draw: st.DrawFn) -> tuple[list[TensorSpec], dict[str, object]]:
    """As `requests`, with inputs of two axes: usual rows most of the time, laid out as callers do."""
    specs = draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=3, unique_by=lambda spec: spec.name))
    found: dict[str, object] = {}
    for spec in specs:
        width = draw(st.sampled_from([spec.shape[1] if isinstance(spec.shape[1], int) else 2] * 7 + [2]))
        length = draw(st.sampled_from([2] * 5 + [0, 1, 3]))
        cells = draw(st.lists(draw(st.sampled_from([GOOD, GOOD | ODD])), min_size=length * width, max_size=length * width))
        dtype = draw(st.sampled_from([NUMPY[spec.rim_dtype].str[1:]] * 6 + ["f8", "i4", ">f4"]))
        with np.errstate(all="ignore"):
            array = np.array(cells, np.float64).astype(dtype).reshape(length, width)
        found[spec.name] = LAYOUTS[draw(st.sampled_from(["C"] * 4 + [*LAYOUTS]))](array)
    return specs, found


@settings(max_examples=200, deadline=None)
@given(rows_of_several())
def test_rows_that_are_looked_at_once_pass_as_rows_that_are_looked_at_twice(asked: tuple[list[TensorSpec], dict[str, object]]):
    specs, inputs = asked
    quick, slow = door(*specs), door(*specs)
    for gate in slow.gates:
        gate.strides = None
    assert answered(quick, inputs) == answered(slow, inputs)


def test_usual_rows_are_looked_at_once(monkeypatch: pytest.MonkeyPatch):
    gate = door(*ROWS[:6])
    monkeypatch.setattr(Gate, "_to_rim", lambda self, value: pytest.fail(f"{self.name} is looked at twice"))
    for rows in (1, 2, 3):
        batch = {spec.name: np.ones((rows, spec.shape[1]), NUMPY[spec.rim_dtype]) for spec in ROWS[:6]}
        assert all(held is batch[name] for name, held in gate.check(batch).arrays.items())


def test_most_columns_are_looked_at_once(monkeypatch: pytest.MonkeyPatch):
    batch = {spec.name: np.array([0, 2, 1], NUMPY[spec.rim_dtype]) for spec in COLUMNS}
    gate = door(*COLUMNS)
    monkeypatch.setattr(Gate, "_to_rim", lambda self, value: pytest.fail(f"{self.name} is looked at twice"))
    for rows in (1, 2, 3):
        checked = gate.check({name: column[:rows].copy() for name, column in batch.items()})
        assert list(checked.arrays) == list(batch) and checked.flags == ()


def test_an_empty_column_is_refused_wherever_it_stands():
    empty = np.ones(1, np.float32)[:0]
    pair = door(TensorSpec("x", "f32", ("batch",)), TensorSpec("y", "f32", ("batch",)))
    assert "empty" in str(refused(pair, x=empty, y=empty)) and refused(pair, x=empty, y=empty).field == "x"
    assert refused(pair, x=np.ones(1, np.float32), y=empty).field == "y"


def test_one_row_without_its_batch_axis_is_told_so():
    gate = door(TensorSpec("x", "f32", ("batch", 3), 0))
    assert refused(gate, x=np.ones(3, np.float32)).fix == "An input is a batch: put this one row in a list."
    assert refused(gate, x=np.ones(2, np.float32)).fix is None


@pytest.mark.parametrize("one", [41, 41.5, np.float32(41)])
def test_one_value_without_its_batch_axis_is_told_so(one):
    gate = door(TensorSpec("x", "f32", ("batch",), 0))
    assert refused(gate, x=one).fix == "An input is a batch: put this one row in a list."
    assert gate.check({"x": [one]}).arrays["x"].shape == (1,)
