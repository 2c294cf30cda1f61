"""A rollout of a real server from its shadow to everyone, while its controller is killed again and again: it arrives all the same."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import packages
import pytest
import started as servers

from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of
from portside.cloud.deployment.traffic import read_traffic
from portside.cloud.records.database import Database
from portside.cloud.records.reading import records
from portside.cloud.rollouts import control
from portside.cloud.rollouts.counting import observed
from portside.cloud.rollouts.log import read_log, verify_log
from portside.cloud.rollouts.storing import every

TEXT = """name = "rolled"
[champion]
package = "main"
isolation = "inline"
trust = true
[failover]
deadline_ms = 2000
[rollout]
challenger = { package = "new", trust = true }
steps = [0.3, 0.6]
min_rows = 40
min_minutes = 0.02
watch_minutes = 0.05
[rollout.limits]
errors = 0.3
late = 0.3
"""


def controllers(server):
    """Pids of the controllers among the server's descendants."""
    return [pid for pid in servers.descendants(server.process.pid) if b"rollouts.process" in servers.command_of(pid)]


@pytest.mark.chaos
def test_it_comes_to_everyone_although_its_controller_is_killed(tmp_path):
    packages.host_package(tmp_path / "main")
    packages.host_package(tmp_path / "new", packages.MAIN.replace("score > 0.5", "score > 0.5000001"))
    (tmp_path / "deployment.toml").write_text(TEXT)
    path, ends, killed, seen = tmp_path / "deployment.toml", time.monotonic() + 200, Counter(), []
    folder = folder_of("rolled", path)
    with servers.serving(servers.SERVE, tmp_path, seconds=120) as server:
        held = control.start(read(path), "ana")
        for place in range(1_000_000):
            row = {"row": {"x": [place % 7 - 3, 1, 1]}, "entity": f"caller {place}"}
            status, body, _ = server.ask(row)
            assert status == 200, body
            traffic = read_traffic(folder)
            phase = traffic.phase if traffic.rollout == held.id else ""  # nobody's, until the controller has begun it
            seen += [phase] if phase and (not seen or seen[-1] != phase) else []
            if phase == "promoted":
                break
            time.sleep(0.02)
            if place % 10 == 0 and killed[phase] < 1 and killed.total() < 2 and (pids := controllers(server)):
                os.kill(pids[0], signal.SIGKILL)
                killed[phase] += 1
            assert time.monotonic() < ends, (seen, server.log.read_text(errors="replace")[-2000:])
    assert seen == ["shadow", "canary", "switched", "promoted"] and sum(killed.values()) >= 2
    with Database.open(tmp_path / "records.sqlite") as database:
        assert [entry.kind for entry in read_log(database, held.id)] == ["started", "begin", "advance", "advance", "switch", "promote"]
        assert verify_log(database, held.id) == every(database, "rolled")[0].head
        counted = {(cell.stage, cell.measure) for cell in _cells(database, held)}
    assert {("shadow", "errors"), ("shadow", "late"), ("canary", "errors"), ("switched", "late")} <= counted
    arms = Counter(record.arm for record in records(tmp_path / "records.sqlite"))
    assert arms["challenger"] > 30 and arms["champion"] > 30


def _cells(database, held):
    with database.read() as connection:
        return list(observed(connection, held.id, held.policy, 0).counts)
