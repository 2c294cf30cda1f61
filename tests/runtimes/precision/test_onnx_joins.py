"""Joins and moves between int8 nodes stay in int8: no value is turned into float and back on the way."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper


def conv(graphs, name, source, channels, seed, kernel=3):
    weight = graphs.draw(channels[1], channels[0], kernel, kernel, seed=seed, scale=(channels[0] * kernel**2) ** -0.5)
    nodes = [graphs.op("Conv", f"{source} w{name} b{name}", f"c{name}", pads=[kernel // 2] * 4), graphs.op("Relu", f"c{name}", name)]
    return nodes, {f"w{name}": weight, f"b{name}": graphs.draw(channels[1], seed=seed + 50) / 4}


def joined(graphs, *parts, extra=()):
    nodes, constants = [], dict(extra)
    for part in parts:
        held, more = part if isinstance(part, tuple) else ([part], {})
        nodes, constants = [*nodes, *held], {**constants, **more}
    x = {"x": graphs.draw(8, 4, 12, 12, seed=9)}
    return graphs.model(nodes, x, "y", constants), "int8-static", x


def in_int8(held, close=0.03):
    """Quantized once at the start, read once at the end."""
    assert held.error() < close
    assert held.kept == {}
    assert held.ran["QuantizeLinear"] == held.ran["DequantizeLinear"] == 1, held.ran
    assert not held.ran["Conv"] + held.ran["FusedConv"] + held.ran["Concat"], held.ran


def test_a_skip_over_an_upsampling_is_joined_in_int8(graphs, lowered):
    """A small U-Net: pool, upsample to the nearest, concatenate with what was there before."""
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), graphs.op("MaxPool", "a", "p", kernel_shape=[2, 2], strides=[2, 2]),
        conv(graphs, "m", "p", (8, 16), 2), graphs.op("Resize", "m - scales", "u", mode="nearest"), graphs.op("Concat", "u a", "j", axis=1),
        conv(graphs, "y", "j", (24, 6), 3), extra={"scales": np.array([1, 1, 2, 2], np.float32)}.items(),
    ))  # fmt: skip
    assert {"p", "u", "j"} <= set(held.able)
    in_int8(held)
    assert held.ran["QLinearConcat"] == 1


def test_growing_joins_of_a_dense_block(graphs, lowered):
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), conv(graphs, "b", "a", (8, 8), 2), graphs.op("Concat", "a b", "j1", axis=1),
        conv(graphs, "c", "j1", (16, 8), 3), graphs.op("Concat", "j1 c", "j2", axis=1), conv(graphs, "y", "j2", (24, 6), 4),
    ))  # fmt: skip
    in_int8(held)
    assert held.ran["QLinearConcat"] == 2


def test_halves_that_go_different_ways(graphs, lowered):
    """A channel split, of which one half is computed with and the other joined again as it is."""
    split = helper.make_node("Split", ["a"], ["l", "r"], name="split", axis=1, num_outputs=2)
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), split, conv(graphs, "b", "r", (4, 4), 2), graphs.op("Concat", "l b", "j", axis=1),
        conv(graphs, "y", "j", (8, 6), 3),
    ))  # fmt: skip
    assert {"split", "j"} <= set(held.able)
    in_int8(held)


@pytest.mark.parametrize(("move", "constants"), [
    (("Slice", "a from to axes", "v", {}), {"from": [0], "to": [10], "axes": [2]}),
    (("DepthToSpace", "a", "v", {"blocksize": 2}), {}),
])  # fmt: skip
def test_what_only_moves_values_moves_codes(graphs, lowered, move, constants):
    kind, inputs, output, attributes = move
    channels = {"DepthToSpace": 2}.get(kind, 8)
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), graphs.op(kind, inputs, output, **attributes), conv(graphs, "y", "v", (channels, 6), 2),
        extra={name: np.array(value, np.int64) for name, value in constants.items()}.items(),
    ))  # fmt: skip
    assert "v" in held.able
    in_int8(held)


def test_an_interpolation_makes_values_of_its_own_and_stays_float(graphs, lowered):
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), graphs.op("Resize", "a - scales", "u", mode="linear"), conv(graphs, "y", "u", (8, 6), 2),
        extra={"scales": np.array([1, 1, 2, 2], np.float32)}.items(),
    ))  # fmt: skip
    assert "u" not in held.able
    assert held.error() < 0.03


def test_a_join_with_something_in_float_stays_float(graphs, lowered):
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), graphs.op("Tanh", "x", "t"), graphs.op("Concat", "a t", "j", axis=1),
        conv(graphs, "y", "j", (12, 6), 2),
    ))  # fmt: skip
    assert "j" not in held.able
    assert held.error() < 0.03


@pytest.mark.exact_sums
def test_a_join_read_by_an_activation_alone_is_quantized_before_it(graphs, lowered):
    held = lowered(*joined(
        graphs, conv(graphs, "a", "x", (4, 8), 1), graphs.op("Conv", "x wb", "b", pads=[1] * 4), graphs.op("Concat", "a b", "j", axis=1),
        graphs.op("Relu", "j", "r"), conv(graphs, "y", "r", (16, 6), 2), extra={"wb": graphs.draw(8, 4, 3, 3, scale=0.2)}.items(),
    ))  # fmt: skip
    assert "j" in held.able
    assert held.error() < 0.03
    assert held.ran["QLinearConcat"] == 1
