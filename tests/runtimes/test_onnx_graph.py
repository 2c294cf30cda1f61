"""Graphs are normalised, cut, joined and stored without changing what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.onnx_graph import Rim, TensorPart, extract, merge, normalise, pack_files, split
from portside.runtimes.onnx_run import open_graph, run_graph
from portside.runtimes.onnx_split import OpaquePart
from portside.sdk.core.errors import FormatError

RNG = np.random.default_rng(0)


def value(name: str, kind: int = TensorProto.FLOAT, width: Any = 4) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["s39", width])


def chain(length: int = 3, width: int = 4, opset: int = 18) -> onnx.ModelProto:
    """x -> + w0 -> relu -> + w1 -> relu ..., every sum an inner value "a<i>" with a path in its comment."""
    nodes, weights, inner, last = [], [], [], "x"
    for index in range(length):
        weights.append(numpy_helper.from_array(RNG.normal(size=(width,)).astype(np.float32), f"w{index}"))
        nodes.append(helper.make_node("Add", [last, f"w{index}"], [f"a{index}"], doc_string="/home/someone/train.py"))
        nodes.append(helper.make_node("Relu", [f"a{index}"], [last := f"r{index}"]))
        inner += [value(f"a{index}", width=width), value(last, width=width)]
    graph = helper.make_graph(nodes, "g", [value("x", width=width)], [value(last, width=width)], weights, value_info=inner[:-1])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(model: onnx.ModelProto, **inputs: Any) -> dict[str, Any]:
    return run_graph(open_graph(model), inputs)


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_any_names_may_stand_at_the_rim(first, second):
    if first == second or "\0" in first + second or any("\ud800" <= char <= "\udfff" for char in first + second):
        return
    model = chain()
    named = normalise(model, Rim([first], [second], dims={"s39": "batch"})).model
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    (expected,), (found,) = run(model, x=x).values(), run(named, **{first: x}).values()
    assert np.array_equal(found, expected)
    assert named.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert b"/home/someone" not in named.SerializeToString()


def test_normalising_twice_changes_nothing_and_leaves_the_argument_alone():
    model = chain()
    before = model.SerializeToString(deterministic=True)
    once = normalise(model, Rim(["x"], ["y"])).model
    twice = normalise(once, Rim(["x"], ["y"])).model
    assert [node.name for node in once.graph.node] == [node.name for node in twice.graph.node]
    assert model.SerializeToString(deterministic=True) == before


def test_boundaries_become_inner_values_or_keep_the_name_of_the_rim():
    model = chain()
    model.graph.output.extend([value("a1"), value("x"), value("r2")])
    done = normalise(model, Rim(["x"], ["model"], {"features": ["features", "features.x"], "model": ["model"]}))
    assert done.boundaries == {"features": ("features", "x"), "model": ("model",)}
    assert [item.name for item in done.model.graph.output] == ["model"]
    tail = extract(done.model, ["features"], ["model"])
    x = RNG.normal(size=(2, 4)).astype(np.float32)
    middle = run(extract(done.model, ["x"], ["features"]), x=x)["features"]
    assert np.array_equal(run(tail, features=middle)["model"], run(done.model, x=x)["model"])


def test_a_boundary_that_is_a_copy_is_the_value_that_others_read():
    model = chain()
    model.graph.node.append(helper.make_node("Identity", ["a1"], ["copy"]))
    model.graph.output.append(value("copy"))
    done = normalise(model, Rim(["x"], ["y"], {"model": ["model"]}))
    assert extract(done.model, ["model"], ["y"]).graph.input[0].name == "model"
    assert not [node for node in done.model.graph.node if node.op_type == "Identity"]


def test_outputs_that_are_inputs_constants_or_repeated_get_values_of_their_own():
    model = chain()
    model.graph.output.extend([value("x"), helper.make_tensor_value_info("w0", TensorProto.FLOAT, [4]), value("r2")])
    named = normalise(model, Rim(["x"], ["y", "same", "constant", "again"])).model
    x = RNG.normal(size=(2, 4)).astype(np.float32)
    found = run(named, x=x)
    assert np.array_equal(found["same"], x) and np.array_equal(found["y"], found["again"]) and found["constant"].shape == (4,)


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(FormatError, match="do not fit the graph"):
        normalise(chain(), Rim(["x", "y"], ["z"]))
    with pytest.raises(FormatError, match="name of an input"):
        normalise(chain(), Rim(["x"], ["x"]))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.data())
def test_extracting_both_halves_and_merging_them_is_the_whole(length, data):
    model = chain(length)
    cut = f"{data.draw(st.sampled_from('ar'))}{data.draw(st.integers(0, length - 2))}"
    last = model.graph.output[0].name
    first, second = extract(model, ["x"], [cut]), extract(model, [cut], [last])
    assert len(first.graph.initializer) + len(second.graph.initializer) == length
    joined = merge([first, second], [last])
    onnx.checker.check_model(joined)
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    assert np.array_equal(run(joined, x=x)[last], run(model, x=x)[last])
    assert {item.name for item in merge([first, second], [cut, last]).graph.output} == {cut, last}


def test_a_part_that_needs_more_is_refused():
    with pytest.raises(FormatError, match="cannot be cut out: it needs 'x'"):
        extract(chain(), ["a1"], ["a0"])
    with pytest.raises(FormatError, match="No part of the program makes"):
        merge([chain()], ["nothing"])


def test_merging_lifts_the_older_opset():
    old, new = chain(opset=15), chain(opset=18)
    second = normalise(new, Rim(["r2"], ["y"])).model
    joined = merge([old, second], ["y"])
    assert {entry.version for entry in joined.opset_import} == {18}
    assert run(joined, x=np.ones((1, 4), np.float32))["y"].shape == (1, 4)


def test_splitting_at_opaque_nodes():
    model = chain(2)
    nodes = list(model.graph.node)
    opaque = [helper.make_node("Trees", ["a0"], [f"t{index}"], domain="portside", handle=str(index)) for index in (0, 1)]
    ending = helper.make_node("Sum", ["t0", "t1", "r1", "r0"], ["y"])
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend([*nodes, *opaque, ending])
    model.graph.output.append(value("y"))
    model.graph.value_info.extend([value("t0"), value("t1"), value("r1")])
    model.opset_import.append(helper.make_opsetid("portside", 1))
    first, *trees, last = split(model)
    assert trees == [OpaquePart("Trees", str(index), ("a0",), (f"t{index}",)) for index in (0, 1)]
    assert isinstance(first, onnx.ModelProto) and isinstance(last, onnx.ModelProto)
    assert {item.name for item in first.graph.output} == {"a0", "r0", "r1"}
    assert [item.name for item in last.graph.input] == ["t0", "t1", "r1", "r0"]
    assert all(entry.domain != "portside" for entry in (*first.opset_import, *last.opset_import))
    assert split(chain()) != [] and isinstance(split(chain())[0], onnx.ModelProto)


def test_bool_where_runs():
    nodes = [helper.make_node("Where", ["c", "a", "b"], ["y"])]
    kinds = [value(name, TensorProto.BOOL) for name in "cab"]
    model = helper.make_model(helper.make_graph(nodes, "g", kinds, [value("y", TensorProto.BOOL)]), ir_version=10,
                              opset_imports=[helper.make_opsetid("", 18)])  # fmt: skip
    named = normalise(model, Rim(["c", "a", "b"], ["y"])).model
    c, a, b = (RNG.random((8, 4)) > 0.5 for _ in range(3))
    assert np.array_equal(run(named, c=c, a=a, b=b)["y"], np.where(c, a, b))


def test_equal_weights_are_stored_once_and_read_in_place(tmp_path):
    model = chain(2, width=512)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0]), "w1"))
    shared = numpy_helper.to_array(model.graph.initializer[0])
    forest = TensorPart({"trees": 1}, {"leaves": shared, "left": np.arange(3, dtype=np.int32)})
    files = pack_files([("main", model), ("forest", forest)])
    assert sorted(files) == ["program/00-main.onnx", "program/01-forest.trees.json", "program/weights.safetensors"]
    assert len(files["program/weights.safetensors"]) < 512 * 4 + 400 and len(files["program/00-main.onnx"]) < 1000
    assert files == pack_files([("main", model), ("forest", forest)])
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    import onnxruntime as ort

    session = ort.InferenceSession(str(tmp_path / "program/00-main.onnx"), providers=["CPUExecutionProvider"])
    x = RNG.normal(size=(2, 512)).astype(np.float32)
    assert np.array_equal(np.asarray(session.run(None, {"x": x})[0]), run(model, x=x)["r1"])
