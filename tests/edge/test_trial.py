"""Real packages on a real engine: a compiled artifact from a folder into a slot, through its trial, and into use; and those that fail."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from portside.edge.files import OsFiles
from portside.edge.folder_source import FolderSource
from portside.edge.health import Limits
from portside.edge.installer import Installer
from portside.edge.slots import Slots
from portside.edge.trial import MOST_CALLS, TrialJudge
from portside.edge.trial_file import TrialFile
from portside.edge.update_state import Active, DesiredSeen, RolledBack, Trial
from portside.runtimes.artifact import open_artifact
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.samples import Sample, graph_model, node
from portside.sdk.core.contract import Rule
from portside.sdk.core.errors import StoreError
from portside.sdk.core.signature import Signature, TensorSpec

WEIGHT = np.array([[1.0, -0.5, 0.25], [0.5, 1.0, -1.0], [-0.25, 0.75, 0.5], [0.1, -0.2, 0.3]], np.float32)


def sample(name, weight, told=None, label="label"):
    """Logits and a label of four numbers; `told` is the weight that its contract believes in."""
    signature = Signature((TensorSpec("x", "f32", ("batch", 4)),), (TensorSpec("logits", "f32", ("batch", weight.shape[1]), kind="score"),
                          TensorSpec(label, "i32", ("batch",), kind="decision")))  # fmt: skip
    nodes = [node("MatMul", ["x", "weight"], "logits"), node("ArgMax", ["logits"], "best", axis=1, keepdims=0),
             node("Cast", ["best"], label, to=6)]  # fmt: skip

    def truth(inputs):
        logits = inputs["x"] @ (weight if told is None else told)
        return {"logits": logits, label: logits.argmax(1).astype(np.int32)}

    def inputs(rows):
        return {"x": np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)}

    return Sample(name, signature, graph_model(signature, nodes, {"weight": weight}), truth, inputs,
                  {"logits": Rule("score"), label: Rule("decision")})  # fmt: skip


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Name -> a compiled artifact's folder."""
    folder = tmp_path_factory.mktemp("artifacts")
    kinds = {
        "first": sample("first", WEIGHT), "alike": sample("alike", WEIGHT + np.float32(1e-4)), "unlike": sample("unlike", -WEIGHT),
        "renamed": sample("renamed", WEIGHT, label="class"), "wider": sample("wider", np.hstack([WEIGHT, WEIGHT - 9])),
    }  # fmt: skip
    found = {name: compile_package(kind.write(folder / f"{name}.package"), out=folder / name).path for name, kind in kinds.items()}
    wrong = sample("wrong", WEIGHT, told=-WEIGHT).write(folder / "wrong.package")
    return {**found, "wrong": compile_package(wrong, out=folder / "wrong", prove=False).path}


class Stick:
    """Sources of several folders behind one another."""

    def __init__(self):
        self.held = None

    def __getattr__(self, name):
        return getattr(self.held, name)


@pytest.fixture
def plugged(artifacts, tmp_path):
    """(function that installs an artifact by name, installer, judge)."""
    judge = TrialJudge(Limits(p95_ms=1000.0))
    made = Installer(Slots(OsFiles(), tmp_path / "device"), Stick(), judge)
    made.boot()

    def install(name, sequence):
        made.source.held = FolderSource(artifacts[name], sequence)
        made.handle(DesiredSeen(made.source.held.wanted))
        return made.work()

    yield install, made, judge
    judge.end()


def live(made, judge, rows=200):
    """The device answers, and the trial is asked the same."""
    session = load(made.slots.artifact(made.update.active.slot))
    inputs = {"x": np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)}
    judge.observe(inputs, session.run(inputs))
    session.close()


def test_from_a_folder_through_a_trial_into_use(plugged, artifacts):
    install, made, judge = plugged
    assert install("first", 1) is False  # nothing to be compared with: the contract and the budget decide
    assert isinstance(made.update.phase, Active)
    place = made.slots.artifact(made.update.active.slot)
    assert open_artifact(place).digest == open_artifact(artifacts["first"]).digest == made.update.active.wanted.release
    assert install("alike", 2) is True
    assert isinstance(made.update.phase, Trial)
    assert made.update.phase.slot == "b"
    assert judge.evidence.contract == "passed"
    live(made, judge)
    assert judge.evidence.outputs["label"].rows == 200
    assert made.work() is False
    assert made.update.active.wanted.release == open_artifact(artifacts["alike"]).digest
    assert judge.evidence is None
    assert made.rollback().active.wanted.release == open_artifact(artifacts["first"]).digest


def test_a_release_that_answers_otherwise_is_refused(plugged):
    install, made, judge = plugged
    install("first", 1)
    install("unlike", 2)
    live(made, judge)
    assert made.work() is False
    assert isinstance(made.update.phase, RolledBack)
    assert "'logits' differs on" in made.update.phase.why
    assert made.update.active.slot == "a"


def test_where_no_output_has_to_agree_the_contract_and_the_budget_decide(plugged):
    install, made, judge = plugged
    install("first", 1)
    judge.limits = Limits(p95_ms=1000.0, agree=("label",))
    assert install("unlike", 2) is True  # rows are waited for
    judge.end()
    judge.limits = Limits(p95_ms=1000.0, agree=())
    assert install("unlike", 3) is False
    assert isinstance(made.update.phase, Active)


@pytest.mark.parametrize(("name", "why"), [
    ("wrong", "the contract failed on this device: logits:"),
    ("renamed", "it does not give 'label', which the active release gives"),
])  # fmt: skip
def test_a_release_that_breaks_a_promise_is_refused_before_any_row(plugged, name, why):
    install, made, _ = plugged
    install("first", 1)
    assert install(name, 2) is False
    assert made.update.phase.why.startswith(why)
    assert made.update.active.slot == "a"


def test_a_first_release_that_breaks_its_contract_never_runs(plugged):
    install, made, _ = plugged
    install("wrong", 1)
    assert (made.update.active, isinstance(made.update.phase, RolledBack)) == (None, True)
    install("first", 2)
    assert isinstance(made.update.phase, Active)


def test_outputs_of_another_shape_are_left_out_while_others_can_be_compared(plugged):
    install, made, judge = plugged
    install("first", 1)
    install("wider", 2)
    live(made, judge)
    assert list(judge.evidence.outputs) == ["label"]


def test_a_trial_that_raises_where_the_old_release_answers_differs_on_every_row(plugged):
    install, _, judge = plugged
    install("first", 1)
    install("alike", 2)
    judge.observe({"x": np.zeros((7, 9), np.float32)}, {"logits": np.zeros((7, 3), np.float32), "label": np.zeros(7, np.int32)})
    assert {name: count.off for name, count in judge.evidence.outputs.items()} == {"logits": 7, "label": 7}


def test_rows_that_come_while_the_trial_is_busy_are_left_out(plugged):
    install, made, judge = plugged
    install("first", 1)
    install("alike", 2)
    with judge._lock:
        live(made, judge)  # returns at once
    assert judge.evidence.live == 0
    live(made, judge)
    assert judge.evidence.live == 200


def test_a_trial_goes_on_after_restarts_with_what_it_had_seen(artifacts, tmp_path):
    """No single life of this device sees the 72 rows that agreement takes; all of them together do."""
    lives = 0

    def device(name, sequence):
        slots = Slots(OsFiles(), tmp_path / "device")
        judge = TrialJudge(file=TrialFile(slots.files, slots.root))
        made = Installer(slots, FolderSource(artifacts[name], sequence), judge)
        made.boot(clean=True)
        made.handle(DesiredSeen(made.source.wanted))
        return made, judge

    made, judge = device("first", 1)
    made.work()
    while made.update.active.wanted.sequence == 1:
        lives += 1
        made, judge = device("alike", 2)
        made.work()
        assert judge.evidence.live == 30 * (lives - 1)
        live(made, judge, 30)
        made.work()
        judge.end()
    assert lives == 3


@pytest.mark.slow
def test_a_trial_in_a_process_of_its_own(artifacts, tmp_path):
    judge = TrialJudge(isolation="process")
    made = Installer(Slots(OsFiles(), tmp_path / "device"), FolderSource(artifacts["first"], 1), judge)
    made.boot()
    made.handle(DesiredSeen(made.source.wanted))
    made.work()
    made.source = FolderSource(artifacts["alike"], 2)
    made.handle(DesiredSeen(made.source.wanted))
    made.work()
    live(made, judge)
    assert made.work() is False
    assert isinstance(made.update.phase, Active)


@pytest.mark.slow
def test_the_same_on_tflite(tmp_path):
    made_for = compile_package(sample("first", WEIGHT).write(tmp_path / "package"), "tflite", tmp_path / "tflite").path
    judge = TrialJudge(Limits(p95_ms=1000.0))
    made = Installer(Slots(OsFiles(), tmp_path / "device"), FolderSource(made_for, 1), judge)
    made.boot()
    made.handle(DesiredSeen(made.source.wanted))
    assert made.work() is False
    assert made.update.phase == Active(made.source.wanted)
    live_session = load(made.slots.artifact("a"))
    assert live_session.run({"x": np.ones((1, 4), np.float32)})["label"].tolist() == [0]
    live_session.close()


def test_a_slow_release_is_refused_by_its_golden_calls(artifacts, tmp_path):
    ticks = iter(range(10**6))
    judge = TrialJudge(Limits(p95_ms=999.0), clock=lambda: float(next(ticks)))  # every call takes a second
    found = judge.judge(artifacts["first"], FolderSource(artifacts["first"], 1).wanted, None)
    assert found.verdict == "unhealthy"
    assert found.why.endswith("calls took more than 999 ms, 5% may")
    assert judge.evidence.calls.rows < MOST_CALLS
    judge.end()
    judge.observe({}, {})


def test_what_cannot_be_loaded_is_unhealthy_and_says_why(artifacts, tmp_path):
    judge = TrialJudge()
    found = judge.judge(tmp_path / "none", FolderSource(artifacts["first"], 1).wanted, artifacts["first"])
    assert found.verdict == "unhealthy"
    assert "not a Portside artifact" in found.why


def test_a_folder_holds_one_release(artifacts):
    source, other = FolderSource(artifacts["first"], 1), FolderSource(artifacts["alike"], 1)
    with pytest.raises(StoreError, match="another release"):
        source.fetch(other.wanted)


def test_a_device_needs_neither_torch_nor_onnx_nor_a_server():
    code = (
        "import sys, portside.edge.trial, portside.edge.folder_source, portside.edge.installer; "
        "print([name for name in ('torch', 'onnx', 'bentoml', 'sklearn', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
