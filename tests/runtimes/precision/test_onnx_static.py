"""int8-static on graphs by hand: the file is valid, ONNX Runtime fuses it, and the answers stay within what 8 bits allow."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.numpy_helper import to_array

from portside.runtimes.precision.onnx_static import quantize_weight

CLOSE = 0.02
"""Error of a graph of a few int8 nodes, relative to the spread of its answer."""


def images(graphs, channels=4, rows=8, size=10, dims=2):
    return {"x": graphs.draw(rows, channels, *(size,) * dims, seed=9)}


def conv(graphs, channels=(4, 16), kernel=3, dims=2, seed=0, group=1):
    before, after = channels
    return graphs.draw(after, before // group, *(kernel,) * dims, seed=seed, scale=(before // group * kernel**dims) ** -0.5)


def holds(held, *, ran=(), never=("Conv", "FusedConv"), close=CLOSE):
    assert held.error() < close
    for name in held.before:
        step = np.ptp(held.before[name]) / 255
        assert np.abs(held.after[name] - held.plain[name]).max() <= 2.1 * step, "fusing changed more than a rounding"
    assert all(held.ran[kind] for kind in ran), held.ran
    assert not any(held.ran[kind] for kind in never), held.ran
    assert held.kept == {}


def network(graphs, opset=18, names="c1 r1 c2 r2 p f y"):
    c1, r1, c2, r2, p, f, y = names.split()
    nodes = [
        graphs.op("Conv", "x w1 b1", c1, pads=[1, 1, 1, 1]), graphs.op("Relu", c1, r1), graphs.op("Conv", f"{r1} w2 b2", c2),
        graphs.op("Relu", c2, r2), graphs.op("GlobalAveragePool", r2, p), graphs.op("Flatten", p, f),
        graphs.op("Gemm", f"{f} w3 b3", y, transB=1),
    ]  # fmt: skip
    constants = {
        "w1": conv(graphs), "b1": graphs.draw(16), "w2": conv(graphs, (16, 24), seed=1), "b2": graphs.draw(24), "w3": graphs.draw(5, 24),
        "b3": graphs.draw(5),
    }  # fmt: skip
    inputs = images(graphs)
    return graphs.model(nodes, inputs, y, constants, opset), inputs


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_network_of_convolutions(graphs, lowered, per_channel):
    held = lowered(*insert(network(graphs), "int8-static"), per_channel=per_channel)
    holds(held, ran=("QLinearConv", "QLinearGlobalAveragePool"), close=0.05)
    assert held.able == ["c1", "c2", "p", "f", "y"]
    assert held.ran["QLinearConv"] == 2
    assert held.ran["QGemm"] == 1
    assert not held.ran["Relu"]
    assert held.stored(np.float32) < 200


def insert(pair, precision):
    model, inputs = pair
    return model, precision, inputs


@pytest.mark.parametrize("opset", range(13, 24))
def test_every_opset(graphs, lowered, opset):
    held = lowered(*insert(network(graphs, opset), "int8-static"))
    holds(held, ran=("QLinearConv", "QGemm"), close=0.05)


def test_a_residual_is_added_in_int8(graphs, lowered):
    nodes = [
        graphs.op("Conv", "x w1 b1", "c1", pads=[1, 1, 1, 1]), graphs.op("Relu", "c1", "r1"),
        graphs.op("Conv", "r1 w2 b1", "c2", pads=[1, 1, 1, 1]), graphs.op("Add", "c2 r1", "s"), graphs.op("Relu", "s", "r"),
        graphs.op("Conv", "r w3 -", "c3"), graphs.op("GlobalAveragePool", "c3", "p"), graphs.op("Sigmoid", "p", "y"),
    ]  # fmt: skip
    constants = {"w1": conv(graphs), "b1": graphs.draw(16), "w2": conv(graphs, (16, 16), seed=1), "w3": conv(graphs, (16, 8), seed=2)}
    held = lowered(graphs.model(nodes, images(graphs), "y", constants), "int8-static", images(graphs))
    holds(held, ran=("QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool"), close=0.08)
    assert held.ran["QLinearConv"] == 3


@pytest.mark.exact_sums
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_one_two_and_three_dimensions(graphs, lowered, dims, bias):
    inputs = images(graphs, dims=dims, size=6)
    nodes = [graphs.op("Conv", f"x w {'b' if bias else ''}", "c"), graphs.op("Relu", "c", "r"), graphs.op("Conv", "r w2", "d"),
             graphs.op("Sigmoid", "d", "y")]  # fmt: skip
    constants = {"w": conv(graphs, dims=dims), "b": graphs.draw(16), "w2": conv(graphs, (16, 6), dims=dims)}
    held = lowered(graphs.model(nodes, inputs, "y", constants), "int8-static", inputs)
    holds(held, ran=("QLinearConv",), close=0.03)


def test_a_depthwise_convolution_keeps_a_scale_per_channel(graphs, lowered):
    factors = np.float32(10.0) ** np.arange(-4, 4, dtype=np.float32)
    inputs = {"x": graphs.draw(8, 8, 10, 10)}
    weight = graphs.draw(8, 1, 3, 3) * factors[:, None, None, None]
    undo = np.diag(1 / factors)[:, :, None, None]
    nodes = [graphs.op("Conv", "x w b", "c", group=8), graphs.op("Mul", "c undo", "y")]
    constants = {"w": weight, "b": graphs.draw(8) * factors, "undo": (1 / factors)[:, None, None]}
    assert undo.shape == (8, 8, 1, 1)
    held = lowered(graphs.model(nodes, inputs, "y", constants), "int8-static", inputs)
    codes = next(to_array(tensor) for tensor in held.model.graph.initializer if tensor.name == "w.int8")
    assert (np.abs(codes).max(axis=(1, 2, 3)) == 127).all()
    assert held.ran["QLinearConv"] == 1


@pytest.mark.exact_sums
@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", ["b", ""])
@pytest.mark.parametrize("per_channel", [True, False])
def test_products_with_and_without_bias(graphs, lowered, transposed, bias, per_channel):
    inputs = {"x": graphs.draw(32, 24)}
    weight = graphs.draw(24, 16, scale=0.2)
    nodes = [graphs.op("Gemm", f"x w {bias}", "g", transB=transposed), graphs.op("Relu", "g", "r"), graphs.op("Gemm", "r v", "y")]
    constants = {"w": weight.T.copy() if transposed else weight, "v": graphs.draw(16, 5, seed=1)} | ({"b": graphs.draw(16)} if bias else {})
    held = lowered(graphs.model(nodes, inputs, "y", constants), "int8-static", inputs, per_channel=per_channel)
    holds(held, ran=("QGemm",), never=("Gemm", "MatMul", "FusedGemm"))
    assert held.ran["QGemm"] == 2
    assert held.stored(np.int8) >= 24 * 16 + 16 * 5


@pytest.mark.exact_sums
def test_a_matrix_product_over_a_sequence(graphs, lowered):
    inputs = {"x": graphs.draw(4, 7, 24)}
    nodes = [graphs.op("MatMul", "x w", "m"), graphs.op("Add", "m b", "a"), graphs.op("Tanh", "a", "t"), graphs.op("MatMul", "t v", "y")]
    constants = {"w": graphs.draw(24, 16, scale=0.2), "b": graphs.draw(16), "v": graphs.draw(16, 5, seed=1)}
    held = lowered(graphs.model(nodes, inputs, "y", constants), "int8-static", inputs)
    holds(held, ran=("MatMulIntegerToFloat",), never=("MatMul",))


@pytest.mark.exact_sums
def test_weights_read_twice_are_stored_once(graphs, lowered):
    inputs = {"x": graphs.draw(16, 24), "z": graphs.draw(16, 24, seed=3, scale=4)}
    nodes = [graphs.op("MatMul", "x w", "a"), graphs.op("MatMul", "z w", "b"), graphs.op("Sub", "a b", "y")]
    held = lowered(graphs.model(nodes, inputs, "y", {"w": graphs.draw(24, 32)}), "int8-static", inputs)
    holds(held, never=("MatMul",))
    assert held.stored(np.int8) == 24 * 32 + 32  # and zero points
    assert held.stored(np.float32) < 100


@pytest.mark.exact_sums
def test_one_weight_read_by_a_gemm_and_a_convolution_each_in_its_way(graphs, lowered):
    inputs = {"x": graphs.draw(16, 24)}
    nodes = [graphs.op("Gemm", "x w b", "a", transB=1), graphs.op("Relu", "a", "r"), graphs.op("MatMul", "r w", "y")]
    held = lowered(graphs.model(nodes, inputs, "y", {"w": graphs.draw(24, 24, scale=0.2), "b": graphs.draw(24)}), "int8-static", inputs)
    holds(held, never=("MatMul", "Gemm"))


@pytest.mark.exact_sums
def test_a_value_that_float_and_int8_nodes_read(graphs, lowered):
    nodes = [
        graphs.op("Conv", "x w b", "c", pads=[1, 1, 1, 1]), graphs.op("Relu", "c", "r"), graphs.op("Conv", "r w2", "d", pads=[1, 1, 1, 1]),
        graphs.op("Tanh", "r", "t"), graphs.op("Mul", "t d", "y"),
    ]  # fmt: skip
    constants = {"w": conv(graphs), "b": graphs.draw(16), "w2": conv(graphs, (16, 16))}
    held = lowered(graphs.model(nodes, images(graphs), "y", constants), "int8-static", images(graphs))
    holds(held, ran=("QLinearConv",))
    assert held.ran["QLinearConv"] == 2


@pytest.mark.exact_sums
def test_a_convolution_read_beside_its_relu_is_quantized_before_it(graphs, lowered):
    nodes = [graphs.op("Conv", "x w b", "c", pads=[1, 1, 1, 1]), graphs.op("Relu", "c", "r"), graphs.op("Add", "r c", "y")]
    held = lowered(graphs.model(nodes, images(graphs), "y", {"w": conv(graphs), "b": graphs.draw(16)}), "int8-static", images(graphs))
    holds(held, ran=("QLinearConv",))


@pytest.mark.exact_sums
def test_a_convolution_that_makes_an_output_runs_in_int8_too(graphs, lowered):
    nodes = [graphs.op("Conv", "x w b", "c"), graphs.op("Relu", "c", "r"), graphs.op("Conv", "r v", "y")]
    constants = {"w": conv(graphs), "b": graphs.draw(16), "v": conv(graphs, (16, 8))}
    held = lowered(graphs.model(nodes, images(graphs), "y", constants), "int8-static", images(graphs))
    holds(held, ran=("QLinearConv",))
    assert held.ran["QLinearConv"] == 2


@pytest.mark.exact_sums
def test_an_inner_value_that_is_an_output_as_well(graphs, lowered):
    nodes = [graphs.op("Conv", "x w b", "c"), graphs.op("Relu", "c", "r"), graphs.op("Conv", "r v", "d"), graphs.op("Sigmoid", "d", "y")]
    constants = {"w": conv(graphs), "b": graphs.draw(16), "v": conv(graphs, (16, 8))}
    held = lowered(graphs.model(nodes, images(graphs), "y r", constants), "int8-static", images(graphs))
    assert held.error("r") < CLOSE
    holds(held, ran=("QLinearConv",))
    assert held.ran["QLinearConv"] == 2


@pytest.mark.exact_sums
def test_zero_weights_and_dead_channels(graphs, lowered):
    weight = conv(graphs)
    weight[::2] = 0
    nodes = [graphs.op("Conv", "x w b", "c"), graphs.op("Relu", "c", "r"), graphs.op("Conv", "r v", "d"), graphs.op("Add", "d one", "y")]
    bias = graphs.draw(16)
    bias[0] = 0
    constants = {"w": weight, "b": bias, "v": np.zeros((8, 16, 3, 3), np.float32), "one": np.float32(1)}
    held = lowered(graphs.model(nodes, images(graphs), "y r", constants), "int8-static", images(graphs))
    assert held.error("r") < CLOSE
    np.testing.assert_array_equal(held.after["y"], held.before["y"])


def test_tiny_weights_beside_a_large_bias(graphs, lowered):
    weight, bias = conv(graphs), graphs.draw(16)
    weight[3] *= 1e-9
    bias[3] = 50.0
    nodes = [graphs.op("Conv", "x w b", "c"), graphs.op("Relu", "c", "y")]
    held = lowered(graphs.model(nodes, images(graphs), "y", {"w": weight, "b": bias}), "int8-static", images(graphs))
    np.testing.assert_allclose(held.after["y"][:, 3], 50, rtol=0.005)
    assert held.ran["QLinearConv"] == 1


def test_inputs_that_no_weight_sees_large_still_fit(graphs, lowered):
    inputs = {"x": graphs.draw(32, 24) * np.float32(1e-6)}
    nodes = [graphs.op("Gemm", "x w b", "g"), graphs.op("Relu", "g", "r"), graphs.op("Gemm", "r v", "y")]
    constants = {"w": graphs.draw(24, 16), "b": graphs.draw(16), "v": graphs.draw(16, 5)}
    held = lowered(graphs.model(nodes, inputs, "y", constants), "int8-static", inputs)
    np.testing.assert_allclose(held.after["y"], held.before["y"], atol=0.05)


def test_names_that_are_taken(graphs, lowered):
    model, inputs = network(graphs, names="x.int8 x.q w1.int8 w1.scale zeros.int8.16 r1.float y")
    holds(lowered(model, "int8-static", inputs), ran=("QLinearConv", "QGemm"), close=0.05)


@pytest.mark.exact_sums
def test_a_value_that_a_branch_captures(graphs, lowered):
    value = helper.make_tensor_value_info
    branch = [
        helper.make_graph([graphs.op(kind, "r", f"in_{kind}")], kind, [], [value(f"in_{kind}", TensorProto.FLOAT, ["n", 16, 8, 8])])
        for kind in ("Tanh", "Neg")
    ]
    choose = helper.make_node("If", ["yes"], ["chosen"], name="choose", then_branch=branch[0], else_branch=branch[1])
    nodes = [graphs.op("Conv", "x w b", "c"), graphs.op("Relu", "c", "r"), graphs.op("Conv", "r v", "d", pads=[1, 1, 1, 1]), choose,
             graphs.op("Add", "chosen d", "y")]  # fmt: skip
    constants = {"w": conv(graphs), "b": graphs.draw(16), "v": conv(graphs, (16, 16)), "yes": np.array(True)}
    held = lowered(graphs.model(nodes, images(graphs), "y", constants), "int8-static", images(graphs))
    holds(held, never=())


def test_what_was_not_calibrated_stays_float_and_is_said(graphs, lowered):
    model, inputs = network(graphs)
    held = lowered(model, "int8-static", inputs, ranges={"x": (-4.0, 4.0), "r1": (0.0, 4.0)})
    assert held.kept == dict.fromkeys(["c2", "p", "y"], "its values were not calibrated")
    assert held.ran["QLinearConv"] == 1
    assert held.error() < 0.05


def test_one_node_alone(graphs, lowered):
    model, inputs = network(graphs)
    for name in ("c1", "c2", "y"):
        held = lowered(model, "int8-static", inputs, only=[name])
        assert held.error() < 0.05
        assert held.ran["QLinearConv"] + held.ran["QGemm"] == 1, (name, held.ran)


@pytest.mark.parametrize(("axis", "shape"), [(0, (3,)), (1, (5,)), (None, ())])
def test_codes_are_symmetric_and_within_half_a_step(graphs, axis, shape):
    weight = graphs.draw(3, 5, scale=3)
    codes, scale = quantize_weight(weight, axis)
    assert codes.dtype == np.int8
    assert scale.shape == shape
    assert codes.min() >= -127
    shaped = scale if axis != 0 else scale[:, None]
    assert (np.abs(codes * shaped - weight) <= shaped / 2 * 1.0001).all()


def test_codes_of_zeros_have_a_scale():
    codes, scale = quantize_weight(np.zeros((3, 2), np.float32), 0)
    assert (codes == 0).all()
    assert (scale > 0).all()
