"""A client of one door is a client of the other: the same requests at the cloud's and at a device's, answers and refusals compared."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
from door_callers import Doubling, opened, post, said_to

from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.wire import Wire
from portside.runtimes.base import SessionInfo
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.door import Door
from portside.sdk.core.failover import Entry, Policy
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)), TensorSpec("n", "i64", ("batch",), required=False)),
                      (TensorSpec("y", "f32", ("batch", 2), kind="value"),))  # fmt: skip
JSON = b"application/json"
BODIES = [
    {"inputs": {"x": [[1, 2], [3, 4.5]]}}, {"row": {"x": [1, 2]}},
    {"rows": [{"x": [1, 2]}, {"x": [3, 1e30]}], "entity": "a", "event_ms": 1},
    {"row": {"x": [0.1, 1e38]}}, {"rows": []}, {"row": {}, "rows": []}, {"row": {"x": [1, 2]}, "what": 1}, {"row": {"z": 1}}, [1], 5, "x",
    None, {"rows": [{"x": [1, 2]}, {"x": [1, 2], "n": 1}]}, {"row": {"x": [1, 2]}, "entity": ""}, {"row": {"x": [1, 2]}, "event_ms": -1},
    {"row": {"x": [1, 2]}, "event_ms": True}, {"row": 1}, {"rows": [1]}, {"inputs": 1}, {"inputs": {"x": [[1, 2]]}, "entity": "b" * 300},
]  # fmt: skip


class Twice:
    info = SessionInfo(SIGNATURE, "fake", "sha256:1", True, True, True)

    def run(self, inputs, cancel=None):
        return {"y": np.asarray(inputs["x"]) * np.float32(2)}

    def close(self):
        pass


class Checked(Doubling):
    """As an agent does: codec, door, model."""

    def __init__(self, signature, codec):
        super().__init__(signature, codec)
        self.codec, self.door = codec, Door(signature)

    def predict(self, inputs, **more):
        return super().predict(self.door.check(self.codec.encode(inputs)).arrays, **more)


@pytest.fixture(scope="module")
def cloud():
    """Body and content type -> status and data, from the cloud's doors."""
    entry = ModelEntry("m", "sha256:m", "fake", "sha256:a", "f", SIGNATURE, Codec(), Lane(Twice(), 0))
    host = SimpleNamespace(engine=Engine((entry,), Policy((Entry("model"),))), wire=Wire(Codec(), SIGNATURE), openapi={}, fault="",
                           name="m", version="1", max_body_bytes=4096, receipt="none")  # fmt: skip
    app = HttpApp(host)

    async def ask(body, kind):
        sent = []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await app({"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}, receive, send)
        return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))

    return lambda body, kind=JSON: asyncio.run(ask(body, kind))


@pytest.fixture(scope="module")
def device():
    """The same from a device's, over a socket."""
    with opened(Checked(SIGNATURE, Codec())) as doors:
        yield lambda body, kind=JSON: told(said_to(doors, post(body, b"x-portside-receipt: none\r\n", kind)))


def told(said):
    return said.status, said.json()


def form(*parts):
    """(name, file name or None, content) as a form, with its content type."""
    lines = b""
    for name, filename, data in parts:
        told = f'; filename="{filename}"' if filename else ""
        lines += f'--b\r\ncontent-disposition: form-data; name="{name}"{told}\r\n\r\n'.encode() + data + b"\r\n"
    return lines + b"--b--\r\n", b"multipart/form-data; boundary=b"


@pytest.mark.parametrize("said", BODIES, ids=lambda said: json.dumps(said)[:40])
def test_json(cloud, device, said):
    body = json.dumps(said).encode()
    same(device(body), cloud(body))


@pytest.mark.parametrize("body", [b"", b"{", b"nul", b'{"row": {"x": [1, NaN]}}', b"\xff"])
def test_what_is_no_json_is_refused_alike(cloud, device, body):
    (mine, said), (theirs, told) = device(body), cloud(body)
    assert mine == theirs == 400 and said["field"] == told["field"] == "body" and said["error"] == told["error"]


FORMS = [
    form(("x", None, b"[1, 2]")), form(("x", None, b"[1, 2]"), ("x", None, b"[3, 4]"), ("entity", None, b"a")), form(("x", None, b"{")),
    form(("z", None, b"1")), form(), form(("x", "f.bin", b"\xff\xfe")), (b"--c--", b"multipart/form-data; boundary=c"),
    (b"x", b"text/plain"), (b"{}", b"application/vnd.x+json"),
]  # fmt: skip


@pytest.mark.parametrize("request_", FORMS)
def test_forms_and_other_types(cloud, device, request_):
    same(device(*request_), cloud(*request_))


def same(mine, theirs):
    """Status and data, but that 32-bit numbers may be written with more digits."""
    if theirs[0] != 200:
        assert mine == theirs
        return
    assert mine[0] == 200
    mine, theirs = (rows_of(said[1].pop("outputs")) for said in (mine, theirs))
    assert type(mine) is type(theirs) and np.array_equal(mine, theirs, equal_nan=True)


def rows_of(outputs):
    rows = outputs if isinstance(outputs, list) else [outputs]
    return np.array([row["y"] for row in rows], np.float32)


def test_images_come_as_files_and_as_text():
    picture = io.BytesIO()
    PIL.Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(picture, "PNG")
    codec = Codec.of({"x": Image(size=(1, 2))})
    signature = Signature((TensorSpec("x", "u8", ("batch", 1, 2, 3)),), (TensorSpec("y", "f32", ("batch", 1, 2, 3), kind="value"),))
    text = json.dumps({"row": {"x": base64.b64encode(picture.getvalue()).decode()}}).encode()
    with opened(Checked(signature, codec)) as doors:
        for body, kind in ((text, JSON), form(("x", "cell.png", picture.getvalue()))):
            assert said_to(doors, post(body, kind=kind)).json()["outputs"]["y"] == [[[2, 4, 6], [8, 10, 12]]]
        status, said = told(said_to(doors, post(*form(("x", "cell.png", b"no picture"))[:1], kind=b"multipart/form-data; boundary=b")))
        assert status == 422 and said["field"] == "x"
