"""A real BentoML service from packages, started both ways, in child processes on 127.0.0.1."""

import json
import os
import signal
import socket
import subprocess
import time

import packages
import pytest
import started as servers

from portside.cloud.records.store import records
from portside.cloud.serving import check_port, command
from portside.sdk.core.errors import InputError


@pytest.fixture
def file(tmp_path):
    return packages.deployment(tmp_path / "d", deadline=5000)  # who answers is asked here, not how soon


@pytest.mark.parametrize("how", [servers.SERVE, servers.BENTOML], ids=["portside-serve", "bentoml-serve"])
def test_both_ways_serve_the_same_doors(file, how, fault):
    with servers.serving(how, file.parent) as server:
        status, body, headers = server.call(data=servers.ROW)
        assert status == 200 and json.loads(body)["outputs"]["label"] == "bad"
        assert headers["x-portside-model"] == "main" and headers["x-portside-reason"] == "primary"
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/"):
            assert server.call(path)[0] == 200
        status, body, _ = server.call(data={"row": {"x": [1, "two", 3]}})
        assert status == 422 and json.loads(body)["field"] == "x"
        assert server.call("/nope")[0] == 404
        status, body, _ = server.call("/api/predict", data={"x": [[1, 2, 3]]})
        assert status == 200 and json.loads(body)["outputs"]["label"] == ["bad"]
        status, body, _ = server.call("/api/predict", data={"x": [[1, 2]]})
        assert status == 422 and json.loads(body)["field"] == "x"
        pickled = {"content-type": "application/vnd.bentoml+pickle"}
        assert server.call("/api/predict", data=b"cos\nsystem\n(S'true'\ntR.", headers=pickled)[0] == 415
        fault("nan")
        receipt = server.ask()[1]["receipt"]
        assert (receipt["model"], receipt["reason"], receipt["attempts"]) == ("backup", "non-finite", ["0:non-finite"])
        fault("ok")
        server.wait_for("primary")
        assert "Traceback" not in server.log.read_text()
    found = list(records(file.parent / "records.sqlite"))
    assert receipt["record"] in {record.id for record in found}, "records are flushed at the end"
    assert {record.arm for record in found} == {"champion", "fallback"}


@pytest.mark.slow
def test_bentomls_own_client_works(file, fault):
    with servers.serving(servers.BENTOML, file.parent) as server:  # the client runs in a process of its own: it leaves a folder behind
        code = (
            f"import bentoml, json\nwith bentoml.SyncHTTPClient('http://127.0.0.1:{server.port}') as client:\n"
            "    print(json.dumps(client.predict(x=[[1, 2, 3], [-4, -4, -4]])))"
        )
        ran = subprocess.run([servers.SERVE[0], "-c", code], capture_output=True, text=True, check=True)
    answer = json.loads(ran.stdout.splitlines()[-1])
    assert answer["outputs"]["label"] == ["bad", "good"] and answer["receipt"]["reason"] == "primary"


@pytest.mark.parametrize("how", [servers.SERVE, servers.BENTOML], ids=["portside-serve", "bentoml-serve"])
def test_an_error_in_the_deployment_ends_the_command(file, how):
    file.write_text(file.read_text().replace("isolation", "isolaton", 1))
    with servers.serving(how, file.parent, ready=False) as server:
        assert server.process.wait(60) != 0
        log = server.log.read_text()
    assert "deployment.toml line 5: unknown setting 'isolaton'" in log


@pytest.mark.slow
def test_killed_parents_leave_nothing(file, fault):
    with servers.serving(servers.BENTOML, file.parent) as server:
        family = servers.descendants(server.process.pid)
        assert len(server.workers()) == 1
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        ends = time.monotonic() + 20
        while any(servers.alive(pid) for pid in family) and time.monotonic() < ends:
            time.sleep(0.1)
        left = [pid for pid in family if servers.alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []


@pytest.mark.slow
def test_a_champion_that_cannot_open_leaves_the_service_alive_and_unready(file, fault):
    main = file.parent / "main"
    source = packages.MAIN + "\nif 'PORTSIDE_BREAK' in os.environ:\n    raise RuntimeError('cannot open')\n"
    packages.host_package(file.parent / "broken", source, "broken")
    file.write_text(file.read_text().replace('package = "main"', 'package = "broken"') + "warm_up_s = 2\n")
    assert main.is_dir()
    script = "import os\nfrom portside.cloud.serving import prepare, serve\nprepare('deployment.toml')\n"
    script += "os.environ['PORTSIDE_BREAK'] = '1'\n"
    how = [servers.SERVE[0], "-c", script + "serve('deployment.toml', port={port})"]
    with servers.serving(how, file.parent, ready=False) as server:
        ends, status, body = time.monotonic() + 40, None, b""
        while b"cannot open" not in body and time.monotonic() < ends:
            try:
                status, body, _ = server.call("/readyz", timeout=2)
            except OSError:
                status = None
            time.sleep(0.1)
        assert status == 503 and b"cannot open" in body, server.log.read_text()[-2000:]
        assert server.call("/livez")[0] == 200 and server.process.poll() is None


@pytest.mark.slow
def test_two_workers_share_the_port_and_the_records(file, fault):
    how = [servers.SERVE[0], "-c", servers.SERVE[2].replace("port={port}", "port={port}, workers=2")]
    with servers.serving(how, file.parent) as server:
        ends, answers = time.monotonic() + 40, server.ask_many(40)
        # "Ready" was the word of one worker: the other may still be opening its models, and says so.
        while any(body.get("error") == "NotReady" for _, body, _ in answers) and time.monotonic() < ends:
            time.sleep(0.2)
            answers = server.ask_many(40)
        assert {status for status, _, _ in answers} == {200}
        ids = {body["receipt"]["record"] for _, body, _ in answers}
    assert ids <= {record.id for record in records(file.parent / "records.sqlite")}


def test_the_command_is_bentomls_and_does_not_track(file):
    line, environment = command(file, port=4000, workers=2)
    assert line[1:5] == ["-m", "bentoml", "serve", "portside.cloud.served:svc"] and line[line.index("--port") + 1] == "4000"
    assert environment["BENTOML_DO_NOT_TRACK"] == "True" and environment["PORTSIDE_WORKERS"] == "2"


@pytest.mark.parametrize("bad", [{"host": "nowhere"}, {"port": 0}, {"port": 70000}, {"workers": 0}])
def test_places_that_cannot_be_listened_on(tmp_path, bad):
    with pytest.raises(InputError):
        command(tmp_path / "d.toml", **bad)


def test_importing_the_service_switches_tracking_off():
    code = "import os; os.environ.pop('BENTOML_DO_NOT_TRACK', None)\nimport portside.cloud.service\n"
    code += "print(os.environ['BENTOML_DO_NOT_TRACK'])"
    assert subprocess.run([servers.SERVE[0], "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "True"


def test_fields_whose_names_are_no_parameters_are_served_too(tmp_path):
    code = (
        "import inspect\nfrom portside.cloud.doors.wire import Wire\nfrom portside.cloud import service as module\n"
        "from portside.sdk.core.codec.codec import Codec\nfrom portside.sdk.core.signature import Signature, TensorSpec\n"
        "specs = tuple(TensorSpec(name, 'f32', ('batch',)) for name in ('cell type', 'class'))\n"
        "class Host:\n    name, wire = 'odd', Wire(Codec(), Signature(specs, ()))\n"
        "made = module.bentoml.service(name='odd')(module._service_class([Host()], []))\n"
        "print(list(made.apis['predict'].input_spec.model_fields))"
    )
    ran = subprocess.run([servers.SERVE[0], "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip().endswith("['inputs']"), ran.stderr[-2000:]


def test_a_port_that_is_taken_is_said_before_anything_is_compiled():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="in use") as caught:
            check_port("127.0.0.1", other.getsockname()[1])
    assert caught.value.field == "port"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    check_port("127.0.0.1", free)
