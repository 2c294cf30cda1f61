"""The doors with keys: who is let in where, how a refusal reads, and how much a key may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_host import ROW, Serving, send
from test_hosts import PLAIN, Adds

from portside.cloud.doors.asgi import RefusalError
from portside.cloud.doors.hosts import Hosts
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.security import keys as of
from portside.cloud.security.access import KeyGuard, needed
from portside.cloud.security.key_file import KeyFile, write
from portside.cloud.security.keys import SCOPES, Rate
from portside.cloud.security.rate import RateGuard
from portside.sdk.core.codec.codec import Codec


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def doors(tmp_path):
    """A function: keys and rate -> (app, clock, texts)"""
    serving, clock = Serving(), Clock()

    def make(*made, rate=None, workers=1):
        write(tmp_path / "keys.json", [key for key, _ in made])
        guards = [KeyGuard(KeyFile(tmp_path / "keys.json"), lambda path: "test", clock)]
        guards += [RateGuard(rate, workers, clock)] if rate else []
        return HttpApp(serving, guards=tuple(guards)), clock

    yield make
    serving.engine.close()


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def test_without_a_key_only_health_and_the_page_are_open(doors):
    app, _ = doors(of.new("ana", now=1.0))
    for path in ("/livez", "/readyz", "/docs", "/"):
        assert send(app, "GET", path).status_code == 200
    for path in ("/predict", "/metrics", "/openapi.json", "/nope", "/livez/", "/v2"):
        answer = send(app, "POST", path)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer realm="), path
        assert "Bearer" in str(answer.json())


@pytest.mark.parametrize("headers", [bearer, lambda text: {"authorization": f"bearer  {text} "}, lambda text: {"x-api-key": text}])
def test_a_key_is_sent_in_either_header(doors, headers):
    key, text = of.new("ana", now=1.0)
    app, _ = doors((key, text))
    assert send(app, json={"row": ROW}, headers=headers(text)).status_code == 200


@pytest.mark.parametrize("said", ["", "x", "psk_", "psk_000000000000_x", "Basic abc", "\xff"])
def test_what_is_no_key_is_refused_and_not_echoed(doors, said):
    app, _ = doors(of.new("ana", now=1.0))
    answer = send(app, json={"row": ROW}, headers={"x-api-key": said.encode("latin-1")})
    assert answer.status_code == 401 and (len(said) < 4 or said not in answer.text)


def test_a_key_ends(doors):
    key, text = of.new("ana", now=1.0, expires=2000.0)
    app, clock = doors((key, text))
    assert send(app, json={"row": ROW}, headers=bearer(text)).status_code == 200
    clock.now = 2000.0
    answer = send(app, json={"row": ROW}, headers=bearer(text))
    assert answer.status_code == 401 and "expired" in answer.json()["what"]


def test_scopes_and_deployments(doors):
    metrics, other = of.new("m", ["metrics"], now=1.0), of.new("o", deployments=["elsewhere"], now=1.0)
    app, _ = doors(metrics, other)
    assert send(app, "GET", "/metrics", headers=bearer(metrics[1])).status_code == 200
    refused = send(app, json={"row": ROW}, headers=bearer(metrics[1]))
    assert refused.status_code == 403 and refused.json()["error"] == "TrustError"
    assert 'scope="predict"' in refused.headers["www-authenticate"]
    assert send(app, json={"row": ROW}, headers=bearer(other[1])).status_code == 403
    assert send(app, "GET", "/metrics", headers=bearer(other[1])).status_code == 403


def test_what_paths_need():
    assert needed("/v2/models/a/ready") is needed("/v2/health/live") is needed("/v2/models/a/versions/1/ready") is None
    assert needed("/v2/models/ready") == needed("/v2/models/a/infer/ready") == needed("/v2/models//ready") == ("predict",)
    assert needed("/v2/models/a/infer") == needed("/v2/models/a") == needed("/ready") == ("predict",)
    assert needed("/admin/swap") == ("admin",) and needed("/metrics") == ("metrics",)


REVIEW = "/v1/reviews/018bcfe5-6800-7000-8000-000000000000"


def test_what_paths_of_the_desk_need():
    assert needed("/dashboard") is needed("/review") is needed("/dashboard/static/0a1b/app.js") is None
    assert needed("/dashboard", desk=False) == needed("/review/static/0/a.js", desk=False) == ("predict",), "a page that is not served"
    reading, labelling, reviewing = ("monitor", "admin"), ("label", "admin"), ("review", "admin")
    paths = ("/dashboard/data/up", "/dashboard/static/a", "/v1/records", "/v1/records/x", "/v1/labels", "/v1/else")
    assert {needed(path) for path in paths} == {reading}
    assert needed("/v1/labels", "POST") == labelling and needed("/v1/labels", "DELETE") == reading
    assert {needed(path, "POST") for path in ("/v1/reviews", "/v1/reviews/next", REVIEW, f"{REVIEW}/decide")} == {reviewing}
    assert needed(REVIEW) == needed(REVIEW, "HEAD") == ("review", "predict", "admin"), "who asked waits for the decision"
    assert needed(f"{REVIEW}/payload") == reviewing


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("method", "path", "may"), [
    ("GET", "/v1/records", {"monitor", "admin"}), ("GET", "/dashboard/data/up", {"monitor", "admin"}),
    ("POST", "/v1/labels", {"label", "admin"}), ("POST", "/v1/reviews/next", {"review", "admin"}), ("GET", "/metrics", {"metrics"}),
    ("GET", REVIEW, {"review", "predict", "admin"}), ("POST", "/predict", {"predict"}),
])  # fmt: skip
def test_each_scope_opens_what_it_is_for(doors, scope, method, path, may):
    key, text = of.new("ana", [scope], now=1.0)
    app, _ = doors((key, text))
    status = send(app, method, path, headers=bearer(text)).status_code
    assert (status == 403) == (scope not in may), status


NAMES = ["adder", "other", "cells", "ready", "predict", "x", ""]
RESTS = ["", "/", "/1", "/2", "/9", "/infer", "/ready", "/versions/1", "/versions/2/infer", "/versions/9/infer", "//infer"]
ROOTS = ["/predict", "/api", "/v2/models", ""]


@given(st.sampled_from(ROOTS), st.sampled_from(NAMES), st.sampled_from(RESTS), st.sampled_from(["GET", "POST"]))
def test_the_deployment_that_is_checked_is_the_one_that_answers(several, root, name, rest, method):
    path = f"{root}/{name}{rest}"
    try:
        handler = several.routes.find({"path": path, "method": method})
    except RefusalError:
        return
    host = getattr(handler.__self__, "_host", None)
    assert host is None or host.name == several._hosts.at(path).name, path


@pytest.fixture(scope="module")
def several():
    named = (("adder", 1), ("adder", 2), ("other", 9), ("ready", 3))
    made = [Serving(name="cells", version="4"), *(Serving(Adds(number), PLAIN, Codec(), name, str(number)) for name, number in named)]
    yield HttpApp(Hosts(made))
    for host in made:
        host.engine.close()


def test_a_key_for_one_of_several_deployments(several, tmp_path):
    key, text = of.new("ana", deployments=["other"], now=1.0)
    write(tmp_path / "keys.json", [key])
    app = HttpApp(several._hosts, guards=(KeyGuard(KeyFile(tmp_path / "keys.json"), lambda path: several._hosts.at(path).name),))
    paths = ("/predict", "/predict/other", "/predict/other/9", "/predict/adder", "/predict/adder/2", "/v2/models/adder/infer")
    asked = {path: send(app, path=path, json={"row": {"x": 0}}, headers=bearer(text)).status_code for path in paths}
    assert [path for path, status in asked.items() if status == 200] == ["/predict/other", "/predict/other/9"]
    assert {status for path, status in asked.items() if "other" not in path} == {403}


def test_a_key_asks_no_more_than_its_rate(doors):
    key, text = of.new("ana", now=1.0)
    app, clock = doors((key, text), rate=Rate(requests_per_s=2, burst_s=2))
    statuses = [send(app, json={"row": ROW}, headers=bearer(text)) for _ in range(5)]
    assert [answer.status_code for answer in statuses] == [200] * 4 + [429]
    assert statuses[0].headers["ratelimit"] == '"requests";r=3' and statuses[0].headers["ratelimit-policy"] == '"requests";q=4;w=2'
    assert statuses[4].headers["retry-after"] == "1" and statuses[4].headers["ratelimit"] == '"requests";r=0;t=1'
    clock.now += 0.5
    assert send(app, json={"row": ROW}, headers=bearer(text)).status_code == 200
    assert send(app, "GET", "/livez").status_code == 200


def test_rows_are_charged_when_they_were_answered(doors):
    key, text = of.new("ana", now=1.0)
    app, clock = doors((key, text), rate=Rate(rows_per_s=10, burst_s=1))
    assert send(app, json={"rows": [ROW] * 30}, headers=bearer(text)).status_code == 200
    refused = send(app, json={"row": ROW}, headers=bearer(text))
    assert refused.status_code == 429 and "rows" in refused.json()["what"] and refused.headers["retry-after"] == "2"
    clock.now += 2.0
    assert send(app, json={"row": ROW}, headers=bearer(text)).status_code == 200


def test_a_key_may_have_a_rate_of_its_own_and_processes_share(doors):
    slow, usual = of.new("slow", now=1.0, rate=Rate(requests_per_s=1)), of.new("usual", now=1.0)
    app, _ = doors(slow, usual, rate=Rate(requests_per_s=8), workers=4)
    answers = [[send(app, json={"row": ROW}, headers=bearer(text)).status_code for _ in range(3)] for _, text in (slow, usual)]
    assert answers == [[200, 429, 429], [200, 200, 429]]
