"""What TensorRT's parser refuses is rewritten to the same numbers, or named."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.onnx_run import open_graph, run_graph
from portside.runtimes.tensorrt.operators import KNOWN, check_operators
from portside.runtimes.tensorrt.preparing import prepare
from portside.sdk.core.errors import UnsupportedError

RANDOM = np.random.default_rng(5)


def model_of(nodes, inputs, outputs, constants=None, opset=18):
    values = [[helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in side] for side in (inputs, outputs)]
    tensors = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", *values, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def refusals(simulated, model, folder):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    parser = simulated.trt.OnnxParser(simulated.trt.INetworkDefinition(), simulated.trt.ILogger())
    return [] if parser.parse_from_file(str(path)) else [parser.get_error(place).node_operator() for place in range(parser.num_errors)]


def bytes_inside():
    nodes = [
        node("Transpose", ["photo"], "turned", perm=[0, 2, 1]), node("Gather", ["turned", "places"], "some", axis=1),
        node("Concat", ["some", "more"], "wider", axis=1), node("Cast", ["wider"], "floats", to=TensorProto.FLOAT),
        node("ReduceSum", ["floats", "axes"], "total", keepdims=0), node("Cast", ["floats"], "again", to=TensorProto.UINT8),
        node("Identity", ["again"], "same"),
    ]  # fmt: skip
    constants = {"places": np.array([2, 0], np.int64), "more": np.full((2, 1, 4), 9, np.uint8), "axes": np.array([1, 2], np.int64)}
    return model_of(nodes, [("photo", TensorProto.UINT8, [2, 4, 5])],
                    [("total", TensorProto.FLOAT, [2]), ("same", TensorProto.UINT8, [2, 3, 4])], constants)  # fmt: skip


def resized(**attributes):
    nodes = [node("Resize", ["x", "", "", "sizes"], "y", antialias=1, **attributes)]
    return model_of(nodes, [("x", TensorProto.FLOAT, ["n", 3, 20, 17])], [("y", TensorProto.FLOAT, ["n", 3, 8, 9])],
                    {"sizes": np.array([1, 3, 8, 9], np.int64)}, opset=19)  # fmt: skip


def test_bytes_are_widened_behind_the_rim_and_come_back_as_bytes(simulated_tensorrt, tmp_path):
    model, inputs = bytes_inside(), {"photo": RANDOM.integers(0, 256, (2, 4, 5), dtype=np.uint8)}
    made = prepare(model)
    assert "Transpose" in refusals(simulated_tensorrt, model, tmp_path)
    assert refusals(simulated_tensorrt, made, tmp_path) == []
    before, after = (run_graph(open_graph(held), inputs) for held in (model, made))
    assert {name: value.dtype for name, value in after.items()} == {name: value.dtype for name, value in before.items()}
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_bytes_in_a_branch_are_widened_there_too():
    more = numpy_helper.from_array(np.array([9, 0, 9, 200], np.uint8), "more")
    branches = {name: helper.make_graph([node("Cast", ["photo"], f"{name}.again", to=TensorProto.UINT8),
                                         helper.make_node(kind, [f"{name}.again", "more"], [f"{name}.out"])], name, [],
                                        [helper.make_tensor_value_info(f"{name}.out", TensorProto.UINT8, [4])], [more])
                for name, kind in (("then_branch", "Max"), ("else_branch", "Min"))}  # fmt: skip
    nodes = [helper.make_node("If", ["whether"], ["chosen"], name="choice", **branches),
             node("Cast", ["chosen"], "y", to=TensorProto.FLOAT)]  # fmt: skip
    model = model_of(nodes, [("whether", TensorProto.BOOL, []), ("photo", TensorProto.UINT8, [4])], [("y", TensorProto.FLOAT, [4])])
    made = prepare(model)
    assert made.graph.node[0].op_type == "Cast"
    for whether in (True, False):
        inputs = {"whether": np.array(whether), "photo": np.array([1, 2, 250, 100], np.uint8)}
        assert np.array_equal(run_graph(open_graph(made), inputs)["y"], run_graph(open_graph(model), inputs)["y"])


@pytest.mark.parametrize("attributes", [
    {"mode": "linear"}, {"mode": "cubic", "cubic_coeff_a": -0.5}, {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
])  # fmt: skip
def test_an_antialiased_resize_is_two_products(attributes, simulated_tensorrt, tmp_path):
    model = resized(**attributes)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    made, inputs = prepare(model), {"x": RANDOM.normal(size=(1, 3, 20, 17)).astype(np.float32)}
    assert refusals(simulated_tensorrt, model, tmp_path) == ["Resize"]
    assert [held.op_type for held in made.graph.node] == ["MatMul", "MatMul"]
    assert np.allclose(run_graph(open_graph(made), inputs)["y"], run_graph(open_graph(model), inputs)["y"], atol=1e-5)


def test_a_resize_of_unknown_size_stays_for_the_parser_to_name(simulated_tensorrt, tmp_path):
    model = model_of([node("Resize", ["x", "", "", "sizes"], "y", antialias=1, mode="linear")],
                     [("x", TensorProto.FLOAT, ["n", 3, "h", "w"]), ("sizes", TensorProto.INT64, [4])],
                     [("y", TensorProto.FLOAT, ["n", 3, "a", "b"])])  # fmt: skip
    assert refusals(simulated_tensorrt, prepare(model), tmp_path) == ["Resize"]


@pytest.mark.parametrize("scale", [np.float32(0.5), np.array([0.5, 0.25, 2.0], np.float32)])
def test_a_bias_in_int32_becomes_the_floats_that_it_stands_for(scale):
    nodes = [node("DequantizeLinear", ["codes", "scale"], "bias", axis=0), node("Add", ["x", "bias"], "y")]
    model = model_of(nodes, [("x", TensorProto.FLOAT, [2, 3])], [("y", TensorProto.FLOAT, [2, 3])],
                     {"codes": np.array([4, -8, 3], np.int32), "scale": np.asarray(scale)})  # fmt: skip
    made, inputs = prepare(model), {"x": RANDOM.normal(size=(2, 3)).astype(np.float32)}
    assert [held.op_type for held in made.graph.node] == ["Add"]
    assert np.array_equal(run_graph(open_graph(made), inputs)["y"], run_graph(open_graph(model), inputs)["y"])


def test_a_program_that_needs_nothing_is_the_same_object():
    model = model_of([node("Neg", ["x"], "y")], [("x", TensorProto.FLOAT, ["n"])], [("y", TensorProto.FLOAT, ["n"])])
    assert prepare(model) is model


def test_an_operator_that_no_parser_knows_is_named_in_subgraphs_too():
    inner = helper.make_graph([helper.make_node("StringConcat", ["s", "s"], ["t"], name="glue")], "then", [],
                              [helper.make_tensor_value_info("t", TensorProto.STRING, None)])  # fmt: skip
    model = model_of([helper.make_node("If", ["c"], ["y"], name="choice", then_branch=inner, else_branch=inner)],
                     [("c", TensorProto.BOOL, []), ("s", TensorProto.STRING, [1])], [("y", TensorProto.STRING, [1])])  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"tensorrt does not hold the operator StringConcat.*2 of them.*'glue'.*onnx-cpu"):
        check_operators(model, "tensorrt")


def test_trees_of_another_domain_are_named_with_it():
    model = model_of([helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], name="forest", domain="ai.onnx.ml")],
                     [("x", TensorProto.FLOAT, ["n", 3])], [("y", TensorProto.FLOAT, ["n", 1])])  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"ai\.onnx\.ml:TreeEnsembleRegressor"):
        check_operators(model, "tensorrt")


def test_the_list_of_operators_has_the_usual_ones():
    assert {"Conv", "Gemm", "Where", "If", "QuantizeLinear"} <= KNOWN
    assert not {"QLinearConv", "StringSplit", "TfIdfVectorizer"} & KNOWN
