"""The HTTP doors, in process: forms of requests, one format of refusals, limits, health, the OpenAPI document."""

import asyncio
import base64
import json
import time

import faulty
import httpx
import pytest
from made_host import PNG64, ROW, Serving, picture, send

from portside.cloud.doors.http_app import HttpApp
from portside.sdk.core.codec.codec import Codec


def test_three_forms_are_answered_in_their_own_shape(app):
    row = send(app, json={"row": ROW}).json()["outputs"]
    assert row == {"mean": 200.0, "name": "large", "total": 3.0}
    rows = send(app, json={"rows": [ROW, {**ROW, "size": [4, 5]}]}).json()["outputs"]
    assert [item["name"] for item in rows] == ["large", "large"] and rows[0]["total"] == 12.0
    columns = {"photo": [PNG64, PNG64], "colour": ["red", "blue"], "size": [[1, 2], [3, 4]], "scale": 0.1}
    outputs = send(app, json={"inputs": columns}).json()["outputs"]
    assert outputs["name"] == ["small", "small"] and outputs["mean"] == pytest.approx([20.0, 20.0])


def test_an_upload_is_one_row_and_several_are_several(app):
    parts = {"colour": "blue", "size": "[1, 2]"}
    one = send(app, files={"photo": ("a.png", picture(50))}, data=parts)
    assert one.json()["outputs"] == {"mean": 50.0, "name": "small", "total": 3.0}
    files = [("photo", ("a.png", picture(50))), ("photo", ("b.png", picture(150)))]
    two = send(app, files=files, data={"colour": ["blue", "red"], "size": ["[1, 2]", "[3, 4]"]})
    assert two.json()["outputs"]["name"] == ["small", "large"]


def test_null_is_missing_where_it_may_be_and_nan_leaves_as_null(app):
    answer = send(app, json={"row": {**ROW, "size": [None, 2]}})
    assert answer.status_code == 200 and answer.json()["outputs"]["total"] is None


def test_receipts_flags_and_headers(app):
    answer = send(app, json={"row": {**ROW, "colour": "green", "size": [1, 99]}, "entity": "cell", "event_ms": 5})
    body = answer.json()
    assert {flag["why"] for flag in body["flags"]} == {"unknown", "range", "absent"}
    assert body["receipt"]["reason"] == "primary" == answer.headers["x-portside-reason"]
    assert answer.headers["x-portside-model"] == "m" and answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("said", "body", "headers"), [("body", True, False), ("Headers", False, True), ("none", False, False), ("both", True, True)]
)
def test_the_caller_says_where_the_receipt_goes(app, said, body, headers):
    answer = send(app, json={"row": ROW}, headers={"x-portside-receipt": said})
    assert answer.status_code == 200 and ("receipt" in answer.json()) == body
    assert any(name.startswith("x-portside-") for name in answer.headers if name != "x-portside-request") == headers


def test_another_word_for_the_receipts_place_is_refused(app):
    answer = send(app, json={"row": ROW}, headers={"x-portside-receipt": "trailer"})
    assert answer.status_code == 400 and answer.json()["field"] == "x-portside-receipt"


CUT_SHORT = "multipart/form-data; boundary=b"
REFUSED = [
    ({"json": {"row": {**ROW, "size": [1, "a"]}}}, 422, "size"),
    ({"json": {"row": {**ROW, "size": [1]}}}, 422, "size"),
    ({"json": {"row": {**ROW, "photo": "!!"}}}, 422, "photo"),
    ({"json": {"row": {**ROW, "photo": base64.b64encode(b"GIF89a not really").decode()}}}, 422, "photo"),
    ({"json": {"row": {**ROW, "colour": 3.5}}}, 422, "colour"),
    ({"json": {"row": {**ROW, "wat": 1}}}, 422, "wat"),
    ({"json": {"row": {"photo": PNG64, "colour": "red"}}}, 422, "size"),
    ({"json": {"inputs": {}}}, 422, "photo"),
    ({"json": {"inputs": {"photo": [PNG64], "colour": ["red", "red"], "size": [[1, 2]]}}}, 422, "photo"),
    ({"json": {"inputs": []}}, 422, "inputs"),
    ({"json": {"rows": []}}, 422, "rows"),
    ({"json": {"rows": [3]}}, 422, "rows"),
    ({"json": {"rows": [ROW, {}]}}, 422, "photo"),
    ({"json": {"rows": [{**ROW, "scale": 1}, {**ROW, "scale": 2}]}}, 422, "scale"),
    ({"json": {"row": ROW, "rows": [ROW]}}, 422, "inputs"),
    ({"json": {"row": ROW, "entity": ""}}, 422, "entity"),
    ({"json": {"row": ROW, "event_ms": "now"}}, 422, "event_ms"),
    ({"json": {"row": ROW, "debug": True}}, 422, "debug"),
    ({"json": {"inputs": {"photo": [PNG64] * 101, "colour": ["red"] * 101, "size": [[1, 2]] * 101}}}, 422, "photo"),
    ({"json": []}, 422, "body"),
    ({"content": b"null", "headers": {"content-type": "application/json"}}, 422, "body"),
    ({"content": b"", "headers": {"content-type": "application/json"}}, 400, "body"),
    ({"content": b"{\xff}", "headers": {"content-type": "application/json"}}, 400, "body"),
    ({"content": b'{"row": NaN}', "headers": {"content-type": "application/json"}}, 400, "body"),
    ({"content": b"[" * 90_000, "headers": {"content-type": "application/json"}}, 400, "body"),
    ({"content": b"x=1", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415, "content-type"),
    ({"content": b"zzz", "headers": {"content-type": "multipart/form-data"}}, 400, "body"),
    ({"content": b"zzz", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "body"),
    ({"content": b'--b\r\ncontent-disposition: form-data; name="size"\r\n\r\n1', "headers": {"content-type": CUT_SHORT}}, 400, "body"),
    ({"files": {"wat": ("a", b"\xff\x00")}}, 422, "wat"),
    ({"files": {"size": ("a", b"\xff\x00")}}, 422, "size"),
    ({"content": b" " * 100_001, "headers": {"content-type": "application/json"}}, 413, "body"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "field"), REFUSED)
def test_refusals_have_one_format_and_name_the_field(app, request_, status, field):
    answer = send(app, **request_)
    body = answer.json()
    assert (answer.status_code, body["field"]) == (status, field), body
    assert body["error"] and body["what"] and "Traceback" not in answer.text
    assert set(body) <= {"error", "what", "got", "expected", "fix", "field", "row"}


def test_the_route_of_bentomls_client_takes_columns(app):
    columns = {"photo": [PNG64], "colour": ["red"], "size": [[1, 2]]}
    for body in (columns, {"inputs": columns}):
        assert send(app, path="/api/predict", json=body).json()["outputs"]["name"] == ["large"]
    assert send(app, path="/api/predict", json={"inputs": 3}).json()["field"] == "inputs"
    assert send(app, path="/api/predict", files={"photo": ("a", picture())}).status_code == 415


def test_a_row_is_named(app):
    body = send(app, json={"rows": [ROW, {**ROW, "photo": "!!"}]}).json()
    assert (body["field"], body["row"]) == ("photo", 1)


def test_paths_and_methods(app):
    missing, wrong = send(app, "GET", "/nope"), send(app, "GET", "/predict")
    assert missing.status_code == 404 and missing.json()["field"] == "path"
    assert wrong.status_code == 405 and wrong.headers["allow"] == "POST" and wrong.json()["field"] == "method"
    head = send(app, "HEAD", "/livez")
    assert head.status_code == 200 and head.content == b""


def test_readiness_follows_the_models(app, serving):
    assert send(app, "GET", "/livez").status_code == send(app, "GET", "/readyz").status_code == 200
    engine, serving.engine = serving.engine, None
    try:
        answer = send(app, "GET", "/readyz")
        assert answer.status_code == 503 and answer.json()["got"] == "still loading" and answer.headers["retry-after"] == "1"
        assert send(app, json={"row": ROW}).status_code == 503
        assert send(app, "GET", "/livez").status_code == 200
    finally:
        serving.engine = engine


def test_metrics_count_answers_and_refusals(app):
    send(app, json={"row": ROW})
    send(app, json={"row": {}})
    text = send(app, "GET", "/metrics").text
    assert 'portside_requests_total{model="m",reason="primary"} 1' in text
    assert 'portside_refused_total{status="422"} 1' in text
    assert 'portside_request_seconds_bucket{le="+Inf"} 1' in text and text.endswith("\n")


def test_a_fault_of_ours_is_a_500_without_details(app, serving, monkeypatch):
    async def broken(question):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(serving.engine, "answer", broken)
    answer = send(app, json={"row": ROW})
    assert answer.status_code == 500 and "secret" not in answer.text and "Traceback" not in answer.text


def test_nothing_can_answer_is_a_503_with_a_receipt(tmp_path):
    (tmp_path / "control").write_text("throw")
    serving = Serving(faulty.Faulty(tmp_path / "control"), faulty.SIGNATURE, Codec())
    answer = send(HttpApp(serving), json={"row": {"x": [1, 2]}})
    serving.engine.close()
    assert answer.status_code == 503 and answer.json()["receipt"]["attempts"] == ["0:failed"]
    assert answer.headers["x-portside-reason"] == "failed"


def test_an_answer_in_chunks_and_a_client_that_leaves(app):
    body = json.dumps({"row": ROW}).encode()

    async def chunks():
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/predict", content=chunks(), headers={"content-type": "application/json"})

    assert asyncio.run(go()).status_code == 200

    async def leaves():
        sent = []

        async def receive():
            return {"type": "http.disconnect"}

        async def keep(message):
            sent.append(message)

        await app({"type": "http", "path": "/predict", "method": "POST", "headers": []}, receive, keep)
        return sent

    assert asyncio.run(leaves()) == []


def test_a_slow_upload_does_not_spend_the_budget(app, serving):
    seen = []
    answer = serving.engine.answer

    async def spy(question):
        seen.append(time.monotonic() - question.arrived)
        return await answer(question)

    serving.engine.answer = spy
    body = json.dumps({"row": ROW}).encode()

    async def slow():
        yield body[:5]
        await asyncio.sleep(0.2)
        yield body[5:]

    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.post("/predict", content=slow(), headers={"content-type": "application/json"})

    async def receive_slowly():
        return await go()

    assert asyncio.run(receive_slowly()).status_code == 200 and len(seen) == 1


def test_the_openapi_document_describes_the_answers_it_gives(app):
    import jsonschema_rs

    document = send(app, "GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    asked = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    answer = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    for form in ({"row": ROW}, {"rows": [ROW]}, {"inputs": {"photo": [PNG64], "colour": ["red"], "size": [[1, 2]]}}):
        jsonschema_rs.validate(asked, form)
        jsonschema_rs.validate({**answer, "components": document["components"]}, send(app, json=form).json())


def test_the_page_stands_alone(app):
    page = send(app, "GET", "/docs")
    assert page.status_code == 200 and "openapi.json" in page.text
    assert "http://" not in page.text and "https://" not in page.text and "src=" not in page.text


def test_a_body_that_does_not_arrive_is_given_up(serving):
    """A client that sends a byte and then nothing is told so, and its connection ends."""
    sent, messages = [], [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        if messages:
            return messages.pop()
        await asyncio.sleep(60)
        return None

    async def keep(message):
        sent.append(message)

    app = HttpApp(serving, read_s=0.05)
    asyncio.run(app({"type": "http", "path": "/predict", "method": "POST", "headers": []}, receive, keep))
    assert sent[0]["status"] == 408 and (b"connection", b"close") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["field"] == "body"
