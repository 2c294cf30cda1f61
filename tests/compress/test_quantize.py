"""The pass and what is derived: the program stays, lineage and recipe grow, and every target lowers the same plan and says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import helper, numpy_helper

import portside as ps
from portside.compress.base import PassContext
from portside.compress.quantize import Plans, Quantize
from portside.compress.settings import Settings
from portside.runtimes.base import CompileOptions
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.samples import SAMPLES, node
from portside.runtimes.wasm_web import WasmWeb
from portside.sdk.core.contract import Contract
from portside.sdk.core.errors import InputError, UnsupportedError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from portside.sdk.core.plan import PRECISIONS, plan_of
from portside.sdk.store import Store

LOWER = PRECISIONS[1:]
STORED = {"float16": "float16", "int8-dynamic": "int8", "int8-static": "int8", "int4-weights": "uint8"}


def derived(package, data, out, step=None):
    return (step or Quantize("int8-static")).run(package, data, PassContext(out=out))


@pytest.mark.parametrize(
    "step",
    [
        Quantize("int8-static", "percentile", 99.9, False, ("main/Gemm_1",), 64), Quantize("int8-static"), Quantize("int8-dynamic"),
        Quantize("float16", keep=("main/Gemm_0",)), Quantize("int4-weights"),
    ],
)  # fmt: skip
def test_a_step_survives_a_file(step):
    back = Quantize.from_dict(json.loads(json.dumps(step.to_dict())))
    assert back.to_dict() == step.to_dict()
    assert back.settings == step.settings
    assert back.rows == (step.rows if step.settings.calibrated else Quantize("int8-static").rows)


def test_a_derived_package_keeps_the_program_and_names_its_ancestor(network, calibration, tmp_path):
    made = derived(network, calibration, tmp_path / "made")
    assert made.content.program_digest == network.content.program_digest
    assert made.digest != network.digest
    assert made.content.parents == (network.digest,)
    assert made.content.recipe == (Quantize("int8-static").to_dict(),)
    held = [Contract.from_bytes(one.read(CONTRACT), one.read(CONTRACT_TENSORS)) for one in (network, made)]
    assert held[0].to_bytes() == held[1].to_bytes()
    assert network.content.plan is None
    again = derived(made, calibration, tmp_path / "again", Quantize("float16"))
    assert again.content.parents == (network.digest, made.digest)
    assert [step["precision"] for step in again.content.recipe] == ["int8-static", "float16"]
    assert plan_of(again.content.plan).counts == {"float16": 2}  # the head is too small to be worth it


def test_the_plan_has_ranges_of_everything_that_is_quantized_and_says_where_they_are_from(network, calibration, tmp_path):
    plan = plan_of(derived(network, calibration, tmp_path / "made").content.plan)
    assert set(plan.nodes) == {"main/Gemm_0", "main/Gemm_1", "main/Gemm_2"}
    assert set(plan.ranges) >= {"main/x", "main/r0", "main/r1", "main/logits"}
    assert set(plan.calibration) == {"method", "rows", "data"}
    assert plan.calibration["rows"] == 200


def test_the_plan_keeps_what_calibration_warned_of(network, calibration, tmp_path):
    few = ps.Data({"x": np.zeros((8, 16), np.float32)})
    plan = plan_of(derived(network, few, tmp_path / "few").content.plan)
    assert "calibrated on 8 rows" in plan.warnings[0] and "never varied" in plan.warnings[1]
    assert plan_of(plan.to_dict()) == plan
    plan = plan_of(derived(network, calibration, tmp_path / "some", Quantize("int8-static", rows=2)).content.plan)
    assert len(set(calibration.labels)) > 2
    assert any("saw no row of the classes" in held for held in plan.warnings)


def test_a_value_whose_products_read_channels_of_other_axes_has_no_means(tmp_path):
    """A convolution reads its second axis, a product its last: here both are of one size, so the wrong mean would fit."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(16, 16, 3)).astype(np.float32), "v": random.normal(size=(16, 16)).astype(np.float32)}
    nodes = [node("Relu", ["x"], "r"), node("Conv", ["r", "w"], "y"), node("MatMul", ["r", "v"], "z")]
    sizes = {"x": 16, "y": 14, "z": 16}
    x, *answers = (helper.make_tensor_value_info(name, 1, ["batch", 16, size]) for name, size in sizes.items())
    graph = helper.make_graph(nodes, "g", [x], answers, [numpy_helper.from_array(held, name) for name, held in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    examples = {"x": random.normal(size=(32, 16, 16)).astype(np.float32)}
    plans = Plans(ps.pack(model, name="both", examples=examples, out=tmp_path / "both"))
    static = plans.nodes("int8-static")
    assert {"main/Conv_1", "main/MatMul_2"} <= set(static)
    assert plans._axes(static) == {}
    assert [list(plans._axes([name]).values()) for name in ("main/Conv_1", "main/MatMul_2")] == [[1], [-1]]


def test_without_a_folder_it_goes_into_the_store_under_the_parents_name(network, calibration):
    made = derived(network, calibration, None)
    assert Store().pull(made.digest).digest == made.digest
    assert made.name == network.name


def test_nodes_that_are_kept_are_not_in_the_plan(network, calibration, tmp_path):
    plan = plan_of(derived(network, calibration, tmp_path / "made", Quantize("int8-static", keep=("main/Gemm_1",))).content.plan)
    assert set(plan.nodes) == {"main/Gemm_0", "main/Gemm_2"}
    assert dict(plan.kept) == {"main/Gemm_1": "asked for"}


def test_a_reason_that_is_known_is_stated(network):
    plans = Plans(network)
    plan = plans.plan(Settings("int8-dynamic", kept=("main/Gemm_1",)), why={"main/Gemm_1": "it hurts"})
    assert dict(plan.kept) == {"main/Gemm_1": "it hurts"}
    assert not plans.plan(Settings("float32")).lossy


@pytest.mark.parametrize("precision", LOWER)
def test_a_node_that_does_not_exist_is_refused(network, calibration, precision, tmp_path):
    with pytest.raises(UnsupportedError, match="does not exist") as caught:
        derived(network, calibration, tmp_path / "made", Quantize(precision, keep=("main/Nobody",)))
    assert "main/Gemm_0" in str(caught.value)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("precision", LOWER)
def test_a_program_with_nothing_to_quantize_is_refused(precision, tmp_path):
    package = SAMPLES["scalar"]().write(tmp_path / "scalar")
    data = ps.Data({"x": np.zeros((128, 4))})
    with pytest.raises(UnsupportedError, match=f"No node of 'scalar' can be {precision}; expected float32"):
        derived(package, data, tmp_path / "made", Quantize(precision))


@pytest.mark.parametrize("options", [("int3",), ("int8-static", "best"), *(("int8-static", "percentile", share) for share in (40, "all"))])
def test_options_that_do_not_exist_are_refused_where_they_are_written(options):
    with pytest.raises(InputError):
        Quantize(*options)


def test_rows_of_a_calibration_are_a_number():
    with pytest.raises(InputError, match="rows"):
        Quantize("int8-static", rows=0)


@pytest.mark.parametrize("target", [OnnxCpu, WasmWeb])
@pytest.mark.parametrize("precision", LOWER)
def test_an_artifact_says_what_was_achieved_and_what_its_file_holds(network, calibration, tmp_path, target, precision):
    floats = target().compile(network, CompileOptions(), tmp_path / "float")
    assert not floats.lossy
    assert "precision" not in floats.engine
    package = derived(network, calibration, tmp_path / "made", Quantize(precision, keep=("main/Gemm_0",)))
    artifact = target().compile(package, CompileOptions(), tmp_path / "artifact")
    said = artifact.engine["precision"]
    assert artifact.lossy
    assert said["asked"] == said["achieved"] == {precision: len(said["nodes"])}
    assert said["kept"] == {"main/Gemm_0": "asked for"}
    weights, before = artifact.engine["weights_bytes"], floats.engine["weights_bytes"]
    elements = sum({"main/Gemm_1": 64 * 64, "main/Gemm_2": 64 * 3}[name] for name in said["nodes"])
    stored = {"float16": 2, "int4-weights": 0.5}.get(precision, 1) * elements
    assert stored <= weights[STORED[precision]] <= stored * 1.1
    assert before["float"] * 0.2 < weights["float"] < before["float"] - 4 * elements + 2300
    assert sum(weights.values()) < sum(before.values())


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "invariant"), [("int8-dynamic", False), ("int8-static", True), ("float16", True)])
def test_only_dynamic_int8_depends_on_batch_mates_and_is_said_to(network, calibration, tmp_path, precision, invariant):
    package = derived(network, calibration, tmp_path / "made", Quantize(precision))
    artifact = ps.compile(package, "onnx-cpu", tmp_path / "artifact", allow_unproven=True)
    assert artifact.batch_invariant is invariant


def test_classes_that_only_pay_for_large_weights_are_not_offered_for_small_ones(tmp_path):
    assert Plans(SAMPLES["mixed"]().write(tmp_path / "mixed")).classes() == ["float32", "int8-static"]
