"""Stages become the fewest segments: graphs and trees in one model, host stages between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from portside.runtimes import samples
from portside.runtimes.assemble import assemble
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.reference import Reference
from portside.runtimes.samples import graph_model, node
from portside.runtimes.trees import LEAF, Trees
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.signature import Signature, TensorSpec

X = TensorSpec("x", "f32", ("batch", 2))
OUT = TensorSpec("label", "i64", ("batch",), kind="decision")
SIGNATURE = Signature((X,), (OUT, TensorSpec("scores", "f32", ("batch", 2), kind="value")))
FEATURES = TensorSpec("features", "f32", ("batch", 2))
RAW = TensorSpec("raw", "f32", ("batch", 2))
STUMP = Trees(
    columns=2, aggregate="sum", feature=np.array([1, LEAF, LEAF]), threshold=np.array([0.5, 0, 0]), left=np.array([1, 0, 1]),
    right=np.array([2, 0, 0]), missing_left=np.array([1, 0, 0]), bitset=np.array([-1, -1, -1]), bitsets=np.zeros((0, 1)),
    roots=np.array([0]), offsets=np.array([0]), values=np.array([[1.0, 2.0], [4.0, 3.0]]), base=np.array([0.0, 0.25]),
)  # fmt: skip


def featurize():
    """features = 2 * x, with an inner value "hidden"."""
    return graph_model(Signature((X,), (FEATURES,)), [node("Add", ["x", "x"], "hidden"), node("Identity", ["hidden"], "features")], {})


def decide():
    nodes = [node("ArgMax", ["raw"], "best", axis=1, keepdims=0), node("Cast", ["best"], "label", to=TensorProto.INT32),
             node("Identity", ["raw"], "scores")]  # fmt: skip
    return graph_model(Signature((RAW,), (OUT, SIGNATURE.outputs[1])), nodes, {})


TREES = ("trees", STUMP, ("features",), ("raw",))
HOST = ("shift", "def shift(features):\n    return {'moved': features + 1}", ("features",), ("moved",))
X_VALUES = np.array([[0.0, 0.2], [0.0, 0.3], [1.0, np.nan]], np.float32)


@pytest.fixture
def three_stages(make_package):
    signature = SIGNATURE.edit("x", missing=True)
    return make_package(signature, [("featurize", featurize()), TREES, ("predict", decide())], boundaries={"features": ("features",)})


def test_graph_trees_and_graph_become_one_model(three_stages):
    (part,) = assemble(three_stages, "onnx-cpu")
    assert part.spec.inputs == ("x",)
    assert set(part.spec.outputs) == {"label", "scores"}
    assert {entry.domain for entry in part.model.opset_import} == {"", "ai.onnx.ml"}
    onnx.checker.check_model(part.model, full_check=True)


def test_the_merged_model_answers_as_the_stages_do(three_stages, tmp_path):
    artifact = OnnxCpu().compile(three_stages, CompileOptions(taps=("features",)), tmp_path / "artifact")
    session = OnnxCpu().load(artifact.path, LoadOptions())
    truth = Reference().open(three_stages).run({"x": X_VALUES})
    outputs, taps = session.run_tapped({"x": X_VALUES}, ["features"])
    assert truth["label"].tolist() == [1, 0, 1]  # thresholds meet 2 * x: 0.4 left, 0.6 right, NaN left
    for name, value in truth.items():
        np.testing.assert_array_equal(outputs[name], value)
        np.testing.assert_array_equal(session.run({"x": X_VALUES})[name], value)
    np.testing.assert_array_equal(taps["features"], X_VALUES * 2)


def test_an_inner_value_becomes_an_output_only_as_a_tap(make_package):
    package = make_package(SIGNATURE, [("featurize", featurize()), TREES, ("predict", decide())],
                           boundaries={"features": ("hidden",), "input": ("x",)})  # fmt: skip
    (plain,), (tapped,) = assemble(package, "onnx-cpu"), assemble(package, "onnx-cpu", ("features", "input"))
    assert set(tapped.spec.outputs) - set(plain.spec.outputs) == {"hidden"}


def test_host_stages_stand_between(make_package, tmp_path):
    shifted = replace(STUMP, threshold=STUMP.threshold + 1)
    package = make_package(
        SIGNATURE, [("featurize", featurize()), HOST, ("trees", shifted, ("moved",), ("raw",)), ("predict", decide())], trusted=True,
    )  # fmt: skip
    assert [part.spec.kind for part in assemble(package, "onnx-cpu")] == ["onnx", "host", "onnx"]
    artifact = OnnxCpu().compile(package, CompileOptions(), tmp_path / "artifact")
    session = OnnxCpu().load(artifact.path, LoadOptions(trust=True))
    assert session.run({"x": X_VALUES[:2]})["label"].tolist() == [1, 0]
    assert not session.info.thread_safe
    assert Reference().open(package).run({"x": X_VALUES[:2]})["label"].tolist() == [1, 0]


def test_a_stage_for_other_targets_is_refused(make_package):
    package = make_package(Signature((X,), (FEATURES,)), [("featurize", featurize())], only=("tflite",))
    with pytest.raises(UnsupportedError, match=r"featurize.*tflite"):
        assemble(package, "onnx-cpu")


def test_an_unknown_boundary_is_refused(three_stages):
    with pytest.raises(UnsupportedError, match="features"):
        assemble(three_stages, "onnx-cpu", ("model",))


def test_single_graphs_keep_their_names(any_sample, tmp_path):
    (part,) = assemble(any_sample.write(tmp_path / "package"), "onnx-cpu")
    assert [value.name for value in part.model.graph.output] == [value.name for value in any_sample.model.graph.output]


def test_every_sample_is_in_the_table():
    assert all(make().name == name for name, make in samples.SAMPLES.items())
