"""A plan in TensorRT's scheme: what is written in the graph, how far the answers move, and what stays in float and why."""

from __future__ import annotations

from collections import Counter

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from portside.runtimes.onnx_extract import opset
from portside.runtimes.precision.onnx_lower import graph_of
from portside.runtimes.precision.onnx_schemes import CPU, FLOAT8, INT8
from portside.runtimes.precision.onnx_static import needed_values
from portside.runtimes.precision.tensorrt_half import BLOCK, block_codes
from portside.runtimes.precision.tensorrt_lower import lower
from portside.sdk.core.plan import PrecisionPlan

RANDOM = np.random.default_rng(3)
X = {"x": RANDOM.normal(size=(4, 3, 8, 8)).astype(np.float32)}


@pytest.fixture
def network(graphs):
    """Conv, Relu, pooling, two products; every bias far from zero."""
    op = graphs.op
    nodes = [
        op("Conv", "x w1 b1", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), op("Relu", "c", "r"),
        op("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]), op("Flatten", "p", "f"),
        op("Gemm", "f w2 b2", "g", transB=1), op("Relu", "g", "h"), op("MatMul", "h w3", "y"),
    ]  # fmt: skip
    constants = {"w1": RANDOM.normal(size=(16, 3, 3, 3)), "b1": RANDOM.normal(size=16) + 2, "w2": RANDOM.normal(size=(64, 256)) / 16,
                 "b2": RANDOM.normal(size=64), "w3": RANDOM.normal(size=(64, 32)) / 8}  # fmt: skip
    return graphs.model(nodes, X, "y", {name: value.astype(np.float32) for name, value in constants.items()})


def planned(graphs, model, precision, names=None):
    weighted = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul", "Gather")]
    names = weighted if names is None else names
    ranges = graphs.seen(model, needed_values(graph_of(model, {}), set(names)), X) if precision == "int8-static" else {}
    return PrecisionPlan(dict.fromkeys(names, precision), ranges=ranges)


def off(graphs, model, lowered):
    before, after = graphs.run(model, X)["y"], graphs.run(lowered, X, optimize="none")["y"]
    return float(np.abs(before - after).max() / np.abs(before).max())


def dtypes(model):
    return Counter(TensorProto.DataType.Name(tensor.data_type) for tensor in model.graph.initializer)


def test_int8_is_symmetric_and_biases_stay_floats(graphs, network):
    lowered, kept = lower(network, planned(graphs, network, "int8-static"), {})
    assert kept == {} and off(graphs, network, lowered) < 0.03
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in lowered.graph.initializer}
    pairs = [node for node in lowered.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs and all(held[node.input[2]].dtype == np.int8 and not held[node.input[2]].any() for node in pairs)
    assert "INT32" not in dtypes(lowered) and "UINT8" not in dtypes(lowered)
    products = [node for node in lowered.graph.node if node.op_type in ("Conv", "Gemm")]
    assert all(held[node.input[2]].dtype == np.float32 for node in products)


def test_float8_has_its_own_codes_and_opset(graphs, network):
    lowered, kept = lower(network, planned(graphs, network, "int8-static"), {}, "float8")
    assert kept == {} and opset(lowered) >= 19
    assert dtypes(lowered)["FLOAT8E4M3FN"] >= 3 and "INT8" not in dtypes(lowered)
    assert off(graphs, network, lowered) < 0.15


def test_float16_stays_in_half_between_products(graphs, network):
    lowered, kept = lower(network, planned(graphs, network, "float16"), {})
    assert kept == {}
    assert off(graphs, network, lowered) < 0.003
    casts = [node for node in lowered.graph.node if node.op_type == "Cast"]
    assert len(casts) == 2, [node.name for node in casts]  # in front of the first product, and behind the last one
    assert dtypes(lowered) == {"FLOAT16": 5}


def test_int4_is_in_blocks_in_front_of_the_product(graphs, network):
    lowered, kept = lower(network, planned(graphs, network, "int4-weights", ["g", "y"]), {})
    assert kept == {} and opset(lowered) >= 21 and dtypes(lowered)["INT4"] == 2
    assert off(graphs, network, lowered) < 0.15


def test_what_is_quantized_per_call_stays_in_float_and_is_named(graphs, network):
    lowered, kept = lower(network, planned(graphs, network, "int8-dynamic", ["g", "y"]), {})
    assert kept == dict.fromkeys(("g", "y"), "TensorRT quantizes no activation per call")
    assert lowered.SerializeToString() == network.SerializeToString()


def test_a_product_without_whole_blocks_is_named(graphs):
    model = graphs.model([graphs.op("MatMul", "x w", "y")], {"x": np.zeros((2, 48), np.float32)}, "y",
                         {"w": RANDOM.normal(size=(48, 48)).astype(np.float32)})  # fmt: skip
    _, kept = lower(model, PrecisionPlan({"y": "int4-weights"}), {})
    assert kept == {"y": f"its weight has no whole blocks of {BLOCK}"}


def test_a_node_without_calibration_is_named(graphs, network):
    _, kept = lower(network, PrecisionPlan({"c": "int8-static"}), {})
    assert kept == {"c": "its values were not calibrated"}


def test_block_codes_keep_the_largest_value_of_a_block():
    weight = RANDOM.normal(size=(64, 5)).astype(np.float32)
    codes, scale = block_codes(weight)
    assert codes.dtype == np.int8 and codes.min() >= -8 and codes.max() <= 7 and scale.shape == (2, 5)
    back = codes.reshape(2, BLOCK, 5) * scale[:, None]
    largest = np.abs(weight.reshape(2, BLOCK, 5)).argmax(axis=1)[:, None]
    assert np.allclose(np.take_along_axis(back, largest, 1), np.take_along_axis(weight.reshape(2, BLOCK, 5), largest, 1), rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (-5.0, 0.0), (0.0, 0.0)])
def test_schemes_hold_the_range_and_zero_is_zero(low, high):
    scale, zero = INT8.activation_code(low, high)
    assert zero == 0 and zero.dtype == np.int8 and max(-low, high) <= 127 * scale * (1 + 1e-6)
    scale, zero = FLOAT8.activation_code(low, high)
    assert zero.dtype == ml_dtypes.float8_e4m3fn and max(-low, high) <= 448 * scale * (1 + 1e-6)
    scale, zero = CPU.activation_code(low, high)
    assert isinstance(zero, np.uint8) and high <= (255 - int(zero)) * scale + scale
