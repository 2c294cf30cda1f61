"""The loop closes: the cells' story from drift to a device that has the new version, and that of the weather."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOP = ROOT / "examples" / "closed_loop"


def run(*command, timeout):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True", "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=timeout)


@pytest.fixture(scope="module")
def story():
    """Where the modules of the story are found."""
    sys.path[:0] = [str(LOOP), str(ROOT / "examples" / "visual_inspection")]
    try:
        yield
    finally:
        del sys.path[:2]


@pytest.fixture
def belts(story):
    import belt
    import cells

    return belt, cells


@pytest.mark.parametrize("stopped", [0, 2, 3])
def test_people_label_more_after_a_candidate_that_its_gates_stopped(story, monkeypatch, stopped):
    import acts

    came, asked, said = [], [], iter([None] * stopped + ["cells:2"])
    plan = acts.Plan(8.0, 0.1, 0, 0, (0, 0), label=(10, 130), more=(5, 70), rollout=(0, 0), after=(0, 0))
    world = SimpleNamespace(plan=plan, story=SimpleNamespace(begin=lambda *_: None))
    monkeypatch.setattr(acts, "arrive", lambda _, mono, poly: came.append((mono, poly)))
    monkeypatch.setattr(acts, "caught_up", lambda _: came.append("decided"))
    monkeypatch.setattr(acts, "trickle", lambda _, over: None)
    monkeypatch.setattr(acts.candidate, "made", lambda _, again: (asked.append(again), next(said))[1])
    if stopped < acts.CANDIDATES:
        assert acts.retrain(world) == "cells:2"
    else:
        with pytest.raises(RuntimeError, match="3 candidates"):
            acts.retrain(world)
    tried = min(stopped + 1, acts.CANDIDATES)
    assert came == [(10, 130), "decided", *[(5, 70), "decided"] * (tried - 1)]
    assert asked == [False, *[True] * (tried - 1)], "new labels ask for the later ones"


def test_no_module_has_two_roles(belts):
    belt, cells = belts
    types = np.array(["mono"] * 1074 + ["poly"] * 1550)
    every = cells.Cells(np.zeros((2624, 1), np.uint8), np.zeros(2624, np.int64), types)
    made = belt.belt(every, 3)
    roles = [made.teach, *made.held.values(), *made.coming.values()]
    assert sorted(np.concatenate(roles).tolist()) == list(range(2624))  # each cell once, and in one role
    blocks = [{(types[place], place // cells.BLOCK) for place in role} for role in roles]
    assert all(not (a & b) for i, a in enumerate(blocks) for b in blocks[:i])
    before = len(made.coming["poly"])
    taken = made.draw(3, 5, np.random.default_rng(0))
    assert sorted(types[taken].tolist()) == ["mono"] * 3 + ["poly"] * 5 and len(made.coming["poly"]) == before - 5
    assert len(made.draw(0, 9999, np.random.default_rng(0), keep=7)) == before - 12 and len(made.coming["poly"]) == 7
    assert made.draw(0, 1, np.random.default_rng(0), keep=7) == []


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_loop_closes(effort, tmp_path):
    """Nothing fails, nothing is lost, the version that was retrained answers at the server and on the device."""
    done = run(LOOP / "run.py", *(["--short"] if effort == 1 else []), "--out", tmp_path / "loop", timeout=1700)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
    assert "promoted; its log is whole" in done.stderr and "checks prove that the model is wrong" in done.stderr
    assert "records lost: 0 of the server's" in done.stdout and "0 of the device's" in done.stdout and "power cut 1 times" in done.stdout
    assert "it runs the new release" in done.stderr and "answers are home" in done.stderr
    assert effort == 1 or "done by hand" not in done.stdout  # the cheap model is too seldom wrong for the monitor to be sure in time
    page = (tmp_path / "loop" / "timeline.html").read_text(encoding="utf-8")
    assert "cell-inspector:2" in page and "stand in for them" in page and "<polyline" in page
    lines = (tmp_path / "loop" / "cam-7" / "answers.jsonl").read_text().splitlines()
    versions = {json.loads(line)["receipt"]["version"] for line in lines if '"receipt"' in line}
    assert len(versions) == 2


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_weather_is_learned_anew(tmp_path):
    done = run(LOOP / "rainfall.py", "--out", tmp_path / "weather", timeout=850)
    assert done.returncode == 0, done.stderr[-3000:]
    (late,) = [line.split() for line in done.stdout.splitlines() if line.startswith("after the promotion")]
    assert float(late[-2]) > 0.7 > 0.6 > float(late[-1])
    told = int(done.stdout.split("told before the break: ")[1].split(";")[0])
    assert told <= 2 and "row 12," in done.stdout.split("told before the break: ")[1][:20]
    assert "accuracy with the loop" in (tmp_path / "weather" / "timeline.html").read_text(encoding="utf-8").lower()
