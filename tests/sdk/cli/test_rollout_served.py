"""`portside rollout` on a running server: it takes the challenger up, a fault that some requests show sends it back, all are answered."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import pytest

from portside.sdk.cli.main import main

sys.path[:0] = [str(Path(__file__).parents[2] / "cloud")]

import packages  # noqa: E402  found in the folder above
import started as servers  # noqa: E402

CHAMPION = """name = "rolled"
[champion]
package = "old"
isolation = "inline"
trust = true
[failover]
deadline_ms = 2000
[gates]
card = []
unproven = ["static", "recent", "bench"]
"""
CHALLENGER = """[rollout]
challenger = { package = "new", trust = true, isolation = "inline" }
shadow_first = false
steps = [0.5]
min_rows = 100000
limits = { errors = 0.05, late = 0.5 }
"""
FAULT = packages.MAIN.replace("    score = 1", "    if x[0, 0] == 3:\n        raise ValueError('a three')\n    score = 1")


def asking(server, stop, answers):
    """One request after the other, each of somebody else; every third the challenger cannot answer."""
    place = 0
    while not stop.is_set():
        place += 1
        answers.append(server.ask({"row": {"x": [3 if place % 3 == 0 else 1, 1, 1]}, "entity": f"caller {place}"})[:2])


def given(answers, digest):
    """Some of these were answered by the package of this digest."""
    return any(body["receipt"]["version"] == digest for _, body in answers)


@pytest.mark.slow
def test_a_running_server_takes_it_up_and_goes_back_by_itself(tmp_path, capsys):
    packages.host_package(tmp_path / "old")
    packages.host_package(tmp_path / "new", FAULT, name="new")
    file = tmp_path / "deployment.toml"
    file.write_text(CHAMPION)
    with servers.serving(servers.SERVE, tmp_path, seconds=120) as server:
        answers, stop = [], threading.Event()
        load = threading.Thread(target=asking, args=(server, stop, answers))
        load.start()
        try:
            file.write_text(CHAMPION + CHALLENGER)
            code = main(["rollout", "start", str(file), "--by", "ana", "--json"])
            begun = json.loads(capsys.readouterr().out)
            assert code == 0 and begun["phase"] == "canary" and [gate["verdict"] for gate in begun["gates"].values()] == ["passed"]
            code = main(["rollout", "status", str(file), "--wait", "90", "--json"])
            status = json.loads(capsys.readouterr().out)
            assert code == 1 and status["phase"] == "rolled back" and not status["broken"], status["why"]
            assert "Why: errors: at least" in status["why"]
            ends, challenger = time.monotonic() + 20, begun["challengers"][0]["digest"]
            while time.monotonic() < ends and given(answers[-30:], challenger):
                time.sleep(0.05)  # every worker looks at the file of arms by itself
        finally:
            stop.set()
            load.join()
        found = json.loads(server.call(f"/dashboard/data/rollout?deployment=rolled&id={begun['id']}")[1])["rollout"]
        assert found["over"] and found["log"][-1]["by"] == "ana" and found["measures"][0]["verdict"] == "beyond"
        assert found["measures"][0]["points"] and found["arms"][0]["failed"]["challenger"] > 0
    assert {status for status, _ in answers} == {200}, "nobody goes without an answer"
    assert given(answers, challenger), "some were given it"
    assert not given(answers[-20:], challenger), "nobody is any more"
