"""A plan on a real `.tflite` file: compiled once in float, then quantized in many ways; and through the whole of `compile`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto

from portside.runtimes.artifact import read_artifact
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.onnx_engine import OnnxEngine
from portside.runtimes.precision.tflite_quantizing import quantize
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tflite.interpreter import TfliteEngine
from portside.runtimes.tflite.plan import Plan
from portside.runtimes.tflite.weights import operators, weights_bytes
from portside.runtimes.tflite_edge import TfliteEdge
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec

pytestmark = pytest.mark.slow
SIGNATURE = Signature((TensorSpec("picture", "u8", ("batch", 16, 16)),), (TensorSpec("scores", "f32", ("batch", 5), kind="value"),))
LAYERS = ("main/stem", "main/wide", "main/head")
GOLDEN = "7 values that the plan has no range of take the range of the golden rows"
"""What is said of a plan without ranges."""
EVERYTHING = (*LAYERS, "main/smaller", "main/pooled", "main/flat")


def network():
    """Two convolutions and a dense layer over a uint8 picture."""
    rng = np.random.default_rng(3)
    constants = {
        "axis": np.array([1], np.int64), "mid": np.array(127.5, np.float32), "shape": np.array([-1, 1024], np.int64),
        "w1": rng.normal(size=(8, 1, 3, 3)), "b1": rng.normal(size=8), "w2": rng.normal(size=(16, 8, 3, 3)) / 8, "b2": rng.normal(size=16),
        "w3": rng.normal(size=(5, 1024)) / 32, "b3": rng.normal(size=5),
    }  # fmt: skip
    constants = {name: value.astype(np.float32) if value.dtype == np.float64 else value for name, value in constants.items()}
    nodes = [
        node("Unsqueeze", ["picture", "axis"], "image"), node("Cast", ["image"], "real", to=TensorProto.FLOAT),
        node("Sub", ["real", "mid"], "centred"), node("Div", ["centred", "mid"], "smaller"),
        node("Conv", ["smaller", "w1", "b1"], "stem", pads=[1, 1, 1, 1]), node("Relu", ["stem"], "lit"),
        node("MaxPool", ["lit"], "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pooled", "w2", "b2"], "wide", pads=[1, 1, 1, 1]), node("Relu", ["wide"], "seen"),
        node("Reshape", ["seen", "shape"], "flat"), node("Gemm", ["flat", "w3", "b3"], "head", transB=1),
        node("Identity", ["head"], "scores"),
    ]  # fmt: skip
    return graph_model(SIGNATURE, nodes, constants)


def pictures(rows, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, 16, 16)).astype(np.uint8)


def package_of(folder, plan=None):
    model = network()
    given = pictures(24)
    (truth,) = OnnxEngine(model.SerializeToString()).run(["scores"], {"picture": given})
    case = Case({"picture": given}, {"scores": truth}, why=("random",) * 24)
    head, tensors = Contract((case,), {"scores": Rule("value", scale=float(np.subtract(*np.quantile(truth, [0.75, 0.25]))))}).to_bytes()
    stage = Stage("graph", "main", "program/00-main.onnx", ("picture",), ("scores",))
    content = Content(SIGNATURE, (stage,), {}, (), plan=None if plan is None else plan.to_dict())
    files = {"program/00-main.onnx": model.SerializeToString(deterministic=True), CONTRACT: head, CONTRACT_TENSORS: tensors}
    return write(content, files, folder)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """(package, float artifact)."""
    folder = tmp_path_factory.mktemp("float")
    package = package_of(folder / "package")
    return package, TfliteEdge().compile(package, CompileOptions(), folder / "artifact")


@pytest.fixture
def quantized(compiled, tmp_path):
    """Plan -> (what became of it, file, answers for 20 new pictures, float answers)."""
    package, artifact = compiled
    ((name, described),) = artifact.engine["plans"].items()
    file, rim = artifact.path / name, Plan.from_dict(described)
    calls = [case.inputs for case in artifact.contract().cases]

    def answers(path):
        engine = TfliteEngine(path, rim)
        (made,) = engine.run(["scores"], {"picture": pictures(20, seed=9)})
        engine.close()
        return made

    def run(plan, calls=calls):
        out = tmp_path / "lossy.tflite"
        return quantize(file, rim, plan, package, ["main"], calls, out), out, answers(out), answers(file)

    return run


def all_of(precision, **changed):
    return PrecisionPlan(dict.fromkeys(EVERYTHING, precision), **changed)


def apart(made, truth):
    return float(np.abs(made - truth).max() / np.subtract(*np.quantile(truth, [0.75, 0.25])))


@pytest.mark.parametrize(("precision", "dtype", "share", "near"), [
    ("float16", "float16", 0.5, 0.01), ("int8-dynamic", "int8", 0.25, 0.1), ("int8-static", "int8", 0.25, 0.1),
])  # fmt: skip
def test_every_class_is_achieved_in_all_signatures_on_the_same_weights(quantized, compiled, precision, dtype, share, near):
    became, file, made, truth = quantized(all_of(precision))
    assert became.asked == became.achieved == {precision: 3}
    assert not became.kept
    assert became.notes[0] == "3 nodes without weights follow their neighbours"
    assert became.notes[1:] == ([GOLDEN] if precision == "int8-static" else [])
    held, whole = weights_bytes([file]), compiled[1].engine["weights_bytes"]["float"]
    assert held[dtype] / whole == pytest.approx(share, rel=0.05)  # once, not once per signature
    assert made.dtype == np.float32
    assert 0 < apart(made, truth) < near


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static"])
@pytest.mark.long
def test_weights_have_a_scale_per_channel_where_the_plan_says_so(quantized, precision):
    def scales(file):
        held = Interpreter(model_path=str(file)).get_tensor_details()
        return {len(one["quantization_parameters"]["scales"]) for one in held if one["dtype"] == np.int8}

    assert {8, 16, 5} <= scales(quantized(all_of(precision))[1])
    assert scales(quantized(all_of(precision, per_channel=False))[1]) == {1}


@pytest.mark.long
def test_what_stands_between_static_layers_is_static(quantized):
    _, file, _, _ = quantized(all_of("int8-static"))
    counts = operators(file)
    assert counts["QUANTIZE"] == counts["DEQUANTIZE"] == 1


@pytest.mark.long
def test_int4_is_taken_where_there_is_one_and_other_layers_are_named(quantized):
    became, file, made, truth = quantized(all_of("int4-weights"))
    assert became.achieved == {"int4-weights": 2, "float32": 1}
    assert became.kept == {"main/stem": "TFLite has no int4-weights for DEPTHWISE_CONV_2D"}
    assert weights_bytes([file])["int4"] > 0
    assert apart(made, truth) < 1


def test_layers_are_chosen_one_by_one(quantized):
    plan = PrecisionPlan({"main/wide": "int8-static", "main/head": "int8-dynamic", "main/stem": "float32"}, kept={"main/stem": "it hurts"})
    became, _, made, truth = quantized(plan)
    assert became.asked == became.achieved == {"int8-static": 1, "int8-dynamic": 1}
    assert became.kept == {"main/stem": "it hurts"}
    assert apart(made, truth) < 0.1


def test_unknown_nodes_are_named_and_nothing_else_changes(quantized):
    became, _, made, truth = quantized(PrecisionPlan({"main/Nowhere_7": "int8-dynamic", "other/stem": "int8-dynamic"}))
    assert became.kept == {"main/Nowhere_7": "the program has no such node"}
    assert not became.achieved
    np.testing.assert_array_equal(made, truth)


@pytest.mark.long
def test_the_plans_own_ranges_are_used(quantized):
    _, _, loose, truth = quantized(all_of("int8-static"))
    _, _, tight, _ = quantized(all_of("int8-static", ranges={"main/lit": (0.0, 0.05)}))
    assert apart(tight, truth) > 2 * apart(loose, truth)


def test_static_without_rows_is_refused(quantized):
    with pytest.raises(UnsupportedError, match="needs calibration rows"):
        quantized(all_of("int8-static"), calls=[])


def test_a_row_is_answered_alike_by_every_signature(quantized, compiled):
    _, file, _, _ = quantized(all_of("int8-static"))
    ((_, described),) = compiled[1].engine["plans"].items()
    rim = Plan.from_dict(described)
    engine = TfliteEngine(file, replace(rim, fill=1.0))
    given = pictures(8, seed=4)
    (together,) = engine.run(["scores"], {"picture": given})
    alone = np.concatenate([engine.run(["scores"], {"picture": given[row : row + 1]})[0] for row in range(8)])
    engine.close()
    np.testing.assert_allclose(together, alone, atol=0.2)


@pytest.mark.long
def test_a_plan_of_float32_gives_the_same_file_as_none(compiled, tmp_path):
    package = package_of(tmp_path / "package", all_of("float32"))
    artifact = TfliteEdge().compile(package, CompileOptions(), tmp_path / "artifact")
    (file,) = artifact.engine["plans"]
    assert (artifact.path / file).read_bytes() == (compiled[1].path / file).read_bytes()
    assert not artifact.lossy
    assert "precision" not in artifact.engine


@pytest.mark.long
def test_compile_describes_what_it_did(tmp_path):
    plan = PrecisionPlan({**dict.fromkeys(LAYERS, "int8-static"), "main/gone": "int8-static", "trees/x": "int8-static"})
    TfliteEdge().compile(package_of(tmp_path / "package", plan), CompileOptions(), tmp_path / "artifact")
    artifact = read_artifact(tmp_path / "artifact")
    assert artifact.lossy
    assert artifact.engine["precision"] == {
        "asked": {"int8-static": 3}, "achieved": {"int8-static": 3}, "notes": [GOLDEN],
        "kept": {"main/gone": "the program has no such node", "trees/x": "it is in no graph stage that is lowered"},
    }  # fmt: skip
    assert artifact.engine["weights_bytes"]["int8"] > 5000
    assert artifact.built["versions"]["ai-edge-quantizer"]
    session = TfliteEdge().load(artifact.path, LoadOptions())
    given = artifact.contract().cases[0]
    assert apart(session.run(given.inputs)["scores"], given.outputs["scores"]) < 0.1
    session.close()
