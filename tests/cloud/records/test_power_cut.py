"""kill -9 and a lost page cache, at logged points: what was acknowledged is there, once. And the controls, which must fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def cut(library, folder, points, mode, seconds=120):
    """What crashing.py found."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": ""}
    words = [sys.executable, HERE / "crashing.py", folder, library, str(points), mode]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_nothing_acknowledged_is_lost_or_doubled(library, tmp_path):
    found = cut(library, tmp_path, 12, "durable")
    assert len(set(found["died"])) == 12 and found["acknowledged"] > 90
    kinds = {" ".join(point.split()[1:3]) for point in found["died"]}
    assert {"before sync", "within write"} <= kinds or len(kinds) >= 4, kinds
    assert found["faults"] == []


@pytest.mark.parametrize(("mode", "disk"), [("unsynced", "synced"), ("early", "live")])
def test_the_controls_lose_what_was_acknowledged(library, tmp_path, mode, disk):
    """Without syncs a power cut takes what was acknowledged; acknowledged before it is written, kill -9 is enough."""
    found = cut(library, tmp_path, 4, mode)
    assert any(fault["disk"] == disk and fault["missing"] for fault in found["faults"])


@pytest.mark.chaos
def test_at_every_so_many_points(library, tmp_path, effort):
    points = 60 if effort == 1 else 100_000  # all there are
    found = cut(library, tmp_path, points, "durable", seconds=3600)
    assert len(set(found["died"])) >= 60
    assert found["faults"] == []
    print(json.dumps({"points": found["points"], "died at": len(found["died"]), "acknowledged in a whole run": found["acknowledged"]}))
