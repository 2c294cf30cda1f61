"""The Open Inference Protocol over the doors, in process: its routes and forms, binary tensors, refusals, one validator."""

import gzip
import json
import struct
import zlib

import numpy as np
import pytest
from made_host import PNG64, SIGNATURE, Serving, picture, send

from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.oip_tensors import write_binary
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.signature import Signature, TensorSpec

SIZE = {"name": "size", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
COLOUR = {"name": "colour", "datatype": "BYTES", "shape": [1], "data": ["red"]}
PHOTO = {"name": "photo", "datatype": "BYTES", "shape": [1], "data": [PNG64]}
ASK = {"inputs": [PHOTO, COLOUR, SIZE]}
INFER = "/v2/models/m/infer"


def binary(request, *parts):
    """A body of the binary extension and its headers."""
    head = json.dumps(request).encode()
    return {"content": head + b"".join(parts), "headers": {"inference-header-content-length": str(len(head))}}


def elements(*values):
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def test_health_and_metadata(app):
    assert send(app, "GET", "/v2/health/live").json() == {"live": True}
    assert send(app, "GET", "/v2/health/ready").json() == {"ready": True}
    server = send(app, "GET", "/v2").json()
    assert server["name"] == "portside" and server["version"] and "binary_tensor_data" in server["extensions"]
    assert send(app, "POST", "/v2/repository/index").json() == [{"name": "m", "version": "1", "state": "READY", "reason": ""}]


@pytest.mark.parametrize("path", ["/v2/models/m", "/v2/models/m/versions/1"])
def test_a_model_says_what_it_takes_and_gives(app, path):
    model = send(app, "GET", path).json()
    assert (model["name"], model["versions"], model["platform"]) == ("m", ["1"], "portside")
    inputs = {held["name"]: (held["datatype"], held["shape"]) for held in model["inputs"]}
    assert inputs == {"photo": ("BYTES", [-1]), "colour": ("BYTES", [-1]), "size": ("FP32", [-1, 2]), "scale": ("FP32", [])}
    outputs = {held["name"]: (held["datatype"], held["shape"]) for held in model["outputs"]}
    assert outputs == {"mean": ("FP32", [-1]), "name": ("BYTES", [-1]), "total": ("FP32", [])}
    assert send(app, "GET", path + "/ready").json() == {"name": "m", "ready": True}


@pytest.mark.parametrize("path", [INFER, "/v2/models/m/versions/1/infer"])
def test_json_in_json_out(app, path):
    answer = send(app, path=path, json={**ASK, "id": "42"})
    body = answer.json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("m", "1", "42")
    outputs = {held["name"]: (held["datatype"], held["shape"], held["data"]) for held in body["outputs"]}
    assert outputs == {"mean": ("FP32", [1], [200.0]), "name": ("BYTES", [1], ["large"]), "total": ("FP32", [], [3.0])}
    assert body["parameters"]["reason"] == "primary" == answer.headers["x-portside-reason"]
    assert body["parameters"]["version"] == "sha256:m" and all(not isinstance(value, dict | list) for value in body["parameters"].values())
    assert answer.headers["content-type"] == "application/json"


def test_outputs_are_chosen_in_order_and_flags_are_told(app):
    ask = {"inputs": [PHOTO, {**COLOUR, "data": ["green"]}, SIZE], "outputs": [{"name": "total"}, {"name": "name"}]}
    body = send(app, path=INFER, json=ask).json()
    assert [held["name"] for held in body["outputs"]] == ["total", "name"]
    assert "colour[0]: unknown" in body["parameters"]["flags"] and "scale: absent" in body["parameters"]["flags"]
    assert "id" not in body


def test_binary_tensors_in_and_out(app):
    size = np.array([[1, 2], [3, 4]], np.float32)
    photos, colours = elements(picture(50), picture(150)), elements(b"blue", b"red")
    ask = {
        "inputs": [
            {"name": "photo", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(photos)}},
            {"name": "size", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": size.nbytes}},
            {"name": "colour", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(colours)}},
        ],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "mean"}, {"name": "total", "parameters": {"binary_data": False}}, {"name": "name"}],
    }  # fmt: skip
    answer = send(app, path=INFER, **binary(ask, photos, size.tobytes(), colours))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    head, raw = json.loads(answer.content[:length]), answer.content[length:]
    mean, total, name = head["outputs"]
    assert np.frombuffer(raw[: mean["parameters"]["binary_data_size"]], np.float32).tolist() == [50.0, 150.0]
    assert total["data"] == [10.0] and "parameters" not in total
    assert raw[mean["parameters"]["binary_data_size"] :] == elements(b"small", b"large")
    assert name["parameters"]["binary_data_size"] == len(elements(b"small", b"large"))
    assert len(raw) == int(answer.headers["content-length"]) - length


def test_a_photo_may_come_as_pixels_and_a_column_as_a_table_has_it(app):
    pixels = np.full((1, 4, 4, 3), 7, np.uint8)
    photo = {"name": "photo", "datatype": "UINT8", "shape": [1, 4, 4, 3], "data": pixels.ravel().tolist()}
    ask = {"inputs": [photo, {**COLOUR, "shape": [1, 1]}, SIZE], "outputs": [{"name": "mean"}]}
    assert send(app, path=INFER, json=ask).json()["outputs"][0]["data"] == [7.0]


def test_entity_and_time_reach_the_record(app, serving):
    seen = []
    answer = serving.engine.answer

    async def spy(question):
        seen.append((question.entity, question.event_ms))
        return await answer(question)

    serving.engine.answer = spy
    send(app, path=INFER, json={**ASK, "parameters": {"entity": "cell", "event_ms": 5, "something": "else"}})
    assert seen == [("cell", 5)]


@pytest.mark.parametrize(("coding", "squeeze"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_a_compressed_body_is_inflated(app, coding, squeeze):
    size = np.array([[1, 2]], np.float32).tobytes()
    raw = {"name": "size", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    ask = {"inputs": [PHOTO, COLOUR, raw]}
    request = binary(ask, size)
    answer = send(app, path=INFER, content=squeeze(request["content"]), headers={**request["headers"], "content-encoding": coding})
    assert answer.status_code == 200, answer.text


BOMB = zlib.compress(b" " * 2_000_000)


UNINFLATABLE = {
    "a bomb": (BOMB, "deflate", 413),
    "a gzip bomb": (gzip.compress(b" " * 2_000_000), "gzip", 413),
    "not gzip": (b"zzzz", "gzip", 400),
    "cut short": (gzip.compress(b"{}")[:-3], "gzip", 400),
    "bytes after the end": (gzip.compress(b"{}") + b"more", "gzip", 400),
    "an unknown coding": (b"{}", "br", 415),
    "not JSON inside": (gzip.compress(b"{"), "gzip", 400),
}


@pytest.mark.parametrize(("content", "coding", "status"), UNINFLATABLE.values(), ids=UNINFLATABLE)
def test_a_body_that_does_not_inflate(app, content, coding, status):
    answer = send(app, path=INFER, content=content, headers={"content-encoding": coding})
    assert answer.status_code == status and answer.json()["error"]


def changed(**changes):
    """The request with another `size` input."""
    held = {key: value for key, value in {**SIZE, **changes}.items() if value is not None}
    return {"json": {"inputs": [PHOTO, COLOUR, held]}}


REFUSED = [
    (changed(data=[1, "a"]), 422, "size"),
    (changed(shape=[1, 3], data=[1, 2, 3]), 422, "size"),
    (changed(shape=[2, 2], data=[1, 2, 3, 4]), 422, "size"),
    (changed(datatype="FP31"), 422, "size"),
    (changed(datatype=None), 422, "size"),
    (changed(shape=None), 422, "size"),
    (changed(data=None), 422, "size"),
    (changed(name="seize"), 422, "seize"),
    (changed(name=None), 422, "inputs"),
    (changed(parameters={"binary_data_size": 8}), 422, "size"),
    (changed(data=None, parameters={"binary_data_size": 8}), 422, "size"),
    (changed(data=None, parameters={"binary_data_size": -1}), 422, "size"),
    (changed(data=None, parameters={"shared_memory_region": "r"}), 422, "size"),
    (changed(parameters=3), 422, "size"),
    ({"json": {"inputs": [PHOTO, COLOUR]}}, 422, "size"),
    ({"json": {"inputs": [PHOTO, COLOUR, SIZE, SIZE]}}, 422, "size"),
    ({"json": {"inputs": {}}}, 422, "inputs"),
    ({"json": {"inputs": [3]}}, 422, "inputs"),
    ({"json": {"rows": []}}, 422, "inputs"),
    ({"json": []}, 422, "body"),
    ({"json": {**ASK, "outputs": [{"name": "nope"}]}}, 422, "outputs"),
    ({"json": {**ASK, "outputs": "all"}}, 422, "outputs"),
    ({"json": {**ASK, "outputs": [{"name": "mean", "parameters": {"classification": 3}}]}}, 422, "outputs"),
    ({"json": {**ASK, "id": 3}}, 422, "id"),
    ({"json": {**ASK, "parameters": {"entity": ""}}}, 422, "entity"),
    ({"json": {**ASK, "parameters": {"sequence_id": 7}}}, 422, "parameters.sequence_id"),
    ({"json": {**ASK, "parameters": 3}}, 422, "parameters"),
    ({"content": b"{"}, 400, "body"),
    ({"content": b""}, 400, "body"),
    ({"content": b"{}", "headers": {"inference-header-content-length": "x"}}, 400, "inference-header-content-length"),
    ({"content": b"{}", "headers": {"inference-header-content-length": "99"}}, 422, "inference-header-content-length"),
    (binary(ASK, b"more"), 422, "body"),
    ({"content": b" " * 100_001}, 413, "body"),
    ({"json": {"inputs": [PHOTO, {**COLOUR, "data": [7]}, SIZE]}}, 422, "colour"),
    ({"json": {"inputs": [{**PHOTO, "data": ["!!"]}, COLOUR, SIZE]}}, 422, "photo"),
    (binary({"inputs": [PHOTO, {"name": "colour", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}, SIZE]},
            elements(b"\xff")), 422, "colour"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "field"), REFUSED)
def test_refusals_are_sentences_with_their_parts_beside(app, request_, status, field):
    answer = send(app, path=INFER, **request_)
    body = answer.json()
    assert (answer.status_code, body["field"]) == (status, field), body
    assert body["error"].endswith((".", "?", "]")) and body["what"].rstrip(".") in body["error"] and body["kind"] == "InputError"
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("method", "path", "status", "said"), [
    ("GET", "/v2/models/nope", 404, "no such model"), ("POST", "/v2/models/nope/infer", 404, "no such model"),
    ("GET", "/v2/models/m/versions/9", 404, "no such version"), ("GET", "/v2/models/m/nope", 404, "nothing at this path"),
    ("GET", INFER, 405, "method"), ("POST", "/v2", 405, "method"), ("GET", "/v2/nope", 404, "nothing at this path"),
])  # fmt: skip
def test_what_is_not_there(app, method, path, status, said):
    answer = send(app, method, path)
    assert answer.status_code == status and said in answer.json()["error"]


def test_readiness_follows_the_models(app, serving):
    engine, serving.engine = serving.engine, None
    try:
        assert send(app, "GET", "/v2/health/live").status_code == 200
        for method, path in (("GET", "/v2/health/ready"), ("GET", "/v2/models/m/ready"), ("POST", INFER)):
            answer = send(app, method, path)
            assert answer.status_code == 503 and "still loading" in answer.json()["error"]
        listed = send(app, "POST", "/v2/repository/index").json()[0]
        assert (listed["state"], listed["reason"]) == ("UNAVAILABLE", "still loading")
        assert send(app, "GET", "/v2/models/m").status_code == 200, "what a model takes is known before it is loaded"
    finally:
        serving.engine = engine


ALL = ("f32", "f64", "f16", "i8", "u8", "i32", "i64", "bool", "string")
SPECS = tuple(TensorSpec(dtype, dtype, ("batch",)) for dtype in ALL)
EVERY = Signature(SPECS, SPECS)


class Echo:
    """Answers what it was sent."""

    def __init__(self):
        from portside.runtimes.base import SessionInfo

        self.info = SessionInfo(EVERY, "fake", "sha256:1", True, True, True)

    def run(self, inputs, cancel=None):
        dtypes = {"f64": np.float64, "f16": np.float16, "i64": np.int64}
        return {name: array.astype(dtypes.get(name, array.dtype)) for name, array in inputs.items()}

    def close(self):
        pass


@pytest.mark.parametrize("raw", [False, True])
def test_every_datatype_goes_in_and_comes_out(raw):
    serving = Serving(Echo(), EVERY, Codec())
    app = HttpApp(serving)
    model = send(app, "GET", "/v2/models/m").json()
    values = {"f32": [0.5, -1], "f64": [0.25, 3], "f16": [1.5, 2], "i8": [-3, 4], "u8": [0, 255], "i32": [-7, 7], "i64": [1, 2],
              "bool": [True, False], "string": ["é", ""]}  # fmt: skip
    dtypes = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "u8": np.uint8, "i32": np.int32, "i64": np.int64,
              "bool": np.bool_, "string": object}  # fmt: skip
    inputs, parts = [], []
    for held in model["inputs"]:
        name = held["name"]
        tensor = {"name": name, "datatype": held["datatype"], "shape": [2]}
        if raw:
            parts.append(bytes(write_binary(np.array(values[name], dtypes[name]))))
            tensor["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            tensor["data"] = values[name]
        inputs.append(tensor)
    answer = send(app, path=INFER, **binary({"inputs": inputs, "parameters": {"binary_data_output": raw}}, *parts))
    serving.engine.close()
    assert answer.status_code == 200, answer.text
    if raw:
        assert answer.content[int(answer.headers["inference-header-content-length"]) :] == b"".join(parts)
    else:
        assert {held["name"]: held["data"] for held in answer.json()["outputs"]} == values
    assert [held["datatype"] for held in model["inputs"]] == ["FP32", "FP64", "FP16", "INT8", "UINT8", "INT32", "INT64", "BOOL", "BYTES"]


def test_both_doors_give_the_same_answer(app):
    ours = send(app, json={"inputs": {"photo": [PNG64], "colour": ["red"], "size": [[1, 2]]}}).json()["outputs"]
    theirs = {held["name"]: held["data"] for held in send(app, path=INFER, json=ASK).json()["outputs"]}
    assert {name: np.ravel(value).tolist() for name, value in ours.items()} == theirs
    assert SIGNATURE.output("name").categories == ("small", "large")


@pytest.mark.parametrize("spaces", range(9))
def test_a_body_in_pieces_is_joined_so_that_its_tensors_need_no_copy(serving, spaces, monkeypatch):
    """Wherever the JSON ends, the array that reaches the engine is a view of the body."""
    seen = []
    answer = serving.engine.answer

    async def spy(question):
        seen.append(question.wire["size"])
        return await answer(question)

    monkeypatch.setattr(serving.engine, "answer", spy)
    raw = {"name": "size", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    request = binary({"inputs": [PHOTO, COLOUR, raw], "id": "i" * spaces}, np.array([[1, 2]], np.float32).tobytes())

    async def pieces():
        for place in range(0, len(request["content"]), 50):
            yield request["content"][place : place + 50]

    assert send(HttpApp(serving), path=INFER, content=pieces(), headers=request["headers"]).status_code == 200
    assert seen[0].tolist() == [[1, 2]] and seen[0].flags.aligned and not seen[0].flags.owndata and not seen[0].flags.writeable
