"""An answer that waits, at every door: what stands in JSON of each form, in the parameters of the protocol, in headers."""

import json

import numpy as np
import orjson
import pytest

from portside.cloud.answering.answers import Answer, Pending
from portside.cloud.doors.oip_reply import ReplyWriter, parameters
from portside.cloud.doors.oip_request import Inference
from portside.cloud.doors.pending import MOST, headers
from portside.cloud.doors.receipts import PLACES
from portside.cloud.doors.typed import _body
from portside.cloud.doors.wire import Asked, Wire
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.records import Receipt
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 1)),),
    (
        TensorSpec("label", "i64", ("batch",), categories=("good", "bad")),
        TensorSpec("score", "f32", ("batch",)),
        TensorSpec("whole", "f32", (1,), batch_axis=None),
    ),
)
RECEIPT = Receipt("main", "sha256:1", "fake", 0, "primary", record="r1")


def answer(*numbers, blank=None):
    rows = len(numbers)
    hidden = tuple(row for row, number in enumerate(numbers) if number) if blank is None else blank
    label = np.array([None if row in hidden else "bad" for row in range(rows)], object)
    score = np.array([np.nan if row in hidden else 0.75 for row in range(rows)], np.float32)
    return Answer({"label": label, "score": score, "whole": np.array([np.nan], np.float32)}, RECEIPT, (), Pending(tuple(numbers), hidden))


def body(held, form):
    asked = Asked({}, form)
    return json.loads(orjson.dumps(_body(Wire(Codec(), SIGNATURE), held, asked, False), option=orjson.OPT_SERIALIZE_NUMPY))


def test_one_row_has_one_review():
    assert body(answer("id1"), "row") == {"outputs": {"label": None, "score": None, "whole": None}, "status": "pending", "review": "id1"}


def test_columns_have_null_where_nothing_is_given():
    told = body(answer(None, "id2", None), "inputs")
    assert told["outputs"] == {"label": ["bad", None, "bad"], "score": [0.75, None, 0.75], "whole": None}
    assert (told["status"], told["review"]) == ("pending", [None, "id2", None])


def test_rows_have_null_for_each_output():
    told = body(answer("id1", None), "rows")
    assert told["outputs"][0] == {"label": None, "score": None, "whole": None} and told["outputs"][1]["label"] == "bad"
    assert told["review"] == ["id1", None]


@pytest.mark.parametrize("form", ["row", "rows", "inputs"])
def test_what_is_given_meanwhile_is_there_and_the_review_too(form):
    told = body(answer("id1", blank=()), form)
    assert "bad" in json.dumps(told["outputs"]) and "id1" in json.dumps(told["review"])


def test_the_protocol_says_it_in_parameters():
    assert parameters(answer("id1"), receipt=False) == {"status": "pending", "review": "id1"}
    assert parameters(answer(None, "id2", "id3"), receipt=False) == {"status": "pending", "review": "id2, id3", "review_rows": "1, 2"}
    asked = Inference({}, (("label", False), ("score", True)), None, None, None)
    reply = ReplyWriter("main", "1", SIGNATURE).write(answer("id1", None), asked, PLACES["none"])
    head = json.loads(reply.body[: int(dict(reply.headers)[b"inference-header-content-length"])])
    assert head["outputs"][0]["data"] == ["", "bad"] and head["outputs"][0]["datatype"] == "BYTES"
    assert head["parameters"] == {"status": "pending", "review": "id1", "review_rows": "0"}


def test_headers_name_the_first_reviews():
    told = dict(headers(answer("id1")))
    assert (told[b"x-portside-status"], told[b"x-portside-review"], told[b"x-portside-record"]) == (b"pending", b"id1", b"r1")
    assert b"x-portside-review-rows" not in told
    many = dict(headers(answer(None, *[f"id{row}" for row in range(1, 100)])))
    assert many[b"x-portside-review"].count(b"id") == MOST and many[b"x-portside-review-rows"].startswith(b"1, 2, 3")


def test_an_answer_that_stands_says_nothing_of_it():
    held = answer(None)._replace(pending=None)
    assert set(body(held, "row")) == {"outputs"} and "status" not in parameters(held) and dict(headers(held)).keys().isdisjoint(
        {b"x-portside-status", b"x-portside-review"}
    )  # fmt: skip
