"""Several deployments behind the same doors: names, versions, readiness, limits, metrics, documents and refusals told apart."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_host import ROW, Mean, Serving, send

from portside.cloud.answering.metrics import Metrics
from portside.cloud.doors.hosts import Hosts
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.metrics_page import merged
from portside.runtimes.base import SessionInfo
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.signature import Signature, TensorSpec

PLAIN = Signature((TensorSpec("x", "f32", ("batch",)),), (TensorSpec("y", "f32", ("batch",)),))


class Adds:
    """Adds a number, so that one can tell who answered."""

    def __init__(self, number):
        self.number, self.info = number, SessionInfo(PLAIN, "fake", "sha256:1", True, True, True)

    def run(self, inputs, cancel=None):
        return {"y": (inputs["x"] + self.number).astype(np.float32)}

    def close(self):
        pass


@pytest.fixture
def hosts():
    adders = [("adder", "1", 1), ("adder", "2", 2), ("other", "9", 9)]
    made = [Serving(Mean(), name="cells", version="4")]
    made += [Serving(Adds(number), PLAIN, Codec(), name, version) for name, version, number in adders]
    yield Hosts(made)
    for host in made:
        if host.engine:
            host.engine.close()


@pytest.fixture
def app(hosts):
    return HttpApp(hosts)


def test_each_is_found_by_name_and_version_and_the_first_without(app):
    assert send(app, json={"row": ROW}).json()["outputs"]["mean"] == 200.0
    paths = {"adder": 1, "adder/1": 1, "adder/2": 2, "other": 9, "cells/4": None}
    for path, y in paths.items():
        answer = send(app, path=f"/predict/{path}", json={"row": {"x": 0}} if y else {"row": ROW})
        assert answer.status_code == 200 and answer.json()["outputs"].get("y") == y
    assert send(app, path="/api/adder", json={"x": [5]}).json()["outputs"]["y"] == [6.0]
    assert send(app, path="/api/predict", json={"photo": [ROW["photo"]], "colour": ["red"], "size": [[1, 2]]}).status_code == 200


def test_versions_over_the_protocol(app):
    ask = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]}
    for path, version, y in [("adder", "1", 1.0), ("adder/versions/2", "2", 2.0), ("other", "9", 9.0)]:
        body = send(app, path=f"/v2/models/{path}/infer", json=ask).json()
        assert (body["model_version"], body["outputs"][0]["data"]) == (version, [y])
    assert send(app, "GET", "/v2/models/adder").json()["versions"] == ["1", "2"]
    index = send(app, "POST", "/v2/repository/index").json()
    assert [(held["name"], held["version"]) for held in index] == [("cells", "4"), ("adder", "1"), ("adder", "2"), ("other", "9")]


@pytest.mark.parametrize(("path", "field"), [
    ("/predict/nope", "model"), ("/predict/adder/3", "version"), ("/v2/models/adder/versions/3/infer", "version"),
])  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(app, path, field):
    body = send(app, path=path, json={}).json()
    assert body["field"] == field and body["expected"] == ("cells, adder, other" if field == "model" else "1, 2")


def test_ready_means_all_are(app, hosts):
    assert send(app, "GET", "/readyz").status_code == send(app, "GET", "/v2/health/ready").status_code == 200
    last, engine = hosts.all[-1], hosts.all[-1].engine
    last.engine = None
    try:
        answer = send(app, "GET", "/readyz")
        assert answer.status_code == 503 and answer.json()["got"] == "other: still loading"
        assert send(app, "GET", "/v2/models/adder/ready").status_code == 200
        assert send(app, "GET", "/v2/models/other/ready").status_code == 503
        assert send(app, path="/predict/adder", json={"row": {"x": 0}}).status_code == 200, "the others answer meanwhile"
    finally:
        last.engine = engine


def test_a_swapped_version_is_found_by_its_new_name(app, hosts):
    ask = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]}
    assert send(app, path="/v2/models/other/versions/9/infer", json=ask).status_code == 200
    hosts.all[-1].version = "10"
    assert send(app, path="/v2/models/other/versions/9/infer", json=ask).status_code == 404
    assert send(app, path="/v2/models/other/versions/10/infer", json=ask).json()["model_version"] == "10"
    assert send(app, path="/v2/models/other/infer", json=ask).json()["model_version"] == "10"


def test_each_has_its_own_limit_of_a_body(hosts):
    hosts.all[1].max_body_bytes = 50
    app = HttpApp(hosts)
    assert send(app, path="/predict/adder", json={"row": {"x": 0}, "entity": "e" * 60}).status_code == 413
    assert send(app, path="/predict/adder/2", json={"row": {"x": 0}, "entity": "e" * 60}).status_code == 200
    assert send(app, path="/v2/models/adder/infer", content=b" " * 60).status_code == 413


SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="[^"]*",?)*\})? [0-9.+einf-]+')


def test_metrics_are_told_apart_and_refusals_counted_where_they_belong(app):
    send(app, path="/predict/adder", json={"row": {"x": 0}})
    send(app, path="/predict/adder/2", json={"row": {}})
    send(app, path="/v2/models/other/infer", content=b"{")
    lines = send(app, "GET", "/metrics").text.splitlines()
    assert 'portside_requests_total{deployment="adder",version="1",model="m",reason="primary"} 1' in lines
    assert 'portside_refused_total{deployment="adder",version="2",status="422"} 1' in lines
    assert 'portside_refused_total{deployment="other",version="9",status="400"} 1' in lines
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) and "deployment=" in line for line in samples) and len(set(samples)) == len(samples)
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(set(types)) == len(types)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_merged_page_holds_every_sample_once_and_each_metric_in_one_piece(counts):
    pages = []
    for place, count in enumerate(counts):
        metrics = Metrics(lambda: {'portside_a{entry="0"}': 1.0, "portside_b": 2.0})
        for _ in range(count):
            metrics.answered('m"{x}', "primary", 0.01, ["0:failed"])
        pages.append(({"deployment": str(place)}, metrics.text()))
    page = merged(pages).splitlines()
    told = [line for _, text in pages for line in text.splitlines() if not line.startswith("#")]
    assert sum(not line.startswith("#") for line in page) == len(told)
    families = [re.sub(r"_(bucket|sum|count)$", "", re.split(r"[{ ]", line)[0]) for line in page if not line.startswith("#")]
    assert [family for place, family in enumerate(families) if place == 0 or families[place - 1] != family] == list(dict.fromkeys(families))


def test_one_document_for_all(app):
    document = send(app, "GET", "/openapi.json").json()
    assert {"/predict", "/predict/cells", "/predict/adder", "/predict/other", "/v2/models/adder/infer", "/v2"} <= set(document["paths"])
    operations = [what["operationId"] for methods in document["paths"].values() for what in methods.values() if "operationId" in what]
    assert len(set(operations)) == len(operations)
    names = set(re.findall(r"#/components/schemas/([A-Za-z]+)", str(document)))
    assert names <= set(document["components"]["schemas"])
