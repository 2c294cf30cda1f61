"""Differences of a column and a row are taken apart, bit by bit, and nothing else is."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from portside.runtimes.precision.onnx_outer import split_differences


def model(*constants: np.ndarray) -> ModelProto:
    """x + every constant."""
    names = [f"c{place}" for place in range(len(constants))]
    values = ["x", *(f"s{place}" for place in range(len(names) - 1)), "y"]
    nodes = [helper.make_node("Add", [values[place], name], [values[place + 1]]) for place, name in enumerate(names)]
    shape = list(constants[0].shape)
    graph = helper.make_graph(
        nodes, "g", *([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in "xy"),
        [numpy_helper.from_array(value, name) for name, value in zip(names, constants, strict=True)],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def answer(held: ModelProto, x: np.ndarray) -> np.ndarray:
    return ort.InferenceSession(held.SerializeToString()).run(None, {"x": x})[0]


def centres(outputs: int, inputs: int, start: float = 0.5) -> np.ndarray:
    """How far each output's centre is from each input's, in input pixels."""
    column = ((np.arange(outputs) + np.float32(start)) * np.float32(inputs / outputs)).astype(np.float32)
    return column[:, None] - (np.arange(inputs) + start).astype(np.float32)[None, :]


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
@pytest.mark.parametrize(("outputs", "start"), [(224, 0.5), (64, 0.5), (300, 0.5), (224, 0.0)])
def test_a_resize_of_pixels_is_stored_as_two_vectors_and_gives_the_same_bits(lead, outputs, start):
    value = centres(outputs, 300, start).reshape(*lead, outputs, 300)
    held = model(value)
    small = split_differences(held)
    assert small.ByteSize() < held.ByteSize() / 20
    x = np.zeros(value.shape, np.float32)
    assert np.array_equal(answer(small, x), value)


def test_equal_ones_are_stored_once():
    small = split_differences(model(centres(224, 300), centres(224, 300)))
    assert len(small.graph.initializer) == 2
    assert [node.op_type for node in small.graph.node] == ["Sub", "Add", "Add"]


@pytest.mark.parametrize("change", [lambda m: m * np.float32(1.0000001), lambda m: np.where(np.eye(*m.shape, dtype=bool), m + 1, m)])
def test_what_is_no_difference_bit_by_bit_is_left_alone(change):
    held = model(change(centres(224, 300)).astype(np.float32))
    assert split_differences(held) is held


def test_weights_and_small_constants_are_left_alone():
    for value in (np.random.default_rng(0).normal(size=(128, 128)).astype(np.float32), centres(8, 8), np.zeros((4, 64, 64), np.float32)):
        held = model(value)
        assert split_differences(held) is held
