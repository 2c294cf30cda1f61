"""How many held-out rows are run at once."""

from portside.runtimes.subjects import FEW, MANY, rows_at_once
from portside.sdk.core.signature import Signature, TensorSpec


def signature(dtype, shape):
    return Signature((TensorSpec("x", dtype, ("batch", *shape)),), (TensorSpec("y", "f32", ("batch",)),))


def test_small_rows_are_many():
    assert rows_at_once(signature("f64", (20,))) == MANY
    assert rows_at_once(signature("i64", ())) == MANY


def test_pictures_and_texts_are_few():
    assert rows_at_once(signature("u8", (64, 65))) == FEW
    assert rows_at_once(signature("i64", ("sequence",))) == FEW


def test_a_program_of_fixed_rows_gets_just_these():
    fixed = Signature((TensorSpec("x", "f32", (1, 3)),), (TensorSpec("y", "f32", (1, 3)),))
    assert rows_at_once(fixed) == 1
    shared = Signature((TensorSpec("x", "f32", (5, 3), None),), (TensorSpec("y", "f32", (5, 3), None),))
    assert rows_at_once(shared) == MANY
