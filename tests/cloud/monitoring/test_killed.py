"""kill -9 of the monitor at logged points: no record counted twice or left out, no alert lost or doubled. And controls that must fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def kill(folder, receiver, points, mode, url="-", seconds=280):
    words = [sys.executable, HERE / "killing.py", folder, url, str(points), mode, str(receiver.server_port)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def check(found, receiver, points):
    """The made-up hour raised what it should, and nothing was lost or doubled at any point."""
    whole = found["whole"]
    assert whole["requests"] == whole["rows"] == 480 and whole["labelled"] == 140 and whole["owed"] == []
    assert sum(rows for _, rows in whole["spans"]) == 480
    states = Counter((name, state) for _, name, _, state in whole["events"])
    assert states["drift", "firing"] >= 1 and states["slo-fast-burn", "firing"] >= 1 and states["drift", "resolved"] >= 1
    assert len({event[0] for event in whole["events"]}) == len(whole["events"])
    assert len(found["died"]) == points and len({died.partition(" ")[2] for died in found["died"]}) >= min(points - 3, 9)
    assert found["faults"] == []
    told = {body["id"] for body in receiver.got}
    assert told == {event[0] for event in whole["events"]}, "everybody was told all of it, and nothing else"


@pytest.mark.chaos
@pytest.mark.long
def test_nothing_is_counted_twice_or_left_out_and_no_alert_lost_or_doubled(tmp_path, receiver, effort):
    points = 40 if effort == 1 else 100_000
    found = kill(tmp_path, receiver, points, "durable", seconds=3600)
    check(found, receiver, min(points, found["points"]))
    print(json.dumps({"points": found["points"], "died at": len(found["died"])}))


@pytest.mark.slow
def test_at_a_few_points(tmp_path, receiver):
    check(kill(tmp_path, receiver, 7, "durable"), receiver, 7)


@pytest.mark.chaos
def test_at_some_points_on_postgresql(tmp_path, receiver, postgresql):
    found = kill(tmp_path, receiver, 6, "durable", postgresql.database())
    check(found, receiver, 6)


@pytest.mark.chaos
@pytest.mark.parametrize(("mode", "point", "wrong"), [
    ("cursor apart", "counted", "requests"), pytest.param("told apart", "alerts apart", "events", marks=pytest.mark.long)])  # fmt: skip
def test_the_controls_fail(tmp_path, receiver, mode, point, wrong):
    """A cursor that moves by itself counts twice; events that are written by themselves are lost."""
    found = kill(tmp_path, receiver, point, mode)
    assert any(wrong in fault["wrong"] for fault in found["faults"]), found["faults"]
