"""INPUT of `portside predict`: what a word of the command line means, field by field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portside.sdk.cli.inputs import read_inputs
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.number import Number
from portside.sdk.core.door import Door
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

FIELDS = {
    "age": TensorSpec("age", "f64", ("batch",), missing=True), "colour": TensorSpec("colour", "i32", ("batch",), missing=True),
    "x": TensorSpec("x", "f32", ("batch",), missing=True), "pair": TensorSpec("pair", "f32", ("batch", 2), missing=True),
    "whole": TensorSpec("whole", "f32", ("batch",)),
}  # fmt: skip


def typed(word: str) -> Any:
    """What the program gets of one word."""
    name = word.partition("=")[0]
    codec = Codec.of({field: step for field, step in {"age": Number(), "colour": Categories(["red", "null"])}.items() if field == name})
    signature = codec.annotate(Signature((FIELDS[name],), ()))
    return Door(signature).check(codec.encode(read_inputs([word], codec, signature))).arrays[name].tolist()


@pytest.mark.parametrize(("word", "value"), [
    ("age=41", [41.0]), ("age=null", [np.nan]), ("age=[41, null]", [41.0, np.nan]), ("x=null", [np.nan]), ("x=[1, null]", [1.0, np.nan]),
    ("pair=[1, null]", [[1.0, np.nan]]), ("pair=[[1, 2], [null, 3]]", [[1.0, 2.0], [np.nan, 3.0]]),
    ("colour=red", [0]), ("colour=null", [-1]), ('colour="null"', [1]), ("colour=NULL", [-2]),
])  # fmt: skip
def test_null_is_a_missing_value_for_every_kind_of_field(word: str, value: Any) -> None:
    np.testing.assert_array_equal(typed(word), value)


def test_missing_where_nothing_may_be_is_said() -> None:
    with pytest.raises(InputError, match=r"'whole', row 0: .*missing"):
        typed("whole=null")


def test_a_file_that_is_not_there_is_said_with_what_it_would_hold() -> None:
    with pytest.raises(InputError, match=r"no such file; got rows.json; expected an image, or a JSON object with x"):
        read_inputs(["rows.json"], Codec(), Signature((FIELDS["x"],), ()))
