"""Made-up requests of the protocol: never a 5xx, and every refusal is a sentence that names a field."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_host import PNG64, Serving, send

from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.oip_tensors import DATATYPES

APP = HttpApp(Serving(), max_body_bytes=200_000)
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=3000)

KNOWN = st.sampled_from([PNG64, "red", 1e39])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6) | KNOWN
LISTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
PARAMETERS = st.fixed_dictionaries({}, optional={
    "binary_data_size": st.integers(-1, 70) | SCALARS, "binary_data": SCALARS, "binary_data_output": SCALARS, "entity": SCALARS,
    "event_ms": SCALARS, "classification": SCALARS, "sequence_id": SCALARS,
})  # fmt: skip
TENSORS = st.fixed_dictionaries({}, optional={
    "name": st.sampled_from(["photo", "colour", "size", "scale", "mean", "wat"]) | SCALARS,
    "datatype": st.sampled_from([*DATATYPES, "BF16"]) | SCALARS,
    "shape": st.lists(st.integers(0, 3), max_size=3) | LISTS, "data": LISTS, "parameters": PARAMETERS | SCALARS,
})  # fmt: skip
REQUESTS = st.fixed_dictionaries({}, optional={
    "inputs": st.lists(TENSORS, max_size=4) | SCALARS, "outputs": st.lists(TENSORS, max_size=3) | SCALARS,
    "parameters": PARAMETERS | SCALARS, "id": SCALARS,
})  # fmt: skip
TAILS = st.binary(max_size=70)
LENGTHS = st.none() | st.integers(-3, 80) | st.sampled_from([b"", b"x", b"9" * 30, b"1e3"])


def ask(request, tail, length):
    head = json.dumps(request).encode()
    headers = {"content-type": "application/octet-stream"}
    if length is not None:
        said = length if isinstance(length, bytes) else str(len(head) if length < 0 else length).encode()
        headers["inference-header-content-length"] = said
    answer = send(APP, path="/v2/models/m/infer", content=head + tail, headers=headers)
    body = json.loads(answer.content[: int(answer.headers.get("inference-header-content-length", len(answer.content)))])
    assert answer.status_code in (200, 400, 422), body
    if answer.status_code == 200:
        assert body["model_name"] == "m" and len(answer.content) == int(answer.headers["content-length"])
    else:
        assert isinstance(body["error"], str) and "field" in body and "Traceback" not in answer.text


@QUICK
@given(REQUESTS, TAILS, LENGTHS)
def test_any_request_short_form(request, tail, length):
    ask(request, tail, length)


@pytest.mark.fuzz
@LONG
@given(REQUESTS, TAILS, LENGTHS)
def test_any_request(request, tail, length):
    ask(request, tail, length)


NUMERIC = [name for name, dtype in DATATYPES.items() if dtype.kind in "iuf"]
OTHERS = [
    {"name": "photo", "datatype": "BYTES", "shape": [1], "data": [PNG64]},
    {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]},
]


@QUICK
@given(st.sampled_from(NUMERIC), st.lists(st.integers(0, 10), min_size=2, max_size=2))
def test_any_numeric_datatype_gives_the_answer_that_json_gives(datatype, numbers):
    """A number is a number: the same values in another datatype are answered alike."""
    size = np.array([numbers], DATATYPES[datatype])
    raw = {"name": "size", "datatype": datatype, "shape": [1, 2], "parameters": {"binary_data_size": size.nbytes}}
    head = json.dumps({"inputs": [*OTHERS, raw]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    answer = send(APP, path="/v2/models/m/infer", content=head + size.tobytes(), headers=headers)
    plain = {"name": "size", "datatype": datatype, "shape": [1, 2], "data": numbers}
    other = send(APP, path="/v2/models/m/infer", json={"inputs": [*OTHERS, plain]})
    assert answer.status_code == other.status_code == 200
    assert answer.json()["outputs"] == other.json()["outputs"]
