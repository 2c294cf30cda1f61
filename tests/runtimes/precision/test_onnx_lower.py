"""A stage's plan on ONNX: which nodes take a class, several classes at once, what stays float and why, and float32 left as it is."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto

from portside.runtimes.precision.onnx_lower import OnnxPrecision, lower
from portside.runtimes.precision.onnx_nodes import Graph, candidates, fresh
from portside.runtimes.samples import SAMPLES
from portside.sdk.core.manifest import Annotations
from portside.sdk.core.package import write
from portside.sdk.core.plan import PRECISIONS, PrecisionPlan


@pytest.fixture
def chain(graphs):
    """scale -> a -> Relu -> b -> bias -> c: features are made by "scaled", the model ends at "c"."""
    nodes = [
        graphs.op("MatMul", "x ws", "scaled"), graphs.op("MatMul", "scaled wa", "a"), graphs.op("Relu", "a", "r"),
        graphs.op("MatMul", "r wb", "b"), graphs.op("Tanh", "b", "t"), graphs.op("MatMul", "t wc", "c"),
        graphs.op("MatMul", "c wd", "y"),
    ]  # fmt: skip
    constants = {f"w{name}": graphs.draw(32, 32, seed=place, scale=0.25) for place, name in enumerate("sabcd")}
    inputs = {"x": graphs.draw(16, 32, seed=9)}
    return graphs.model(nodes, inputs, "y", constants), inputs


@pytest.mark.parametrize("plan", [PrecisionPlan(), PrecisionPlan(dict.fromkeys(["a", "b"], "float32"))])
def test_a_plan_of_float32_changes_nothing(chain, plan):
    made, kept = lower(chain[0], plan, {})
    assert made.SerializeToString(deterministic=True) == chain[0].SerializeToString(deterministic=True)
    assert kept == {}


@pytest.mark.parametrize("precision", PRECISIONS[2:])
def test_only_what_lies_between_features_and_the_models_end_is_lowered(chain, precision):
    graph = Graph(chain[0], ["scaled"], ["c"])
    assert candidates(graph, precision) == ["a", "b", "c"]
    assert candidates(Graph(chain[0]), precision) == ["scaled", "a", "b", "c", "y"]


def test_half_precision_is_exact_enough_for_features(chain):
    assert candidates(Graph(chain[0], ["scaled"], ["c"]), "float16") == ["scaled", "a", "b", "c", "y"]


def test_classes_in_one_plan(chain, graphs):
    model, inputs = chain
    classes = {"scaled": "float16", "a": "int8-static", "b": "int8-static", "c": "int8-dynamic", "y": "int4-weights"}
    before = graphs.run(model, inputs)["y"]
    made, kept = lower(model, PrecisionPlan(classes, dict.fromkeys(["scaled", "r", "b"], (-6.0, 6.0))), {})
    assert kept == {}
    after = graphs.run(made, inputs)["y"]
    assert np.sqrt(np.mean((after - before) ** 2)) / before.std() < 0.25
    kinds = [node.op_type for node in made.graph.node]
    assert {"Cast", "QuantizeLinear", "MatMulInteger", "MatMulNBits"} <= set(kinds)
    assert made.ByteSize() < model.ByteSize() * 0.4


def test_what_stays_float_is_said(chain):
    made, kept = lower(chain[0], PrecisionPlan({"a": "int8-static", "t": "int8-dynamic", "nobody": "float16"}), {})
    assert kept == {
        "a": "its values were not calibrated", "t": "Tanh has no fast form in this class here", "nobody": "the stage has no such node",
    }  # fmt: skip
    assert [node.op_type for node in made.graph.node] == [node.op_type for node in chain[0].graph.node]


@pytest.mark.parametrize("names", [["", ""], ["same", "same"]])
def test_nodes_without_a_name_of_their_own_cannot_be_in_a_plan(chain, names):
    model = ModelProto()
    model.CopyFrom(chain[0])
    model.graph.node[1].name, model.graph.node[3].name = names
    assert candidates(Graph(model), "int8-dynamic") == ["scaled", "c", "y"]


def test_a_weight_that_is_no_constant_or_no_float_is_no_candidate(graphs):
    inputs = {"x": graphs.draw(8, 40), "w": graphs.draw(40, 40)}
    model = graphs.model([graphs.op("MatMul", "x w", "y")], inputs, "y", {})
    assert all(candidates(Graph(model), precision) == [] for precision in PRECISIONS[1:])


def test_joining_nodes_are_int8_between_int8_nodes_alone(graphs):
    inputs = {"x": graphs.draw(2, 4, 8, 8)}
    nodes = [
        graphs.op("Conv", "x w", "c"), graphs.op("MaxPool", "c", "m", kernel_shape=[2, 2]), graphs.op("Tanh", "x", "t"),
        graphs.op("MaxPool", "t", "n", kernel_shape=[2, 2]), graphs.op("Add", "c c", "s"), graphs.op("Sum", "s c", "k"),
        graphs.op("Add", "k c", "j"), graphs.op("GlobalAveragePool", "j", "g"), graphs.op("ReduceMean", "m", "q"),
        graphs.op("ReduceMean", "n", "o"), graphs.op("Sum", "g q o", "y"),
    ]  # fmt: skip
    model = graphs.model(nodes, inputs, "y", {"w": graphs.draw(4, 4, 3, 3)})
    assert candidates(Graph(model), "int8-static") == ["c", "m", "s"]


def test_fresh_names():
    taken = {"a", "a.2"}
    assert [fresh(taken, name) for name in ("a", "b", "b", "a")] == ["a.3", "b", "b.2", "a.4"]


def test_a_package_without_a_plan_records_nothing_and_keeps_its_model(tmp_path):
    package = SAMPLES["mixed"]().write(tmp_path / "package")
    precision, model = OnnxPrecision(package), SAMPLES["mixed"]().model
    assert precision("main", model) is model
    assert precision.record() == {}
    assert not precision.lossy


def test_what_is_achieved_is_recorded_beside_what_was_asked(tmp_path, chain):
    plan = PrecisionPlan({"main/a": "int8-dynamic", "main/t": "int8-dynamic", "other/a": "float16"}, kept={"main/b": "asked for"})
    held = SAMPLES["mixed"]().write(tmp_path / "package")
    content = {**held.content.__dict__, "plan": plan.to_dict(), "files": {}}
    package = write(type(held.content)(**content), {name: held.path / name for name in held.content.files}, tmp_path / "planned",
                    Annotations(name="planned"))  # fmt: skip
    precision = OnnxPrecision(package)
    precision("main", chain[0])
    assert precision.lossy
    assert precision.record()["precision"] == {
        "asked": {"int8-dynamic": 2, "float16": 1}, "achieved": {"int8-dynamic": 1}, "nodes": {"main/a": "int8-dynamic"},
        "kept": {"main/b": "asked for", "main/t": "Tanh has no fast form in this class here"},
    }  # fmt: skip
