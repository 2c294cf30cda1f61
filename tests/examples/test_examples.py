"""The examples run: the factory story from start to end, and every entry of the zoo that is quick to build."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("mlp", "table", "logistic", "forest", "boosting", "gradient", "perceptron", "regressor", "silero", "direction")
LONG = ("cnn", "magika", "efficientnet", "minilm")


def run(*command, timeout):
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "BENTOML_DO_NOT_TRACK": "True", "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=timeout)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_factory_story_ends_with_every_request_answered(tmp_path):
    done = run("examples/visual_inspection/run.py", "--short", "--out", tmp_path / "story", timeout=850)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "story" / "report.html").read_text(encoding="utf-8")
    assert "0 failed requests" in page and "data:image/png;base64," in page
    acts = [line for line in done.stdout.splitlines() if line.startswith(("healthy", "main model"))]
    assert len(acts) == 5 and all(line.split()[-2].startswith("cell-inspector") for line in acts)
    assert "'reason': 'deadline'" in done.stdout and "'reason': 'primary'" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_zoo_is_proven(effort):
    names = QUICK if effort == 1 else (*QUICK, *LONG)
    chosen = [part for name in names for part in ("--only", name)]
    done = run("-m", "portside", "verify", "--json", "--targets", "onnx-cpu", "examples/zoo", *chosen, timeout=3500)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    assert json.dumps(json.loads(done.stdout)).count('"verdict": "passed"') >= len(names)
