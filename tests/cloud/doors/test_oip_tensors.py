"""Tensors of the protocol: what is written is read back, views are views, and what lies about itself is refused by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from portside.cloud.doors.oip_tensors import DATATYPES, read_binary, read_elements, read_json, read_shape, write_binary, write_json
from portside.sdk.core.errors import InputError

NUMBERS = {name: dtype for name, dtype in DATATYPES.items() if dtype.kind != "O"}


@st.composite
def tensors(draw):
    datatype = draw(st.sampled_from(sorted(NUMBERS)))
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    elements = {"allow_nan": False, "allow_infinity": False, "allow_subnormal": False} if NUMBERS[datatype].kind == "f" else None
    return datatype, draw(arrays.arrays(NUMBERS[datatype], shape, elements=elements))


@settings(max_examples=200, deadline=None)
@given(tensors(), st.integers(0, 9))
def test_raw_bytes_are_read_back_wherever_they_stand(tensor, before):
    datatype, array = tensor
    data = bytes(write_binary(array))
    read = read_binary("x", datatype, array.shape, b"." * before + data + b"..", before, len(data))
    assert read.dtype == array.dtype and read.shape == array.shape and read.flags.aligned
    assert read.tobytes() == array.tobytes()


@settings(max_examples=200, deadline=None)
@given(tensors(), st.booleans())
def test_json_data_is_read_back_flat_or_nested(tensor, nested):
    datatype, array = tensor
    data = array.tolist() if nested and array.ndim else array.ravel().tolist()
    read = read_json("x", datatype, array.shape, data)
    assert read.shape == array.shape and np.array_equal(read, array.astype(read.dtype))
    assert np.array_equal(np.asarray(write_json(array)), array.ravel())


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_elements_are_read_back(elements):
    cells = np.empty(len(elements), object)
    cells[:] = elements
    assert read_elements("x", memoryview(bytes(write_binary(cells)))) == elements


@given(st.binary(max_size=60))
def test_no_bytes_make_elements_out_of_nothing(data):
    try:
        elements = read_elements("x", memoryview(data))
    except InputError as error:
        assert error.field == "x"
    else:
        assert sum(4 + len(element) for element in elements) == len(data)


def test_a_large_tensor_is_not_copied_on_its_way_in_or_out():
    body = np.arange(150_000, dtype=np.float32).tobytes()
    read = read_binary("x", "FP32", (1, 150_000), body, 0, len(body))
    assert np.shares_memory(read, np.frombuffer(body, np.uint8)) and not read.flags.writeable
    out = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.shares_memory(np.frombuffer(write_binary(out), np.float32), out)


REFUSED = [
    ("FP32", (3,), [1, 2], "number of elements"),
    ("FP32", (2, 2), [[1, 2, 3], [4]], "nested"),
    ("FP32", (2, 2), [[1, 2], 3, 4], "nested"),
    ("FP32", (1,), ["1"], "no FP32"),
    ("FP32", (1,), [True], "no FP32"),
    ("FP32", (1,), 1, "data is a list"),
    ("FP32", (1,), None, "data is a list"),
    ("FP32", (1,) * 70, [1.0], "shape"),
    ("FP32", (0, 10**30), [], "shape"),
    ("INT32", (1,), [1.5], "no INT32"),
    ("INT8", (2,), [1, 200], "no INT8"),
    ("UINT64", (1,), [-1], "no UINT64"),
    ("BOOL", (1,), [1], "no BOOL"),
    ("BYTES", (1,), [1], "no BYTES"),
    ("BYTES", (2,), ["a"], "number of elements"),
]


@pytest.mark.parametrize(("datatype", "shape", "data", "why"), REFUSED)
def test_json_that_is_not_what_it_says(datatype, shape, data, why):
    with pytest.raises(InputError, match=why) as refused:
        read_json("x", datatype, shape, data)
    assert refused.value.field == "x"


def test_a_wrong_value_is_told_with_its_row():
    with pytest.raises(InputError) as refused:
        read_json("x", "INT8", (3, 2), [1, 2, 3, 4, 5, 300])
    assert refused.value.row == 2 and refused.value.got == "300"


@pytest.mark.parametrize(("datatype", "shape", "data", "why"), [
    ("FP32", (2,), bytes(7), "another size"), ("BOOL", (2,), b"\x01\x02", "0 or 1"), ("BYTES", (1,), b"\x05\x00\x00\x00ab", "cut short"),
    ("BYTES", (2,), b"\x01\x00\x00\x00a", "number of elements"), ("BYTES", (1,), b"\x01\x00", "cut short"),
])  # fmt: skip
def test_bytes_that_are_not_what_they_say(datatype, shape, data, why):
    with pytest.raises(InputError, match=why):
        read_binary("x", datatype, shape, data, 0, len(data))


def test_null_is_a_missing_number_or_text_and_a_missing_name_is_empty():
    assert np.isnan(read_json("x", "FP32", (2,), [None, 1])[0])
    assert read_json("x", "BYTES", (2,), ["a", None]) == ["a", None]
    names = np.array(["a", None], object)
    assert write_json(names) == ["a", ""] and bytes(write_binary(names)) == b"\x01\x00\x00\x00a\x00\x00\x00\x00"


@pytest.mark.parametrize("shape", [None, 3, "3", [1.0], [-1], [True], [None], {"a": 1}])
def test_shapes_that_are_none(shape):
    with pytest.raises(InputError):
        read_shape("x", shape)
