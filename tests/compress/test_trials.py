"""A trial: measured on the target's own runtime, judged by contract and gates, never an exception, and data that survives a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import portside as ps
from portside.compress import expected
from portside.compress.excess import excesses
from portside.compress.settings import Settings
from portside.compress.trials import Trial, Workbench
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.timing import Footprint, Samples
from portside.sdk.core.errors import EngineError, InputError, UnsupportedError
from portside.sdk.core.plan import PRECISIONS

FIGURES = {"size_mb", "memory_mb", "p50_ms", "p95_ms", "p99_ms", "ratio", "ratio_low", "ratio_high", "size_ratio"}


@pytest.fixture
def bench(network, rows, calibration):
    with Workbench(network, "onnx-cpu", rows, calibration, limits=ps.Budget(max_flips=0.05, max_drop=0.05), price_per_hour=0.36) as made:
        yield made


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_class_is_measured_and_judged(bench, precision):
    trial = bench.attempt(Settings(precision))
    assert trial.fault is None
    assert set(trial.figures) == FIGURES | {"cost_per_1k"}
    assert all(np.isfinite(held) and held > 0 for held in trial.figures.values())
    assert trial.figures["ratio_low"] <= trial.figures["ratio_high"]
    assert trial.figures["cost_per_1k"] == pytest.approx(trial.figures["p50_ms"] / 3600 * 0.36)
    assert trial.seconds > 0
    assert trial.comparison["rows"] == trial.comparison["labelled"] == 1200
    if precision == "float32":
        assert (trial.verdict, trial.loss, trial.figures["size_ratio"]) == ("passed", 0, 1)
        assert trial.achieved == {}
    else:
        assert trial.figures["size_ratio"] < 1
        assert list(trial.achieved) == [precision]
        assert abs(trial.loss) < 0.1


class Page:
    """A session that measures itself, and says of memory what it was told to."""

    def __init__(self, session, memory_mb):
        self.info, self._memory_mb = session.info, memory_mb

    def measure(self, inputs, repeats=5, seconds=0.5):
        return Samples(tuple((0.001, 0.002) for _ in range(repeats)))

    def footprint(self, inputs, starts=3):
        return Footprint(10.0, (9.0, 11.0), self._memory_mb)


def test_memory_that_was_not_measured_is_no_figure_and_within_no_limit(bench, monkeypatch):
    session = bench.session
    monkeypatch.setattr(bench, "session", Page(session, 20.0))
    assert bench._figures(bench.floats, Page(session, 20.0))["memory_mb"] == 20.0
    figures = bench._figures(bench.floats, Page(session, None))
    assert "memory_mb" not in figures and figures["p50_ms"] > 0
    (over,) = excesses(Trial(Settings("float32"), "passed", figures), ps.Budget(memory_mb=1000))
    assert str(over) == "memory_mb not measured against 1000"
    assert not excesses(Trial(Settings("float32"), "passed", {**figures, "memory_mb": 20.0}), ps.Budget(memory_mb=1000))


def test_a_trial_survives_a_file(bench):
    trial = bench.attempt(Settings("int8-static", kept=("main/Gemm_1",)))
    back = Trial.from_dict(json.loads(json.dumps(trial.to_dict(), allow_nan=False)))
    assert back.to_dict() == trial.to_dict()
    assert [(gate.name, gate.limit, gate.verdict) for gate in back.gates] == [("max_drop", 0.05, "passed"), ("max_flips", 0.05, "passed")]
    assert all(0 <= gate.measured <= gate.limit and gate.rows == 1200 for gate in back.gates)
    assert back.gates == trial.gates
    assert back.settings == trial.settings
    assert back.kept == {"main/Gemm_1": "asked for"}


def test_what_goes_wrong_is_the_trials_fault(bench, monkeypatch):
    def refuse(self, package, options, out):
        raise EngineError("the engine has no such kernel")

    monkeypatch.setattr(OnnxCpu, "compile", refuse)
    for precision in PRECISIONS[1:]:
        trial = bench.attempt(Settings(precision))
        assert trial.verdict == "failed"
        assert "no such kernel" in trial.fault
        assert trial.figures == {}
        assert Trial.from_dict(json.loads(json.dumps(trial.to_dict()))).loss == float("inf")


def test_a_node_that_does_not_exist_is_a_fault_too(bench):
    assert "does not exist" in bench.attempt(Settings("int8-dynamic", kept=("main/Nobody",))).fault


def test_nothing_is_left_on_the_disk(bench, network, rows, calibration):
    folder = Path(bench._folder)
    bench.attempt(Settings("int8-static"))
    bench.attempt(Settings("int8-dynamic", kept=("main/Nobody",)))
    assert [path.name for path in folder.iterdir()] == ["float"]
    with Workbench(network, "onnx-cpu", rows, calibration) as other:
        path = Path(other._folder)
    assert not path.exists()


def test_calibration_is_made_once_and_only_when_it_is_needed(bench, monkeypatch):
    made = []
    calibrate = bench.plans.calibrate
    monkeypatch.setattr(bench.plans, "calibrate", lambda *held, **named: made.append(1) or calibrate(*held, **named))
    bench.attempt(Settings("int8-dynamic"))
    assert made == []
    bench.attempt(Settings("int8-static"))
    bench.attempt(Settings("int8-static", "entropy"))
    assert made == [1]


def test_a_gate_that_breaks_is_said_with_its_measure_and_limit(fragile, rows, calibration):
    with Workbench(fragile, "onnx-cpu", rows, calibration, limits=ps.Budget(max_flips=0.05)) as bench:
        trial = bench.attempt(Settings("int8-static"))
    assert trial.verdict == "failed"
    assert any(held.startswith("max_flips: failed") and "against 0.05" in held for held in trial.reasons)
    assert any("of 1200 rows flip" in held for held in trial.reasons)
    (gate,) = trial.gates
    assert (gate.name, gate.verdict) == ("max_flips", "failed")
    assert gate.measured > 0.05
    assert not any(held.startswith("max_") for held in trial.broken)


def test_a_limit_on_flips_is_the_users_own(network, rows, calibration):
    strict, lax = (
        Workbench(network, "onnx-cpu", rows, calibration, limits=limits) for limits in (ps.Budget(max_flips=0.0), ps.Budget(max_flips=0.05))
    )
    with strict, lax:
        assert not strict.attempt(Settings("int4-weights")).passed
        assert lax.attempt(Settings("float16")).passed


def test_without_labels_the_loss_is_the_share_of_flips(network, rows, calibration):
    with Workbench(network, "onnx-cpu", ps.Data(rows.inputs), calibration) as bench:
        trial = bench.attempt(Settings("int4-weights"))
    assert trial.comparison["labelled"] == 0
    assert trial.loss == trial.comparison["flips"][0]["count"] / len(rows) > 0


def test_expectations_of_the_package_are_judged_on_what_was_compiled(network, expecting, rows, calibration, tmp_path, monkeypatch):
    asked = []
    real = expected.session_of
    monkeypatch.setattr(expected, "session_of", lambda package: asked.append(package) or real(package))
    package = expecting(network, tmp_path / "expecting", ps.Perturbation(1e-6), ps.Invariance("x", scale=3, at_most=0.001))
    with Workbench(package, "onnx-cpu", rows, calibration, limits=ps.Budget(max_flips=0.05)) as bench:
        trials = [bench.attempt(Settings(precision)) for precision in ("float32", "int8-static")]
        strict = replace(bench.limits, max_flips=0.0)
        monkeypatch.setattr(bench, "limits", strict)
        broken = bench.attempt(Settings("int4-weights"))
    assert len(asked) == 1, "the package itself is asked once"
    for trial in trials:
        assert trial.verdict == "failed" and trial.broken == () and all(trial.gates)
        assert [gate.name for gate in trial.asked if not gate] == ["invariance: scale 3 in x"]
        (reason,) = trial.reasons
        assert reason.startswith("invariance: scale 3 in x: failed") and "against 0.001" in reason
        assert [held.limit for held in excesses(trial, ps.Budget())] == ["invariance: scale 3 in x"]
        back = Trial.from_dict(json.loads(json.dumps(trial.to_dict(), allow_nan=False)))
        assert back.asked == trial.asked and back.to_dict() == trial.to_dict()
    ancestors = [trial.comparison["expectations"][1]["ancestor"] for trial in trials]
    assert ancestors[0] == ancestors[1] == trials[0].comparison["expectations"][1]["subject"]
    assert broken.verdict == "failed" and broken.asked == broken.gates, "what fails anyway is not asked further"


def test_few_rows_are_no_verdict(network, rows, calibration):
    with Workbench(network, "onnx-cpu", rows.take(range(30)), calibration, limits=ps.Budget(max_flips=0.05)) as bench:
        assert bench.attempt(Settings("int8-static")).verdict == "not enough data"


def test_without_rows_there_is_no_workbench(network, calibration):
    with pytest.raises(InputError, match="no rows to judge"):
        Workbench(network, "onnx-cpu", ps.Data({"x": np.zeros((0, 16), np.float32)}), calibration)


def test_a_target_that_does_not_exist_is_refused(network, rows):
    with pytest.raises(UnsupportedError, match="target"):
        Workbench(network, "toaster", rows)


def test_without_rows_of_its_own_calibration_takes_those_it_is_judged_on(network, rows):
    with Workbench(network, "onnx-cpu", rows) as bench:
        assert bench.calibration_data is rows
        assert bench.calibration.rows == 512


def test_a_workbench_that_cannot_be_made_leaves_nothing(network, rows, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(InputError):
        Workbench(network, "onnx-cpu", ps.Data({"z": rows.inputs["x"]}))
    assert list(tmp_path.glob("portside-trials-*")) == []
