"""A run is killed at every rename of a file, at which something becomes visible, and taken up: there is always one candidate."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from released import MINUTE, NOW, served
from trained import retraining

from portside.cloud.releasing import benching
from portside.cloud.retraining import retraining as module
from portside.cloud.retraining.handing_over import CANDIDATE
from portside.runtimes import costs
from portside.sdk.core.package import write
from portside.sdk.dataset import versions
from portside.sdk.store import Store

LATER = NOW + 700 * MINUTE
ONE = {"runs": [("done", "passed", "main:2")], "versions": ["main:1", "main:2"], "candidate": True, "datasets": [1]}


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Latency is measured, but not for long."""
    monkeypatch.setattr(benching, "SECONDS", 0.002)
    monkeypatch.setattr(costs, "SECONDS", 0.001)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A function that gives a deployment that is due, in a folder and a home of its own."""
    made = []

    def new():
        folder = tmp_path / f"at{len(made)}"
        folder.mkdir()
        made.append(folder)
        monkeypatch.setenv("PORTSIDE_HOME", str(folder / "home"))
        served(folder, 300)
        retraining(folder)
        return folder

    return new


def killed(folder, when):
    """Retrain in a process that is killed just before a file gets its name, where `when(number, name)` says so; whether it was."""
    child = os.fork()
    if child == 0:
        seen = [0]

        def look(event, arguments):
            if event == "os.rename":
                seen[0] += 1
                if when(seen[0], str(arguments[1])):
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)
        try:
            retraining(folder, now_ms=LATER).retrain()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or status == 0
    return os.WIFSIGNALED(status)


def end(folder):
    """What there is in the end, after the run was taken up."""
    held = retraining(folder, now_ms=LATER)
    held.retrain()
    runs = held.runs.all()
    return {"runs": [(run.stage, run.verdict, run.ref) for run in runs], "versions": [held.ref for held in Store().ls("main")],
            "candidate": Store().resolve(f"main:{CANDIDATE}") == Store().resolve("main:2") == runs[0].candidate,
            "datasets": [one["version"] for one in versions(folder / "datasets" / "tester")]}  # fmt: skip


@pytest.mark.slow
@pytest.mark.long
def test_killed_again_and_again_there_is_one_candidate(place):
    folder, stages, turns = place(), [], 0
    while killed(folder, lambda number, name, most=turns: number > most):
        turns += 1
        left = retraining(folder).runs.unfinished()
        stages.append(None if left is None else left.stage)
        assert turns < 60
    assert end(folder) == ONE and turns >= 5
    order = [None, "dataset", "training", "lineage", "push", "gates", "hand over"]
    assert [order.index(stage) for stage in stages] == sorted(order.index(stage) for stage in stages)  # it never goes back


@pytest.mark.slow
@pytest.mark.long
def test_wherever_it_is_killed_there_is_one_candidate(place, effort):
    point, stages = 1, set()
    while True:
        folder = place()
        if not killed(folder, lambda number, name, at=point: number == at):
            break
        left = retraining(folder).runs.unfinished()
        stages.add(None if left is None else left.stage)
        assert end(folder) == ONE, point
        point += 1 if effort > 1 else 5
    assert point > 10 and len(stages) >= 3


@pytest.mark.slow
@pytest.mark.long
def test_a_candidate_that_is_made_anew_at_every_attempt_is_noticed(place, monkeypatch):
    """The control: without names by content the same kill leaves two versions."""

    def after_push(number, name):
        return Path(name).name == "run.json" and len(Store().ls("main")) == 2

    folder = place()
    assert killed(folder, after_push) and end(folder) == ONE

    def careless(self, run):
        made = self._candidate(run)
        content = replace(made.content, files={}, recipe=(*made.content.recipe, {"kind": "turn", "process": os.getpid()}))
        files = {path: made.path / path for path in made.content.files}
        other = write(content, files, self.runs.place(run) / f"other-{os.getpid()}", made.manifest.annotations, trusted=True)
        return self.runs.save(run, stage="gates", ref=Store().push(other), candidate=other.digest)

    monkeypatch.setattr(module.Retraining, "_push", careless)
    folder = place()
    assert killed(folder, after_push)
    found = end(folder)
    assert found["versions"] == ["main:1", "main:2", "main:3"] and found != ONE
