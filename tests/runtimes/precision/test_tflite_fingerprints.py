"""Weights are recognised whatever a converter does to them, and told apart otherwise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.precision.tflite_fingerprints import fingerprint, onnx_fingerprints


def weights(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(3, 12))
def test_layout_sign_and_scale_change_nothing(seed, channels, inputs):
    held = weights(seed, channels, inputs, 3, 3)
    rng = np.random.default_rng(seed + 1)
    factors = (10.0 ** rng.uniform(-6, 6, channels) * rng.choice([-1, 1], channels)).astype(np.float32)
    turned = np.ascontiguousarray((held * factors[:, None, None, None]).transpose(0, 2, 3, 1))
    assert fingerprint("a", "Conv", held, 0).same(fingerprint("b", "CONV_2D", turned, 0))
    assert not fingerprint("a", "Conv", held, 0).same(fingerprint("b", "CONV_2D", weights(seed + 2, channels, 3, 3, inputs), 0))


@given(st.integers(0, 1000))
def test_factors_folded_in_per_input_change_nothing(seed):
    held = weights(seed, 16, 24)
    factors = np.random.default_rng(seed + 1).uniform(0.1, 3, 24).astype(np.float32)
    assert fingerprint("a", "MatMul", np.ascontiguousarray(held.T), 1).same(fingerprint("b", "FULLY_CONNECTED", held * factors, 0))


def test_other_sizes_are_other_weights_and_zeros_are_weights_too():
    held = weights(0, 4, 6)
    assert not fingerprint("a", "Gemm", held, 0).same(fingerprint("b", "FULLY_CONNECTED", held, 1))
    zeros = fingerprint("a", "Gemm", np.zeros((3, 2), np.float32), 0)
    assert zeros.same(zeros)
    assert np.isfinite(zeros.spread).all()


def test_nodes_with_weights_are_found_behind_constants_and_transposes():
    value, tensor = helper.make_tensor_value_info, numpy_helper.from_array
    nodes = [
        helper.make_node("Transpose", ["w"], ["turned"], perm=[1, 0]), helper.make_node("MatMul", ["x", "turned"], ["a"], name="behind"),
        helper.make_node("Gemm", ["x", "w", "b"], ["c"], name="gemm", transB=1), helper.make_node("MatMul", ["a", "c"], ["d"], name="free"),
        helper.make_node("Constant", [], ["v"], value=tensor(weights(2, 5, 7))),
        helper.make_node("MatMul", ["d", "v"], ["e"], name="given"),
        helper.make_node("Gather", ["x", "i"], ["f"], name="rows"), helper.make_node("Add", ["e", "b"], ["y"], name="sum"),
    ]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [2, 3])], [value("y", TensorProto.FLOAT, None)],
                              [tensor(weights(0, 5, 3), "w"), tensor(weights(1, 5), "b"), tensor(np.array([0]), "i")])  # fmt: skip
    found = onnx_fingerprints(graph)
    assert [one.name for one in found] == ["behind", "gemm", "given"]
    assert [one.size for one in found] == [(5, 3), (5, 3), (7, 5)]
    assert found[0].same(found[1])
