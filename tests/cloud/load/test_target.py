"""What is sent: made from what the server says of itself, or given; one request ahead says whether it is taken."""

import base64
import io
import json

import numpy as np
import pytest
from answering_server import Answering
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from portside.cloud.load.bodies import Body, oip_request, png, sample
from portside.cloud.load.target import bodies_from, target
from portside.sdk.core.errors import EngineError, InputError


def test_a_body_from_openapi():
    with Answering() as server:
        found = target(server.url)
    row = json.loads(server.bodies[0])["row"]
    assert found.url == f"{server.url}/predict" and len(row["x"]) == 3 and row["colour"] in ("red", "blue")
    head, _, body = found.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /predict HTTP/1.1\r\n") and json.loads(body) == {"row": row} and b"content-type: application/json" in head


def test_a_body_from_open_inference_metadata():
    with Answering() as server:
        found = target(f"{server.url}/v2/models/m/infer")
    x, ids = json.loads(server.bodies[0])["inputs"]
    assert (x["shape"], len(x["data"]), ids["datatype"], ids["data"][0] in (0, 1)) == ([1, 3], 3, "INT64", True)
    assert "Open Inference" in found.made


def test_a_given_body_finds_the_route_by_itself():
    with Answering() as server:
        assert target(server.url, [Body(b"7")]).url.endswith("/predict") and server.bodies == [b"7"]


def test_what_the_server_refuses_is_no_load():
    with Answering(lambda number, body: 422) as server, pytest.raises(EngineError, match="refuses the request") as caught:
        target(server.url)
    assert "--body" in caught.value.fix
    with pytest.raises(EngineError, match="cannot be asked"):
        target("http://127.0.0.1:9/predict", [Body(b"7")])


def test_a_server_with_keys_says_what_it_wants():
    with Answering(lambda number, body: 401) as server, pytest.raises(EngineError) as caught:
        target(server.url)
    assert "--header" in caught.value.fix


@pytest.mark.parametrize("url", ["ftp://x", "http://", ""])
def test_addresses_that_are_none(url):
    with pytest.raises(InputError):
        target(url, [Body(b"7")])


def test_a_header_cannot_break_out_of_its_line():
    with Answering() as server, pytest.raises((InputError, ValueError)):
        target(f"{server.url}/predict", [Body(b"7")], {"a": "b\r\nc: d"})


def test_bodies_from_files(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    (tmp_path / "b.bin").write_bytes(b"\0\1")
    assert bodies_from(tmp_path / "a.jsonl") == [Body(b'{"a": 1}'), Body(b'{"a": 2}')]
    assert bodies_from(tmp_path / "b.bin") == [Body(b"\0\1", "application/octet-stream")]
    assert bodies_from(tmp_path / "b.bin", "image/x")[0].content_type == "image/x"
    (tmp_path / "c.json").write_text("")
    for missing in ("c.json", "nope"):
        with pytest.raises(InputError):
            bodies_from(tmp_path / missing)


@given(st.integers(0, 100))
def test_samples_fit_their_schema(seed):
    whole = {"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 3, "maximum": 5}}
    properties = {"a": whole, "b": {"type": ["null", "number"], "minimum": -1, "maximum": 1}, "c": {"enum": ["x"]}}
    schema = {"type": "object", "required": [*"abcd"], "properties": {**properties, "d": {"type": "boolean"}, "e": {}}}
    held = sample(schema, np.random.default_rng(seed))
    assert len(held["a"]) == 2 and all(3 <= value <= 5 for value in held["a"]) and -1 <= held["b"] <= 1
    assert held["c"] == "x" and isinstance(held["d"], bool) and "e" not in held


def test_a_made_up_image_is_one():
    image = Image.open(io.BytesIO(png(np.random.default_rng(0))))
    assert image.size == (224, 224) and image.mode == "RGB" and np.asarray(image).std() > 10
    data = sample({"type": "string", "contentEncoding": "base64"})
    assert base64.b64decode(data).startswith(b"\x89PNG")


def test_a_datatype_without_a_meaning():
    with pytest.raises(InputError):
        oip_request({"inputs": [{"name": "x", "datatype": "QX8", "shape": [1]}]})
