"""What the direct way may take, from a signature and a codec; that it answers alike is tested where an engine has one (tflite)."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes.direct import entries_of, wire_entries
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.number import Number
from portside.sdk.core.door import Door
from portside.sdk.core.signature import Signature, TensorSpec

FLOAT, CODE = TensorSpec("x", "f64", ("batch", 2)), TensorSpec("colour", "i32", ("batch",), categories=("red", "blue"), missing=True)


def sure(found):
    """There is a direct way."""
    assert found is not None
    return found


def entries(*specs):
    signature = Signature(specs, ())
    return entries_of(signature, Door(signature), [spec.name for spec in specs])


def wired(codec, *specs):
    signature = Signature(specs, ())
    return wire_entries(signature, Door(signature), codec, [spec.name for spec in specs])


@pytest.mark.parametrize(("changes", "limits", "nan"), [
    ({}, None, False),
    ({"missing": True}, None, True),
    ({"range": (0, 1)}, None, False),
    ({"range": (0, 1), "on_range": "reject"}, (0.0, 1.0), False),
    ({"range": (0, 1), "on_range": "clamp"}, (0.0, 1.0), False),
    ({"on_range": "clamp"}, None, False),
])  # fmt: skip
def test_only_what_a_door_refuses_or_changes_is_looked_at(changes, limits, nan):
    signature = Signature((FLOAT,), ()).edit("x", **changes)
    (entry,) = sure(entries_of(signature, Door(signature), ["x"]))
    assert (entry.limits, entry.nan, entry.dtype, entry.wide) == (limits, nan, np.float32, np.float64)


def test_without_a_range_what_is_rejected_is_what_is_not_finite():
    signature = Signature((FLOAT,), ()).edit("x", on_range="reject")
    (entry,) = sure(entries_of(signature, Door(signature), ["x"]))
    assert entry.limits == (-np.finfo(np.float32).max, np.finfo(np.float32).max)


def test_codes_are_looked_at_whatever_is_done_with_others():
    assert sure(entries(CODE))[0].limits == (-1, 1)


def test_texts_have_no_direct_way_and_nothing_beside_them_has():
    assert entries(FLOAT, TensorSpec("text", "string", ("batch",))) is None


def test_without_a_door_every_array_of_the_programs_dtype_is_taken():
    signature = Signature((FLOAT, CODE), ())
    found = sure(entries_of(signature, None, ["x", "colour", "photo_size"]))
    assert [(entry.name, entry.dtype, entry.limits, entry.shape) for entry in found] == [
        ("x", np.float32, None, None), ("colour", np.int32, None, None), ("photo_size", np.int32, None, None)]  # fmt: skip


def test_known_names_are_those_whose_codes_the_door_lets_in():
    found = wired(Codec.of({"colour": Categories(["red", "blue", "green"], missing=["?"])}), CODE)
    assert (found[0].codes, found[0].arrays, found[0].numbers) == ({"red": 0, "blue": 1, "?": -1}, False, False)


def test_a_number_of_a_step_comes_in_a_list_alone():
    age = TensorSpec("age", "f32", ("batch",), range=(0, 99), on_range="reject")
    (entry,) = sure(wired(Codec.of({"age": Number()}), age))
    assert (entry.numbers, entry.arrays, entry.wide, entry.limits) == (True, False, None, (0.0, 99.0))


def test_a_field_that_makes_another_input_does_not_pass_through_as_its_own():
    steps = [{**Codec.of({"x": Number()}).steps[0], "produces": ["age"]}]
    codec = Codec.from_steps(steps, lambda path: b"")
    assert wired(codec, TensorSpec("age", "f32", ("batch",)), FLOAT) is None


def test_a_step_that_is_not_known_here_has_no_direct_way():
    class Own(Number):
        """Somebody's own number."""

    codec = Codec.of({"age": Own()})
    assert wired(codec, TensorSpec("age", "f32", ("batch",))) is None
