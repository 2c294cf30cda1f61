"""Initial values of state."""

from __future__ import annotations

import numpy as np

from portside.runtimes.state import bound_dimensions, initial, with_initial
from portside.sdk.core.signature import Signature, StatePair, TensorSpec


def signature_of(pair, dtype="f32"):
    return Signature(
        (TensorSpec("x", "f32", ("batch", "time")), TensorSpec("h", dtype, pair.shape, None)),
        (TensorSpec("g", dtype, pair.shape, None),),
        (pair,),
    )


def test_one_number_fills_the_shape_for_the_rows_there_are():
    signature = signature_of(StatePair("g", "h", (2, "batch", 3), 0.5))
    filled = with_initial(signature, {"x": np.zeros((4, 7), np.float32)})
    assert filled["h"].shape == (2, 4, 3)
    assert filled["h"].dtype == np.float32
    assert (filled["h"] == 0.5).all()


def test_nested_lists_are_repeated_over_rows():
    signature = signature_of(StatePair("g", "h", ("batch", 2), [[1, 2]]), dtype="i64")
    held = with_initial(signature, {"x": np.zeros((3, 1), np.float32)})["h"]
    assert held.tolist() == [[1, 2]] * 3
    assert held.dtype == np.int32


def test_without_rows_a_symbol_is_one():
    pair = StatePair("g", "h", ("batch", 2))
    assert initial(signature_of(pair), pair, {}).shape == (1, 2)


def test_a_state_that_is_passed_is_used_and_the_mapping_is_left_alone():
    pair = StatePair("g", "h", ("batch", 2))
    inputs = {"x": np.zeros((1, 1), np.float32), "h": np.ones((1, 2), np.float32)}
    assert with_initial(signature_of(pair), inputs)["h"] is inputs["h"]
    assert sorted(inputs) == ["h", "x"]


def test_each_call_gets_an_array_of_its_own():
    pair = StatePair("g", "h", ("batch", 2))
    first = initial(signature_of(pair), pair, {})
    first.fill(9)
    assert (initial(signature_of(pair), pair, {}) == 0).all()


def test_images_in_a_list_bind_only_the_batch():
    photo = TensorSpec("photo", "u8", ("batch", "photo_height", "photo_width", 3), canvas=(8, 8))
    images = [np.zeros((2, 3, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)]
    assert bound_dimensions(Signature((photo,), ()), {"photo": images}) == {"batch": 2}
