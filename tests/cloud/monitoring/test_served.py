"""The monitor beside a real server: started with its first worker, seen on /metrics, gone with it; killed, and there again."""

from __future__ import annotations

import json
import os
import signal
import time

import packages
import pytest
import started as servers

from portside.cloud.monitoring import reading
from portside.cloud.records.database import Database

MORE = """
[monitor]
every_s = 0.3
hooks = ["own_hooks:seen"]
slo = {{ availability = 0.99 }}
"""
NAME = "tester"
HOOK = "def seen(record):\n    pass\n"


def monitors(server):
    """Pids of the monitors among the server's descendants."""
    return [pid for pid in servers.descendants(server.process.pid) if b"monitoring.process" in servers.command_of(pid)]


def until(ready, seconds=150):
    ends = time.monotonic() + seconds
    while not (held := ready()):
        assert time.monotonic() < ends
        time.sleep(0.1)
    return held


def figures(server):
    text = server.call("/metrics")[1].decode()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("portside_monitor")}


@pytest.mark.chaos
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 2])
@pytest.mark.long
def test_it_runs_beside_a_server_and_ends_with_it(tmp_path, workers):
    (tmp_path / "own_hooks.py").write_text(HOOK)
    path = packages.deployment(tmp_path, "thread", 5000, packages.DEPLOYMENT + MORE)
    code = f"from portside.cloud.serving import serve; serve({path.name!r}, port={{port}}, workers={workers})"
    line = [servers.sys.executable, "-c", code]
    with servers.serving(line, tmp_path, seconds=200) as server:
        (pid,) = until(lambda: monitors(server))
        until(lambda: all(server.call("/readyz")[0] == 200 for _ in range(20)))  # every worker, whoever takes a connection
        assert {status for status, _, _ in server.ask_many(100)} == {200}
        until(lambda: figures(server).get(f'portside_monitor_window_requests{{deployment="{NAME}"}}') == 100.0)
        assert figures(server)[f'portside_monitor_up{{deployment="{NAME}"}}'] == 1.0
        os.kill(pid, signal.SIGKILL)
        assert {status for status, _, _ in server.ask_many(50)} == {200}
        (again,) = until(lambda: [one for one in monitors(server) if one != pid])
        until(lambda: figures(server).get(f'portside_monitor_window_requests{{deployment="{NAME}"}}') == 150.0)
        assert again != pid
    assert not servers.alive(again)
    with Database.open(tmp_path / "records.sqlite") as database:
        status = reading.latest(database, NAME)
        assert status.last_hour.requests == 150 and not status.monitored
        assert json.loads(json.dumps(status.gauges))
