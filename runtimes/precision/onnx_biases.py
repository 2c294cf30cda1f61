"""What rounded weights add to a result on average, channel by channel: it is taken off the bias.

A weight's rounding error is fixed, so with inputs whose mean is not zero (behind a Relu none is) the result is off by the same amount
on every row, and such errors add up from layer to layer: they, not the scatter, break depthwise networks in int8.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019; means are measured here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto

from ...sdk.core.signature import Array
from .onnx_nodes import attribute


def channel_axis(node: NodeProto) -> int:
    """The axis of a product's first input whose channels its weight multiplies."""
    return 1 if node.op_type.startswith("Conv") else -1


def added(node: NodeProto, weight: Array, rounded: Array, means: Sequence[float]) -> Array | None:
    """What rounding adds to each channel of a result, on average: float64 (channels,); None where it cannot be told.

    Edges of a convolution, where padding is read, are taken like the rest.

    Args:
        node: a Conv, Gemm or MatMul.
        weight: float32, as the node has it.
        rounded: the same in int8, multiplied out.
        means: of the channels that the node reads.
    """
    error, held = rounded.astype(np.float64) - weight, np.asarray(means, np.float64)
    if node.op_type == "Conv":
        return _convolved(error, held, int(attribute(node, "group", 1)))
    if error.ndim != 2:
        return None
    error = error if node.op_type == "Gemm" and attribute(node, "transB", 0) else error.T
    return error @ held if error.shape[1] == len(held) else None


def _convolved(error: Array, means: Array, groups: int) -> Array | None:
    """(outputs, inputs of a group, *kernel) and the means of all inputs -> (outputs,)."""
    taps = error.reshape(*error.shape[:2], -1).sum(axis=2)
    if taps.shape[1] * groups != len(means) or len(taps) % groups:
        return None
    grouped = taps.reshape(groups, -1, taps.shape[1])
    return np.einsum("goi,gi->go", grouped, means.reshape(groups, -1)).reshape(-1)
