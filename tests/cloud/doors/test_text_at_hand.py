"""Outputs that a record wrote down as text go to the caller as that text, byte for byte what they would be otherwise."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.answering.answers import Answer, Pending
from portside.cloud.doors.typed import _body
from portside.cloud.doors.wire import Asked, Wire
from portside.cloud.records.rows import few
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.records import Receipt
from portside.sdk.core.signature import Signature, TensorSpec

ODD = "name \u00e9\"n"
SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 1)),),
    (TensorSpec("score", "f32", ("batch", 2)), TensorSpec("n", "i64", ("batch",)), TensorSpec(ODD, "f64", ("batch",))),
)  # fmt: skip
ROW = st.tuples(st.floats(width=32), st.floats(width=32), st.integers(-(1 << 63), (1 << 63) - 1), st.floats())
RECEIPT = Receipt("main", "sha256:1", "fake", 0, "primary", record="r1", time_ms=0.5)


def body(held, form):
    return orjson.dumps(_body(Wire(Codec(), SIGNATURE), held, Asked({}, form), True), option=orjson.OPT_SERIALIZE_NUMPY)


@settings(max_examples=200)
@given(st.lists(ROW, min_size=1, max_size=4))
def test_the_body_is_the_same(rows):
    first, second, whole, third = zip(*rows, strict=True)
    outputs = {
        "score": np.array([first, second], np.float32).T.copy(), "n": np.array(whole, np.int64), ODD: np.array(third, np.float64)
    }  # fmt: skip
    kept = few({}, outputs)
    finite = all(bool(np.isfinite(array).all()) for array in outputs.values() if array.dtype.kind == "f")
    assert (kept is not None) == finite, "what is not finite has no text: a record and a caller are told of it in different words"
    if kept is not None:
        plain = Answer(outputs, RECEIPT)
        known = plain._replace(text=kept[1])
        assert body(known, "inputs") == body(plain, "inputs") and json.loads(body(known, "inputs"))["receipt"]["record"] == "r1"
        for form in ("rows", "row"):
            assert body(known, form) == body(plain, form)


@pytest.mark.parametrize("form", ["inputs", "rows"])
def test_what_waits_for_a_person_is_not_told_by_the_text(form):
    outputs = {"score": np.zeros((1, 2), np.float32), "n": np.zeros(1, np.int64), 'name \u00e9"n': np.zeros(1)}
    kept = few({}, outputs)
    assert kept is not None
    told = json.loads(body(Answer(outputs, RECEIPT, (), Pending(("id1",), (0,)), kept[1]), form))
    assert told["review"] == ["id1"] and "0.0" not in json.dumps(told["outputs"])
