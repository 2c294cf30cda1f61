"""Records: ids in order of time, redaction, values that JSON can hold, and the round trip."""

import json
import time
import uuid
from dataclasses import replace
from functools import reduce
from operator import and_, or_

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.sdk.core.records import RECORD_VERSION, Receipt, Record, _tails, described, keep, new_id, plain, uuid7
from portside.sdk.core.signature import Signature, TensorSpec


@settings(max_examples=100)
@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_ids_are_uuid7_and_sort_by_time(first, second, a, b):
    one, two = uuid7(first, a), uuid7(second, b)
    parsed = uuid.UUID(one)
    assert parsed.version == 7 and parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == first
    if first != second:
        assert (one < two) == (first < second)


def test_ids_of_now_differ():
    assert len({new_id() for _ in range(1000)}) == 1000


@settings(max_examples=20)
@given(st.binary(min_size=2560, max_size=2560))
def test_ids_made_many_at_a_time_are_uuid7_too(entropy):
    ends = _tails(entropy)
    assert len(ends) == 256
    for end in ends:
        parsed = uuid.UUID(f"018bcfe5-6800-{end}")
        assert str(parsed)[14:] == end and parsed.version == 7 and parsed.variant == uuid.RFC_4122


def test_all_74_bits_of_an_id_are_random():
    numbers = [uuid.UUID(new_id()).int for _ in range(2000)]
    random = (1 << 76) - 1 ^ 0b11 << 62
    assert reduce(or_, numbers) & random == random and not reduce(and_, numbers) & random


def test_an_id_says_when_it_was_made():
    before = time.time_ns() // 1_000_000
    said = [uuid.UUID(new_id()).int >> 80 for _ in range(300)]
    assert before <= min(said) and max(said) <= time.time_ns() // 1_000_000


WORDS = st.text(max_size=8)
TIMES = st.floats(0, 1e7)


@settings(max_examples=300)
@given(WORDS, WORDS, st.integers(-1, 5), WORDS, st.lists(WORDS, max_size=3), TIMES, TIMES, st.none() | st.floats(0, 1e6), st.booleans(),
       st.booleans(), st.booleans())  # fmt: skip
def test_a_receipt_s_text_is_its_dict(model, version, entry, reason, attempts, time_ms, model_ms, deadline_ms, within, stale, recorded):
    receipt = Receipt(model, version, "t", entry, reason, tuple(attempts), time_ms, model_ms, deadline_ms, within, stale,
                      new_id() if recorded else "")  # fmt: skip
    text, data = receipt.text(), receipt.to_dict()
    assert text is not None and json.loads(text) == data and list(json.loads(text)) == list(data)
    assert receipt.text() is text and receipt.to_dict() == data and replace(receipt, record="").to_dict() == {**data, "record": ""}


@pytest.mark.parametrize("odd", [{"age_ms": 1.5}, {"time_ms": -1.0}, {"deadline_ms": float("inf")}, {"model": "\ud800"}])
def test_an_unusual_receipt_has_no_text(odd):
    given = {"model": "m", "version": "v", "target": "t", "entry": 0, "reason": "primary", **odd}
    assert Receipt(**given).text() is None
    assert Receipt(**{**given, **dict.fromkeys(odd, 5.0 if "model" not in odd else "m")}).text() is not None or "age_ms" in odd


def test_redacted_fields_leave_no_value():
    signature = Signature(
        inputs=(
            TensorSpec("age", "f32", ("batch",), redact=True),
            TensorSpec("voice", "f32", ("batch",), stays_on_device=True),
            TensorSpec("x", "f32", ("batch",)),
        ),
        outputs=(),
    )
    kept = keep({"age": np.array([41.5]), "voice": np.array([7.25]), "x": np.array([1.5])}, signature)
    assert kept == {"age": {"redacted": True}, "voice": {"redacted": True}, "x": [1.5]}
    assert "41.5" not in json.dumps(kept) and "7.25" not in json.dumps(kept)


def test_large_tensors_are_described_not_stored():
    kept = described(np.zeros((64, 64), np.float32), limit_bytes=1000)
    assert kept["shape"] == [64, 64] and kept["dtype"] == "float32" and len(kept["sha256"]) == 64


def test_values_are_json_for_any_parser():
    text = json.dumps(plain(np.array([[1.0, np.nan], [np.inf, -np.inf]])), allow_nan=False)
    assert json.loads(text) == [[1.0, None], ["inf", "-inf"]]


def test_record_round_trip_and_fields_of_the_future():
    receipt = Receipt("m", "sha256:1", "onnx-cpu", 1, "deadline", ("0:deadline",), 51.23456, 4.0, 50.0, False)
    record = Record(new_id(), 10, 9, entity="cell-7", arm="fallback", outputs={"label": [1]}, receipt=receipt.to_dict(), flags=("x",))
    assert record.version == RECORD_VERSION == 1
    again = Record.from_dict({**json.loads(json.dumps(record.to_dict())), "of_the_future": 1})
    assert again == record


@pytest.mark.parametrize("name", ["plain", "naïve\r\nx-evil: 1"])
def test_receipt_headers_cannot_be_broken_by_a_name(name):
    headers = dict(Receipt(name, "sha256:1", "onnx-cpu", 0, "primary", deadline_ms=50.0).to_headers())
    assert headers[b"x-portside-budget-ms"] == b"50" and headers[b"x-portside-reason"] == b"primary"
    assert not any(b"\r" in value or b"\n" in value for value in headers.values())
