"""The dtypes of weights, read back from files: initializers, constants, trees, subgraphs, external data."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.onnx_files import file_dtypes, write_model


def graph(nodes, initializers):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    return helper.make_graph(nodes, "g", [x], [y], initializers)


def tensor(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def test_every_place_that_holds_weights_counts(tmp_path):
    branch = helper.make_graph([helper.make_node("Constant", [], ["b"], value=tensor("", np.zeros(10, np.int8)))], "branch", [],
                               [helper.make_tensor_value_info("b", TensorProto.INT8, [10])])  # fmt: skip
    nodes = [
        helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", nodes_values=[0.5, 0.0, 1.0], nodes_nodeids=[0, 1, 2]),
    ]
    weights = [tensor("w", np.zeros((3, 4), np.float32)), tensor("h", np.zeros(5, np.float16)), tensor("c", np.array(True))]
    write_model(helper.make_model(graph(nodes, weights)), tmp_path / "a.onnx")
    assert file_dtypes([tmp_path / "a.onnx"]) == {"bool": 1, "float": 48 + 12, "float16": 10, "int64": 24, "int8": 20}


def test_external_data_is_counted_without_being_read(tmp_path):
    model = helper.make_model(graph([helper.make_node("Identity", ["x"], ["y"])], [tensor("w", np.zeros(4096, np.float32))]))
    write_model(model, tmp_path / "a.onnx", external_bytes=1024)
    (tmp_path / "a.weights").unlink()
    assert file_dtypes([tmp_path / "a.onnx"]) == {"float": 16384}


def test_four_bits_are_half_a_byte(tmp_path):
    held = TensorProto(name="w", data_type=TensorProto.INT4, dims=[5], raw_data=b"\x00\x00\x00")
    onnx.save(helper.make_model(graph([helper.make_node("Identity", ["x"], ["y"])], [held])), str(tmp_path / "a.onnx"))
    assert file_dtypes([tmp_path / "a.onnx"]) == {"int4": 3}
