"""Weights whose own scale leaves their bias no code, in a real file: conv, depthwise conv and dense layer with a dying channel."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from portside.runtimes.base import CompileOptions
from portside.runtimes.precision.tflite_biases import BIAS_LIMIT, HIGHEST, _widest
from portside.runtimes.precision.tflite_quantizing import quantize
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tflite.interpreter import TfliteEngine
from portside.runtimes.tflite.plan import Plan
from portside.runtimes.tflite_edge import TfliteEdge
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec

SHAPE = (4, 8, 8)
SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", *SHAPE)),), (TensorSpec("y", "f32", ("batch", 5), kind="value"),))
DEAD = 2
"""The channel whose weights are next to nothing, and whose bias is not."""


def network():
    draw = np.random.default_rng(0).normal
    held = {"w1": draw(size=(8, 4, 3, 3)) / 6, "w2": draw(size=(8, 1, 3, 3)) / 3, "w3": draw(size=(5, 8)) / 3,
            "b1": draw(size=8), "b2": draw(size=8), "b3": draw(size=5)}  # fmt: skip
    held = {name: value.astype(np.float32) for name, value in held.items()}
    for weights, bias in (("w1", "b1"), ("w2", "b2"), ("w3", "b3")):
        held[weights][DEAD] *= np.float32(1e-9)
        held[bias][DEAD] = 3.0
    nodes = [
        node("Conv", ["x", "w1", "b1"], "c1", pads=[1] * 4), node("Relu", ["c1"], "r1"),
        node("Conv", ["r1", "w2", "b2"], "c2", pads=[1] * 4, group=8), node("Relu", ["c2"], "r2"),
        node("GlobalAveragePool", ["r2"], "p"), node("Flatten", ["p"], "f"), node("Gemm", ["f", "w3", "b3"], "g", transB=1),
        node("Identity", ["g"], "y"),
    ]  # fmt: skip
    return graph_model(SIGNATURE, nodes, held)


def test_a_channel_takes_the_smallest_magnitude_at_which_its_bias_fits():
    weights = np.array([[1.0, -2.0], [1e-9, 0.0]], np.float32)
    widest = _widest(weights, np.array([3.0, -3.0], np.float32), 0.01, 0, True)
    assert widest.shape == (2, 1)
    assert widest[0, 0] == 2.0
    codes = 3.0 / (0.01 * widest[1, 0] / HIGHEST)
    assert codes == pytest.approx(BIAS_LIMIT, rel=1e-6)
    assert _widest(weights[:1], np.array([3.0], np.float32), 0.01, 0, True) is None
    assert _widest(weights * 1e-9, np.array([3.0, 0.0], np.float32), 0.01, 0, False).shape == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("per_channel", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_dying_channel_keeps_its_bias(make_package, tmp_path, per_channel):
    given = {"x": np.random.default_rng(1).normal(size=(16, *SHAPE)).astype(np.float32)}
    case = Case(given, {"y": np.zeros((16, 5), np.float32)}, why=("random",) * 16)
    package = make_package(SIGNATURE, [("main", network())], cases=[case], rules={"y": Rule("value", scale=1.0)})
    artifact = TfliteEdge().compile(package, CompileOptions(verify=False), tmp_path / "float")
    ((name, described),) = artifact.engine["plans"].items()
    file, rim, out = artifact.path / name, Plan.from_dict(described), tmp_path / "lossy.tflite"
    plan = PrecisionPlan(dict.fromkeys(("main/c1", "main/c2", "main/g"), "int8-static"), per_channel=per_channel)
    became = quantize(file, rim, plan, package, ["main"], [given], out)
    assert became.achieved == {"int8-static": 3}
    found = Interpreter(model_path=str(out), experimental_preserve_all_tensors=True)
    biases = [found.get_tensor(one["index"]) for one in found.get_tensor_details() if one["dtype"] == np.int32 and one["shape"].size == 1
              and one["quantization_parameters"]["scales"].size]  # fmt: skip
    assert sorted(len(held) for held in biases) == [5, 8, 8]
    assert all(np.abs(held.astype(np.int64)).max() <= BIAS_LIMIT + 256 for held in biases)
    assert all(held[DEAD] > 0 for held in biases), "the bias of a dying channel changed its sign"
    truth, made = (_answers(path, rim, given) for path in (file, out))
    assert np.abs(made - truth).max() < 0.05 * np.ptp(truth)


def _answers(path, rim, given):
    engine = TfliteEngine(path, rim)
    (made,) = engine.run(["y"], given)
    engine.close()
    return made
