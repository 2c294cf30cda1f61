"""A package's precision plan on TensorRT, from end to end: made by `compress`, lowered, built and answered on the simulated device."""

from __future__ import annotations

import numpy as np
import pytest

import portside as ps
from portside.compress.base import PassContext
from portside.runtimes.base import CompileOptions
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.samples import Sample, graph_model, node
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.sdk.core.contract import Rule
from portside.sdk.core.errors import EngineError
from portside.sdk.core.signature import Signature, TensorSpec

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(256, 64)).astype(np.float32)
CONSTANTS = {"w1": RANDOM.normal(size=(64, 64)) / 8, "b1": RANDOM.normal(size=64), "w2": RANDOM.normal(size=(64, 32)) / 8}
RULE = Rule("value", scale=200.0)
"""Wide: weights by chance bear rounding badly, and how badly is asserted below."""


def truth(inputs):
    return {"y": (np.maximum(inputs["x"] @ CONSTANTS["w1"].T + CONSTANTS["b1"], 0) @ CONSTANTS["w2"]).astype(np.float32)}


@pytest.fixture
def package(tmp_path):
    """Two products and a Relu between them."""
    signature = Signature((TensorSpec("x", "f32", ("batch", 64)),), (TensorSpec("y", "f32", ("batch", 32), kind="value"),))
    nodes = [node("Gemm", ["x", "w1", "b1"], "g", transB=1), node("Relu", ["g"], "h"), node("MatMul", ["h", "w2"], "y")]
    model = graph_model(signature, nodes, {name: value.astype(np.float32) for name, value in CONSTANTS.items()})
    return Sample("planned", signature, model, truth, lambda rows: {"x": ROWS[:rows]}, {"y": RULE}).write(tmp_path / "package")


@pytest.fixture
def planned(package, tmp_path):
    """(precision) -> the package with a plan of it."""
    return lambda precision: ps.Quantize(precision).run(package, ps.Data({"x": ROWS}), PassContext(out=tmp_path / precision))


@pytest.mark.parametrize(("precision", "eight", "limit"), [("int8-static", "int8", 0.05), ("int8-static", "float8", 0.15),
                                                           ("float16", "int8", 0.005), ("int4-weights", "int8", 0.2)])  # fmt: skip
def test_a_plan_is_lowered_built_and_answers_near_float(planned, simulated_tensorrt, tmp_path, precision, eight, limit):
    artifact = TensorRTGpu().compile(planned(precision), CompileOptions(extra={"eight_bits": eight}), tmp_path / "artifact")
    assert artifact.lossy and artifact.engine["precision"]["achieved"] == {precision: 2} and not artifact.engine["precision"]["kept"]
    session = load(artifact)
    got, expected = session.run({"x": ROWS})["y"], truth({"x": ROWS})["y"]
    session.close()
    off = np.abs(got - expected).max() / np.abs(expected).max()
    assert 0 < off < limit


def test_what_tensorrt_does_not_quantize_stays_float_and_is_named(planned, simulated_tensorrt, tmp_path):
    artifact = TensorRTGpu().compile(planned("int8-dynamic"), CompileOptions(), tmp_path / "artifact")
    said = artifact.engine["precision"]
    assert not artifact.lossy and said["achieved"] == {} and set(said["kept"]) == {"main/g", "main/y"}
    assert set(said["kept"].values()) == {"TensorRT quantizes no activation per call"}


def test_a_plan_in_float8_asks_for_a_gpu_that_has_it(planned, simulated_tensorrt, tmp_path):
    simulated_tensorrt.machine.capability = (8, 6)
    with pytest.raises(EngineError, match=r"float8, which this GPU does not"):
        compile_package(planned("int8-static"), "tensorrt", tmp_path / "artifact", eight_bits="float8")
    assert not (tmp_path / "artifact").exists()


@pytest.mark.usefixtures("brief_latency")
def test_compress_climbs_its_ladder_on_the_target_itself(package, simulated_tensorrt, tmp_path, monkeypatch):
    monkeypatch.setattr("portside.compress.rungs.SLOWER", 1000.0)  # a simulated device is no faster in int8
    rows = ps.Data({"x": ROWS})
    made = ps.compress(package, ps.Quantize("int8-static"), rows, target="tensorrt", held_out=rows, out=tmp_path / "made")
    assert made.content.plan and set(made.content.plan["nodes"].values()) == {"int8-static"}
    assert simulated_tensorrt.trt.Builder.builds > 1
