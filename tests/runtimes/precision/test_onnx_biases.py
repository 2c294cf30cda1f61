"""What rounded weights add on average, against the same products in float64; and that an int8 network without it is nearer."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from portside.runtimes.precision.onnx_biases import added, channel_axis
from portside.runtimes.precision.onnx_lower import graph_of, lower
from portside.runtimes.precision.onnx_nodes import candidates
from portside.runtimes.precision.onnx_static import needed_values, quantize_weight
from portside.sdk.core.plan import PrecisionPlan


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_convolution_of_groups_adds_what_its_taps_do(groups) -> None:
    draw = np.random.default_rng(groups)
    weight, rounded = (draw.normal(size=(12, 6 // groups, 3, 3)).astype(np.float32) for _ in range(2))
    means = draw.normal(size=6)
    flat = np.broadcast_to(means[:, None, None], (6, 3, 3))
    per = 12 // groups
    wanted = [((rounded[out] - weight[out]) * flat[out // per * (6 // groups) :][: 6 // groups]).sum() for out in range(12)]
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups)
    assert channel_axis(node) == 1
    np.testing.assert_allclose(added(node, weight, rounded, means), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "attributes", "shape"), [("Gemm", {"transB": 1}, (4, 7)), ("Gemm", {}, (7, 4)), ("MatMul", {}, (7, 4))])
def test_products_add_the_error_of_their_weights_at_the_means(kind, attributes, shape) -> None:
    draw = np.random.default_rng(0)
    weight, rounded = (draw.normal(size=shape).astype(np.float32) for _ in range(2))
    means = draw.normal(size=7)
    node = helper.make_node(kind, ["x", "w", "b"], ["y"], **attributes)
    error = (rounded - weight).astype(np.float64)
    np.testing.assert_allclose(added(node, weight, rounded, means), (error if attributes else error.T) @ means, rtol=1e-5)
    assert channel_axis(node) == -1


def test_means_of_another_number_of_channels_say_nothing() -> None:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"])
    assert added(node, np.ones((4, 3, 1, 1), np.float32), np.ones((4, 3, 1, 1), np.float32), (1.0, 2.0)) is None
    assert added(helper.make_node("MatMul", ["x", "w"], ["y"]), np.ones((2, 3, 4)), np.ones((2, 3, 4)), (1.0,) * 3) is None


@pytest.mark.parametrize("per_channel", [True, False])
def test_results_are_right_on_average(graphs, per_channel) -> None:
    """A depthwise layer on inputs far from zero: its weights' errors add up over nine taps, and the correction takes them off."""
    draw = np.random.default_rng(3)
    inputs = {"x": draw.uniform(1, 6, (64, 8, 6, 6)).astype(np.float32)}
    constants = {"w": draw.normal(size=(8, 1, 3, 3)).astype(np.float32), "b": draw.normal(size=8).astype(np.float32)}
    model = graphs.model([graphs.op("Conv", "x w b", "y", group=8)], inputs, "y", constants)
    graph, before = graph_of(model, {}), graphs.run(model, inputs)["y"]
    ranges = {name: (float(held.min()), float(held.max())) for name, held in (("x", inputs["x"]), ("y", before))}
    assert set(needed_values(graph, {"y"})) == set(ranges) and candidates(graph, "int8-static") == ["y"]

    def off(means: dict[str, tuple[float, ...]]) -> float:
        made, kept = lower(model, PrecisionPlan({"y": "int8-static"}, ranges, per_channel, means=means), {})
        assert not kept
        return float(np.abs((graphs.run(made, inputs)["y"].astype(np.float64) - before).mean(axis=(0, 2, 3))).max())

    codes, scale = quantize_weight(constants["w"], 0 if per_channel else None)
    expected = np.abs((codes * (scale.reshape(-1, 1, 1, 1) if per_channel else scale) - constants["w"]).sum(axis=(1, 2, 3)) * 3.5).max()
    assert off({}) == pytest.approx(expected, rel=0.35), "without means the error of the weights at the mean of the input"
    assert off({"x": tuple(inputs["x"].mean(axis=(0, 2, 3)))}) < 0.25 * off({})
    assert off({"x": (1.0, 2.0)}) == off({}), "means that do not fit change nothing"
