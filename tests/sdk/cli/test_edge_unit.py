"""`portside edge unit`, and `portside edge run` with doors: a real process that is asked, and ends on a signal."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.samples import SAMPLES
from portside.sdk.cli import edge_unit
from portside.sdk.cli.main import main
from portside.sdk.core.errors import FormatError


@pytest.fixture
def agent(tmp_path):
    artifact = compile_package(SAMPLES["mixed"]().write(tmp_path / "package"), "onnx-cpu", tmp_path / "artifact", prove=False)
    path = tmp_path / "agent.toml"
    path.write_text(f'name = "cells"\ndevice = "cam-7"\n[[failover.chain]]\nartifact = "{artifact.path}"\n')
    return path


def test_the_unit_of_an_agent(tmp_path, capsys):
    path = tmp_path / "agent.toml"
    path.write_text('name = "cells"\ndevice = "cam-7"\nfolder = "/var/lib/cam/state"\n[doors]\nunix = "/run/cam/agent.sock"\n')
    said = main(["edge", "unit", str(path), "--name", "cam", "--memory", "300M", "--device", "/dev/video0", "--env", "A=b c"])
    text = capsys.readouterr().out
    assert said == 0 and f"ExecStart={' '.join(edge_unit.program())} edge run {path}\n" in text
    for line in ("StateDirectory=cam", "MemoryMax=300M", "DeviceAllow=/dev/video0 rw", 'Environment="A=b c"', "WantedBy=multi-user.target"):
        assert f"{line}\n" in text
    assert "ReadWritePaths" not in text
    path.write_text('name = "cells"\ndevice = "cam-7"\n')
    assert main(["edge", "unit", str(path)]) == 0
    found = capsys.readouterr()
    assert f"ReadWritePaths={tmp_path}/state\n" in found.out and "/var/lib/portside" in found.err
    assert main(["edge", "unit", str(path), "--memory", "lots"]) == 3


def test_an_agent_with_doors_is_asked_and_ends_in_order(agent, tmp_path):
    unix = str(tmp_path / "agent.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        child = subprocess.Popen([sys.executable, "-m", "portside", "edge", "run", str(agent), "--unix", unix], stdout=subprocess.PIPE,
                                 env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}, text=True)  # fmt: skip
        try:
            assert b"READY=1" in manager.recv(4096)
            body = json.dumps({"inputs": {name: value.tolist() for name, value in SAMPLES["mixed"]().inputs(2).items()}})
            asked = http.client.HTTPConnection("localhost")
            asked.sock = socket.socket(socket.AF_UNIX)
            asked.sock.connect(unix)
            asked.request("POST", "/predict", body, {"content-type": "application/json"})
            reply = asked.getresponse()
            told = json.loads(reply.read())
            asked.close()
            assert reply.status == 200 and len(told["outputs"]["label"]) == 2 and told["receipt"]["target"] == "onnx-cpu"
            child.send_signal(signal.SIGTERM)
            out, _ = child.communicate(timeout=60)
            assert child.returncode == 0 and json.loads(out)["stopped"]["answered"] == 1
        finally:
            child.kill()
            child.wait()
    assert not (tmp_path / "agent.sock").exists()


def test_where_it_listens(tmp_path):
    from portside.edge.settings import read

    path = tmp_path / "agent.toml"
    path.write_text('name = "cells"\ndevice = "cam-7"\n')
    assert edge_unit.doors_of(read(path), None, None) is None and edge_unit.shown(None) == ""
    alone = edge_unit.doors_of(read(path), None, "/run/a.sock")
    assert (alone.port, alone.unix) == (None, "/run/a.sock")
    path.write_text('name = "cells"\ndevice = "cam-7"\n[doors]\nport = 80\n')
    both = edge_unit.doors_of(read(path), 81, "/run/a.sock")
    assert edge_unit.shown(both) == ", at http://127.0.0.1:81 and /run/a.sock"
    path.write_text('name = "cells"\ndevice = "cam-7"\n[doors]\nprt = 80\n')
    with pytest.raises(FormatError, match="no such setting"):
        edge_unit.doors_of(read(path), None, None)
