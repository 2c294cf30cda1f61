"""Rows packed in one go: what leaves is what numpy makes of the same lists, and everything unusual is left to the longer way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.door import Door
from portside.sdk.core.door_rows import RowPacker
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

LARGEST = float(np.finfo(np.float32).max)
NUMBERS = st.floats() | st.floats(-20, 20) | st.integers(-20, 20) | st.sampled_from([1e39, -1e39, 10**400, LARGEST, 2**53 + 1, -0.0, 1e-46])
CELLS = NUMBERS | st.booleans() | st.none() | st.text(max_size=1) | st.lists(st.just(1.0), max_size=1)
LIMITS = st.sampled_from([(-LARGEST, LARGEST), (0.0, 10.0), (-1.0, 1.0), (-5.0, 15.0), (0.0, float("inf")), (3.0, 4.0)])


def rows_of(cells, most=3):
    return st.lists(st.lists(cells, min_size=2, max_size=3), max_size=most)


@given(rows_of(NUMBERS) | rows_of(CELLS) | rows_of(st.floats(0, 10)), LIMITS)
def test_what_is_packed_is_what_numpy_makes_of_it(rows, limits):
    packed = RowPacker(3, *limits).pack(rows)
    if packed is None:
        return
    assert {type(cell) for row in rows for cell in row} <= {int, float} and {len(row) for row in rows} == {3}
    read = np.array(rows, np.float64)
    assert np.isfinite(read).all() and (np.abs(read) <= LARGEST).all() and read.min() >= limits[0] and read.max() <= limits[1]
    assert packed.dtype == np.float32 and packed.tobytes() == read.astype(np.float32).tobytes()


@given(
    st.lists(st.lists(st.floats(0, 10) | st.integers(0, 10), min_size=3, max_size=3), min_size=1),
    st.sampled_from([(0.0, 10.0), (-1e6, 1e6)]),
)
def test_what_is_usual_is_packed(rows, limits):
    assert RowPacker(3, *limits).pack(rows) is not None


@given(rows_of(CELLS, 2))
def test_a_door_says_the_same_with_and_without_it(rows):
    spec = TensorSpec("x", "f32", ("batch", 3), range=(-5, 15), missing=True)
    one, other = (Door(Signature((spec,), ())) for _ in range(2))
    other.gates[0].packer = None
    assert said(one, rows) == said(other, rows)


def said(door, rows):
    try:
        checked = door.check({"x": rows})
    except InputError as error:
        return error.to_dict()
    return checked.arrays["x"].tobytes(), checked.arrays["x"].shape, str(checked.flags)


@pytest.mark.parametrize("rows", [[], [[]], [[1.0]], [1.0, 2.0, 3.0], [[1.0, 2.0, True]], [[1.0, 2.0, None]], [(1.0, 2.0, 3.0)]])
def test_everything_else_is_left(rows):
    assert RowPacker(3, -LARGEST, LARGEST).pack(rows) is None
