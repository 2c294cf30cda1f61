"""kill -9 of controller and people at every transition of a rollout: the same end, nothing done twice. And controls that must fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
WAY = ["started", "begin", "asked", "paged", "approved", "advance", "advance", "asked", "paged", "approved", "switch", "promote",
       "rolled back by hand", "paged"]  # fmt: skip


def cut(folder, points, mode, url="-", seconds=280):
    words = [sys.executable, HERE / "cutting.py", folder, url, str(points), mode]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def check(found, least):
    """The whole rollout went its way, and so did every one that was interrupted."""
    whole = found["whole"]
    entries = sorted(whole["rollout_log"], key=lambda row: int(row[0]))
    assert [row[1] for row in entries] == WAY
    assert whole["verified"] == entries[-1][5] and whole["rollout_seen"] == [] and whole["traffic"][1:] == ["rolled back", 0.0]
    assert len(found["died"]) >= least
    assert found["faults"] == []


@pytest.mark.slow
def test_at_every_transition_the_end_is_the_same_and_nothing_is_done_twice(tmp_path, effort):
    found = cut(tmp_path, "moved:10" if effort == 1 else 100_000, "durable", seconds=3600)
    check(found, 10 if effort == 1 else found["points"])
    print(json.dumps({"points": found["points"], "died at": len(found["died"])}))


@pytest.mark.slow
def test_at_a_few_points(tmp_path):
    check(cut(tmp_path, "moved committed:3", "durable"), 3)


@pytest.mark.slow
def test_at_some_points_on_postgresql(tmp_path, postgresql, effort):
    points, least = ("moved:4", 4) if effort == 1 else ("64", 64)
    check(cut(tmp_path, points, "durable", postgresql.database(), seconds=3600), least)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "points", "wrong"), [("cursor apart", "looked apart:2", "rollout_counts"),
                                                       ("log apart", "log apart:2", "rollout_log"),
                                                       ("told once", "moved replacing:2", "traffic")])  # fmt: skip
def test_the_controls_fail(tmp_path, mode, points, wrong):
    """A cursor that moves by itself counts twice, a log that is written by itself has gaps, workers that are told once are not told."""
    found = cut(tmp_path, points, mode)
    assert any(wrong in fault["wrong"] for fault in found["faults"]), found["faults"]
