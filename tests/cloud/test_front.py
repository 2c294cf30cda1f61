"""The front of a server, made from deployment files: guards, limits and what two files may not say differently."""

import pytest
from made_host import ROW, Serving, send

from portside.cloud.deployment.file import read
from portside.cloud.doors.hosts import Hosts
from portside.cloud.front import limits_of, make_front
from portside.cloud.security import keys as of
from portside.cloud.security.key_file import write
from portside.cloud.security.public import INSECURE_PUBLIC, public
from portside.sdk.core.errors import FormatError


@pytest.fixture
def deployments(tmp_path):
    """A function: texts of [server] -> deployments"""

    def make(*texts):
        files = [tmp_path / f"{place}.toml" for place in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(f'name = "n{file.stem}"\n[champion]\npackage = "x"\n{text}')
        return [read(file) for file in files]

    return make


@pytest.fixture
def hosts():
    serving = Serving()
    yield Hosts((serving,))
    serving.engine.close()


def test_without_anything_said_there_is_no_guard(deployments, hosts):
    front = make_front(hosts, deployments(""))
    assert send(front.doors, json={"row": ROW}).status_code == 200
    assert not public(front.deployment) and front.lines.lost == 0


def test_keys_make_a_server_public_and_guarded(deployments, hosts, tmp_path):
    key, text = of.new("ana", now=1.0)
    write(tmp_path / "keys.json", [key])
    front = make_front(hosts, deployments('[server.keys]\nfile = "keys.json"\nrequests_per_s = 1\n[server.log]\naccess = "off"\n'))
    assert public(front.deployment)
    assert send(front.doors, json={"row": ROW}).status_code == 401
    answers = [send(front.doors, json={"row": ROW}, headers={"x-api-key": text}).status_code for _ in range(2)]
    assert answers == [200, 429]


def test_the_document_says_what_needs_a_key(deployments, hosts, tmp_path):
    without = send(make_front(hosts, deployments("")).doors, "GET", "/openapi.json").json()
    assert set(without["components"]["securitySchemes"]) == {"device"} and "security" not in without
    key, text = of.new("ana", now=1.0)
    write(tmp_path / "keys.json", [key])
    front = make_front(hosts, deployments('[server.keys]\nfile = "keys.json"\n'))
    document = send(front.doors, "GET", "/openapi.json", headers={"x-api-key": text}).json()
    assert {name for one in document["security"] for name in one} == {"bearer", "header"}
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header", "device"}
    assert document["paths"]["/v1/devices/{device}/batches"]["post"]["security"] == [{"device": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            is_open = operation.get("security") == []
            asked = send(front.doors, method.upper(), path)
            assert (asked.status_code != 401) == is_open, path
            assert is_open or "device" in str(operation.get("security")) or {"401", "403", "429"} <= set(operation["responses"])
    assert document["paths"]["/metrics"]["get"]["x-portside-scope"] == "metrics"


def test_a_server_has_a_desk_where_it_is_known_who_may_look(deployments, hosts, tmp_path):
    here = {"host": "localhost"}
    front = make_front(hosts, deployments(""))
    assert send(front.doors, "GET", "/dashboard", headers=here).status_code == 200 and front.desk.names == ("n0",)
    assert send(front.doors, "GET", "/v1/records", headers=here).json()["records"] == []
    assert send(front.doors, "GET", "/v1/records", headers={"host": "evil.example"}).status_code == 403
    assert "/v1/labels" in send(front.doors, "GET", "/openapi.json").json()["paths"]
    front.desk.close()
    for text in ("[server]\ninsecure_public = true\n", "[server]\ndesk = false\n", "[records]\nenabled = false\n"):
        front = make_front(hosts, deployments(text))
        assert front.desk is None and {send(front.doors, "GET", path).status_code for path in ("/dashboard", "/v1/records")} == {404}
        assert "/v1/labels" not in send(front.doors, "GET", "/openapi.json").json()["paths"]


def test_without_a_desk_its_paths_tell_strangers_nothing(deployments, hosts, tmp_path):
    write(tmp_path / "keys.json", [of.new("ana", now=1.0)[0]])
    front = make_front(hosts, deployments('[server]\ndesk = false\n[server.keys]\nfile = "keys.json"\n'))
    paths = ("/dashboard", "/review", "/dashboard/static/a/b.js", "/v1/records", "/v1/labels")
    assert {send(front.doors, "GET", path).status_code for path in paths} == {401}


def test_a_file_of_keys_that_is_not_there_ends_the_start(deployments, hosts):
    with pytest.raises(FormatError, match="portside keys new"):
        make_front(hosts, deployments('[server.keys]\nfile = "keys.json"\n'))


def test_what_makes_a_server_public(deployments, monkeypatch):
    tls = '[server.tls]\ncert = "a"\nkey = "b"\n'
    texts = ["", "[server]\ninsecure_public = true\n", tls, tls + 'client_ca = "c"\n']
    assert [public(one) for one in deployments(*texts)] == [False, True, False, True]
    monkeypatch.setenv(INSECURE_PUBLIC, "1")
    assert public(deployments("")[0])


OTHERS = ['[server.log]\naccess = "all"\n', "[server.connections]\nmax = 3\n", "[server]\ninsecure_public = true\n"]


@pytest.mark.parametrize("other", OTHERS)
def test_a_server_has_one_front(deployments, hosts, other):
    make_front(hosts, deployments(other, "[server]\nmax_rows = 3\n"))
    make_front(hosts, deployments(other, other))
    with pytest.raises(FormatError, match=r"1\.toml: server"):
        make_front(hosts, deployments("", other))


def test_the_metrics_page_tells_what_was_closed_and_lost(deployments, hosts):
    front = make_front(hosts, deployments("[server.connections]\nmax = 3\n"))
    assert front.protocol.limits.max == 3
    front.protocol.sweep.closed["head"] = 2
    front.lines.lost_ever = 5
    text = send(front.doors, "GET", "/metrics").text
    assert 'portside_connections_closed_total{phase="head"} 2\n' in text and "portside_log_lines_lost_total 5\n" in text


def test_limits_are_those_of_the_file(deployments):
    text = "[server.connections]\nmax = 7\nhead_s = 1\nbody_s = 2\nanswer_s = 3\nidle_s = 4\nmax_head_kb = 5\n"
    limits = limits_of(deployments(text)[0].server.connections)
    assert (limits.max, limits.head_s, limits.body_s, limits.answer_s, limits.idle_s) == (7, 1, 2, 3, 4)
    assert limits.max_head_bytes == 5120 and limits.every_s == 0.25
