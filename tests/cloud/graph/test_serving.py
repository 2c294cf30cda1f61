"""A graph behind the same doors as any deployment, and taken up beside a running version."""

import asyncio

import graphs
import httpx
import pytest

from portside.cloud.deployment.file import read
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.graph.resolving import resolve
from portside.cloud.host import Host
from portside.sdk.cli.main import main


@pytest.fixture
def file(tmp_path):
    return graphs.funnel(tmp_path, records="true")


@pytest.fixture
def host(file):
    made = Host(resolve(read(file)))
    made.start()
    assert made.wait(60), made.fault
    yield made
    made.close()


def send(host, method="POST", path="/predict", **rest):
    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(HttpApp(host)), base_url="http://test") as client:
            return await client.request(method, path, **rest)

    return asyncio.run(go())


def test_every_door_shows_a_graph_like_any_deployment(host):
    answer = send(host, json={"rows": [{"x": [5, 0, 0]}, {"x": [0.1, 0, 0]}]})
    body = answer.json()
    assert answer.status_code == 200 and [row["label"] for row in body["outputs"]] == ["bad", "good"]
    assert [step["step"] for step in body["receipt"]["steps"]] == ["first", "second"] and answer.headers["x-portside-model"] == "funnel"
    assert send(host, json={"row": {"x": [5, 0, "a"]}}).json()["field"] == "x"
    assert send(host, json={"row": {"y": 1}}).status_code == 422
    (host.resolved.deployment.folder / "first.fault").write_text("throw")
    refused = send(host, json={"row": {"x": [5, 0, 0]}})
    assert refused.status_code == 503 and refused.json()["receipt"]["steps"][0]["why"] == "failed"
    schema = send(host, "GET", "/openapi.json").json()
    assert [model["name"] for model in schema["info"]["x-portside-models"]] == ["first", "second"]
    metadata = send(host, "GET", "/v2/models/funnel").json()
    assert [held["name"] for held in metadata["inputs"]] == ["x"] and {held["name"] for held in metadata["outputs"]} == {"label", "score"}
    tensor = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [-5, 0, 0]}]}
    (host.resolved.deployment.folder / "first.fault").write_text("ok")
    inferred = send(host, path="/v2/models/funnel/infer", json=tensor).json()
    assert {held["name"]: held["shape"] for held in inferred["outputs"]} == {"label": [1], "score": [1]}
    assert "portside_steps_total" in send(host, "GET", "/metrics").text


def test_a_new_version_of_a_graph_goes_on_with_counters_and_records(host, file):
    send(host, json={"row": {"x": [5, 0, 0]}})
    store = host.engine.records
    graphs.funnel(file.parent, records="true", first="deadline_ms = 5000")
    host.swap(resolve(read(file)))
    send(host, json={"row": {"x": [5, 0, 0]}})
    assert host.engine.records is store
    page = send(host, "GET", "/metrics").text
    assert 'portside_steps_total{step="first",state="answered"} 2' in page
    assert 'portside_step_requests_total{step="first",model="first",reason="primary"} 1' in page


def test_serve_check_shows_the_steps(file, capsys):
    assert main(["serve", str(file), "--check"]) == 0
    shown = capsys.readouterr().out
    assert "first.score > 0.2 and first.score < 0.8" in shown and "second.label ?? first.label" in shown
