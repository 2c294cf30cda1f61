"""Agreement of two models: decisions as they are, nothing else."""

import numpy as np
import pytest

from portside.cloud.arms.agreeing import agreements, discrete
from portside.sdk.core.signature import Signature, TensorSpec

LABEL = TensorSpec("label", "i64", ("batch",), kind="decision")
TAGS = TensorSpec("tags", "i32", (4, "batch"), 1, kind="sequence")
MODE = TensorSpec("mode", "i32", (2,), None, kind="decision")


@pytest.mark.parametrize(("spec", "counts"), [
    (LABEL, True), (TAGS, True), (TensorSpec("s", "f32", ("batch", 4), kind="sequence"), False),
    (TensorSpec("p", "f32", ("batch", 3), kind="score"), False), (TensorSpec("r", "i64", ("batch", 3), kind="ranking"), False),
    (TensorSpec("c", "i64", ("batch",), categories=("a", "b")), True), (TensorSpec("b", "bool", ("batch",)), True),
    (TensorSpec("n", "i64", ("batch",)), False),
])  # fmt: skip
def test_decisions_and_sequences_of_them_are_compared(spec, counts):
    assert bool(discrete(Signature((), (spec,)))) is counts


def test_a_row_agrees_when_all_its_decisions_do():
    ours = {"label": np.array([1, 2, 3]), "tags": np.zeros((4, 3), np.int32)}
    theirs = {"label": np.array([1, 9, 3]), "tags": np.zeros((4, 3), np.int32)}
    theirs["tags"][3, 2] = 1
    assert agreements((LABEL, TAGS), ours, theirs, 3) == [True, False, False]
    assert agreements((LABEL,), ours, ours, 3) == [True] * 3 and agreements((), ours, theirs, 2) == [True, True]


def test_other_shapes_agree_nowhere_and_an_output_without_rows_is_every_row_s():
    assert agreements((LABEL,), {"label": np.array([1, 2])}, {"label": np.array([1])}, 2) == [False, False]
    same, other = {"mode": np.array([1, 2])}, {"mode": np.array([1, 3])}
    assert agreements((MODE,), same, same, 2) == [True, True] and agreements((MODE,), same, other, 2) == [False, False]
