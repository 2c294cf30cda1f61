"""`compress`: what a recipe makes of a package, with and without a target to measure on."""

from __future__ import annotations

import json

import numpy as np
import pytest

import portside as ps
from portside.compress.base import PassContext
from portside.compress.compressing import LADDER, compressed
from portside.compress.quantize import Plans
from portside.runtimes import onnx_cpu
from portside.sdk.core import errors
from portside.sdk.core.plan import plan_of

STATIC = ps.Recipe([ps.Quantize("int8-static")], ps.Budget(max_flips=0.05))


def test_without_a_target_the_plan_is_written_and_nothing_is_measured(network, calibration, tmp_path):
    made = ps.compress(network, "int8-static", calibration, out=tmp_path / "small")
    plan = plan_of(made.content.plan)
    assert plan.counts == {"int8-static": 3}
    assert plan.calibration["rows"] == 200
    assert made.content.parents == (network.digest,)
    assert made.content.program_digest == network.content.program_digest
    assert [step["kind"] for step in made.content.recipe] == ["quantize"]
    assert ps.open(tmp_path / "small").digest == made.digest


def test_the_same_recipe_on_the_same_rows_is_the_same_package(network, calibration, tmp_path):
    one, other = (ps.compress(network, "int8-static", calibration, out=tmp_path / name) for name in ("one", "other"))
    assert one.digest == other.digest
    assert one.digest != ps.compress(network, "int8-static", calibration.take(range(150)), out=tmp_path / "less").digest


def test_gates_travel_and_stop_a_compile_that_breaches_them(network, calibration, rows, tmp_path):
    recipe = ps.Recipe([ps.Quantize("int8-static")], ps.Budget(max_drop=0.0001, max_flips=0.05))
    made = ps.compress(network, recipe, calibration, out=tmp_path / "small")
    assert made.content.recipe[-1] == {"kind": "gates", "max_drop": 0.0001, "max_flips": 0.05}
    with pytest.raises(errors.ContractError):
        ps.compile(made, "onnx-cpu", tmp_path / "artifact", data=rows)
    assert not (tmp_path / "artifact").exists()


def test_a_target_and_held_out_rows_make_it_measured(network, calibration, rows, tmp_path):
    found = compressed(network, STATIC, calibration, target="onnx-cpu", held_out=rows, out=tmp_path / "small")
    assert found.climb is not None
    chosen = found.climb.chosen.trial
    assert chosen.passed
    assert chosen.figures["size_ratio"] < 1
    assert json.loads((found.package.path / LADDER).read_text())["chosen"] == chosen.settings.to_dict()
    artifact = ps.compile(found.package, "onnx-cpu", tmp_path / "artifact", data=rows)
    assert artifact.lossy
    assert artifact.engine["precision"]["achieved"] == dict(chosen.achieved)


def test_a_cpu_whose_sums_saturate_is_named_among_the_remarks(network, calibration, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_cpu, "int8_sums_here", lambda: "saturating")
    made = compressed(network, STATIC, calibration, target="onnx-cpu", held_out=rows, out=tmp_path / "made")
    assert any(held.startswith("weights have 7 bits, as CPUs without VNNI cut sums") for held in made.climb.remarks)


def test_the_layer_that_ruins_the_answers_goes_back_to_float_and_the_plan_says_why(fragile, calibration, rows, tmp_path):
    found = compressed(fragile, STATIC, calibration, target="onnx-cpu", held_out=rows, out=tmp_path / "small")
    assert found.climb is not None
    assert found.climb.rungs[0].trial.verdict == "failed"
    kept = plan_of(found.package.content.plan).kept
    assert "moves the model by" in kept["main/Gemm_2"]
    assert any("main/Gemm_2 stayed float32" in remark for remark in found.climb.remarks)


def test_measuring_needs_rows_that_calibration_did_not_see(network, calibration):
    with pytest.raises(errors.InputError, match="held_out"):
        ps.compress(network, "int8-static", calibration, target="onnx-cpu")


@pytest.mark.parametrize(("inputs", "message"), [({"x": np.zeros((0, 16), np.float32)}, "no rows"), ({"y": np.zeros((4, 2))}, "x")])
def test_data_that_cannot_calibrate_is_refused(network, inputs, message, tmp_path):
    with pytest.raises(errors.InputError, match=message):
        ps.compress(network, "int8-static", ps.Data(inputs), out=tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
@pytest.mark.long
def test_too_little_data_is_no_proof(network, calibration, rows, tmp_path):
    few = rows.take(range(40))
    found = compressed(network, "int8-static", calibration, target="onnx-cpu", held_out=few, out=tmp_path / "s")
    verdicts = {rung.trial.settings.precision: rung.trial.verdict for rung in found.climb.rungs}
    assert verdicts["int8-static"] == "not enough data"
    assert found.package.digest == network.digest
    assert not (tmp_path / "s").exists()


def test_every_class_that_a_network_can_take_is_offered(network):
    assert Plans(network).classes() == ["float32", "float16", "int8-dynamic", "int8-static", "int4-weights"]
    with pytest.raises(errors.UnsupportedError, match="does not exist"):
        ps.Quantize("float16", keep=("main/Nobody",)).run(network, ps.Data({"x": np.zeros((1, 16), np.float32)}), PassContext())
