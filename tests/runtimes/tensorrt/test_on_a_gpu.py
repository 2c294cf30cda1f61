"""The real TensorRT on a real GPU: conformance, kept engines, refusals, every precision. Skipped without one, and so unverified."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from portside.runtimes import checks, samples
from portside.runtimes.artifact import amend
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.elsewhere import unproven
from portside.runtimes.home import home
from portside.runtimes.precision.tensorrt_lower import lower
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tensorrt.binding import bindings
from portside.runtimes.tensorrt.building import Refused, Settings, build
from portside.runtimes.tensorrt.place import Place, here
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.sdk.core.errors import EngineError
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(unproven(TensorRTGpu()) is not None, reason=str(unproven(TensorRTGpu())))]


@pytest.mark.parametrize("check", checks.ALL, ids=str)
def test_the_conformance_suite(check, tmp_path):
    check(TensorRTGpu, tmp_path)


def test_an_engine_is_kept_and_used_again(tmp_path, monkeypatch):
    artifact = compile_package(samples.mixed().write(tmp_path / "package"), "tensorrt", tmp_path / "artifact")
    assert artifact.verified["verdict"] == "passed"
    (plan,) = home().glob("cache/tensorrt/*/*.plan")
    made = plan.stat().st_mtime_ns
    monkeypatch.setattr("portside.runtimes.tensorrt.opening.build", _never)
    TensorRTGpu().load(artifact.path, LoadOptions()).close()
    assert plan.stat().st_mtime_ns == made


def _never(*_):
    raise AssertionError("an engine that is kept is not built again")


def test_a_shipped_engine_of_another_gpu_is_refused(tmp_path):
    package = samples.mixed().write(tmp_path / "package")
    artifact = TensorRTGpu().compile(package, CompileOptions(extra={"engine": "shipped"}), tmp_path / "artifact")
    TensorRTGpu().load(artifact.path, LoadOptions()).close()
    other = {**artifact.engine["place"], "gpu": "Another GPU"}
    amend(artifact, engine={**artifact.engine, "place": other})
    with pytest.raises(EngineError, match="another GPU, driver or version"):
        TensorRTGpu().load(artifact.path, LoadOptions())


def test_the_parser_refuses_as_the_simulated_one_does(tmp_path):
    """uint8 in a Transpose: what `preparing.py` rewrites."""
    rim = [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name, shape in (("x", [2, 3]), ("y", [3, 2]))]
    graph = helper.make_graph([helper.make_node("Transpose", ["x"], ["y"], name="turn")], "g", rim[:1], rim[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(tmp_path / "m.onnx"))
    with pytest.raises(Refused, match="Transpose"):
        build(bindings().trt, str(tmp_path / "m.onnx"), {}, Settings())


@pytest.mark.parametrize(("precision", "eight", "limit"), [("int8-static", "int8", 0.1), ("int8-static", "float8", 0.2),
                                                           ("float16", "int8", 0.005), ("int4-weights", "int8", 0.2)])  # fmt: skip
def test_every_precision_answers_near_float32(precision, eight, limit, tmp_path, make_package):
    random = np.random.default_rng(0)
    signature = Signature((TensorSpec("x", "f32", ("batch", 64)),), (TensorSpec("y", "f32", ("batch", 32), kind="value"),))
    nodes = [node("Gemm", ["x", "w1", "b1"], "g", transB=1), node("Relu", ["g"], "h"), node("MatMul", ["h", "w2"], "y")]
    constants = {"w1": random.normal(size=(64, 64)) / 8, "b1": random.normal(size=64), "w2": random.normal(size=(64, 32)) / 8}
    model = graph_model(signature, nodes, {name: value.astype(np.float32) for name, value in constants.items()})
    x = random.uniform(-2, 2, (16, 64)).astype(np.float32)
    truth = np.maximum(x @ constants["w1"].T + constants["b1"], 0) @ constants["w2"]
    ranges = {"x": (-2.0, 2.0), "h": (0.0, 6.0), "y": (-8.0, 8.0)}
    lowered, _ = lower(model, PrecisionPlan(dict.fromkeys(("g", "y"), precision), ranges=ranges), {}, eight)
    artifact = TensorRTGpu().compile(make_package(signature, [("main", lowered)]), CompileOptions(), tmp_path / "artifact")
    session = TensorRTGpu().load(artifact.path, LoadOptions())
    got = session.run({"x": x})["y"]
    session.close()
    assert np.abs(got - truth).max() / np.abs(truth).max() < limit


def test_the_place_is_this_gpus():
    place = here(bindings())
    assert Place.from_dict(json.loads(json.dumps(place.to_dict()))) == place and place.gpu and float(place.capability) >= 7.5
