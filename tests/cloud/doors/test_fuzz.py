"""Made-up requests against the doors: never a 5xx, never a hang, and every refusal names the field.

hypothesis makes raw bodies; schemathesis makes requests from the OpenAPI document, for every door that it describes, and holds the
answers against it. Short by default, longer with `-m fuzz` and PORTSIDE_EFFORT=full. Bytes over real connections: test_protocol_fuzz.py.
"""

import asyncio
import json
import os

import faulty
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_host import PNG64, ROW, Serving
from schemathesis.specs.openapi.checks import positive_data_acceptance

from portside.cloud.doors.http_app import HttpApp
from portside.sdk.core.codec.codec import Codec

SERVINGS = {"codec": Serving(), "plain": Serving(faulty.Faulty("/nonexistent/control"), faulty.SIGNATURE, Codec())}
APPS = {name: HttpApp(serving, max_body_bytes=200_000) for name, serving in SERVINGS.items()}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=3000)
FULL = os.environ.get("PORTSIDE_EFFORT") == "full"

KNOWN = st.sampled_from([PNG64, "red", 1e39, 2**63, -(2**70)])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | KNOWN
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=12
)
FIELDS = st.dictionaries(st.sampled_from(["photo", "colour", "size", "scale", "x", "wat"]), VALUES, max_size=5)
BODIES = st.one_of(
    VALUES,
    st.fixed_dictionaries({}, optional={"inputs": FIELDS | VALUES, "row": FIELDS | VALUES, "rows": st.lists(FIELDS, max_size=3) | VALUES,
                                        "entity": VALUES, "event_ms": VALUES}),
    st.builds(lambda key, value: {"row": {**ROW, key: value}}, st.sampled_from(list(ROW)), VALUES),
    st.builds(lambda value: {"row": {"x": value}}, VALUES),
)  # fmt: skip


def post(app, body, kind, path="/predict"):
    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post(path, content=body, headers={"content-type": kind})

    return asyncio.run(asyncio.wait_for(go(), 20))


def judge(answer):
    body = answer.json()
    assert answer.status_code in (200, 400, 404, 405, 413, 415, 422), body
    if answer.status_code == 200:
        assert body["receipt"]["reason"] == "primary"
    else:
        assert "field" in body and body["what"] and "Traceback" not in answer.text


PATHS = st.sampled_from(["/predict", "/api/predict"])
NAMES = st.sampled_from(list(APPS))
KINDS = st.sampled_from(
    ["application/json", "multipart/form-data; boundary=b", "multipart/form-data", "text/plain", "", "application/json; charset=utf-16"]
)


def form(name, data, end):
    return b'--b\r\ncontent-disposition: form-data; name="' + name + b'"\r\n\r\n' + data + end


PART_NAMES = st.binary(max_size=8) | st.sampled_from([b"photo", b"size", b"x"])
FORMS = st.builds(form, PART_NAMES, st.binary(max_size=60), st.sampled_from([b"\r\n--b--\r\n", b"", b"\r\n--b\r\n"]))


@QUICK
@given(NAMES, BODIES, PATHS)
def test_any_json_short_form(name, body, path):
    judge(post(APPS[name], json.dumps(body).encode(), "application/json", path))


@pytest.mark.fuzz
@LONG
@given(NAMES, BODIES, PATHS)
def test_any_json(name, body, path):
    judge(post(APPS[name], json.dumps(body).encode(), "application/json", path))


@QUICK
@given(NAMES, st.binary(max_size=200) | FORMS, KINDS)
def test_any_bytes_short_form(name, body, kind):
    judge(post(APPS[name], body, kind))


@pytest.mark.fuzz
@LONG
@given(NAMES, st.binary(max_size=200) | FORMS, KINDS)
def test_any_bytes(name, body, kind):
    judge(post(APPS[name], body, kind))


asgi = schemathesis.openapi.from_asgi("/openapi.json", APPS["codec"])


@asgi.parametrize()
@settings(QUICK, max_examples=8)
def test_by_schema_short_form(case):
    by_schema(case)


@pytest.mark.fuzz
@asgi.parametrize()
@settings(QUICK, max_examples=1000 if FULL else 80)
def test_by_schema(case):
    by_schema(case)


def by_schema(case):
    """Statuses, content types, headers and bodies are what the document says; what is valid there may still be refused (a broken image)."""
    answer = case.call_and_validate(excluded_checks=[positive_data_acceptance])
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code >= 400 and answer.status_code not in (405, 503):
        assert "field" in answer.json(), answer.text
