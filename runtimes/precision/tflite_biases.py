"""Scales of weights that leave room for a bias, which ai-edge-quantizer does not see to.

A bias is an int32 at the product of the scales of input and weights. A channel whose weights are next to nothing has a scale next to
nothing, and its bias no code: the quantizer's cast turns it into the lowest int32, of the other sign. Channels like that are common
where a batch normalisation was folded into a convolution. Such a channel takes the smallest scale at which its bias fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer.utils import tfl_flatbuffer_utils

from ...sdk.core.signature import Array
from .tflite_operators import Operator

LEVELS, HIGHEST = 255, 127
BIAS_LIMIT = 2**30
"""Largest code of a bias: the products that are added to it in an int32 need room too."""
_CHANNELS: Mapping[str, int] = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
"""Operator of (input, weights, bias) -> the axis of its weights that counts what it puts out."""


def roomy(model: bytes, static: Iterable[Operator], ranges: Mapping[str, Any], per_channel: bool) -> dict[str, dict[str, Array]]:
    """Weights whose own range leaves their bias no room -> a range that does, in the quantizer's own words.

    Args:
        model: the float file; tensors are called "graph/number".
        static: operators that become static int8.
        ranges: of the values, in the quantizer's own words.
        per_channel: weights have a scale per output channel.
    """
    held: Any = flatbuffer_utils.read_model_from_bytearray(model)
    found: dict[str, dict[str, Array]] = {}
    for one in static:
        graph = held.subgraphs[one.graph]
        places = [int(place) for place in graph.operators[one.place].inputs]
        if one.kind not in _CHANNELS or len(places) < 3 or min(places) < 0 or f"{one.graph}/{places[0]}" not in ranges:
            continue
        weights, bias = (tfl_flatbuffer_utils.get_tensor_data(graph.tensors[place], held.buffers) for place in places[1:3])
        if weights is not None and bias is not None:
            widest = _widest(weights, bias, _scale(ranges[f"{one.graph}/{places[0]}"]), _CHANNELS[one.kind], per_channel)
            found |= {} if widest is None else {f"{one.graph}/{places[1]}": {"min": -widest, "max": widest}}
    return found


def _scale(held: Mapping[str, Array]) -> float:
    return float((max(held["max"].item(), 0.0) - min(held["min"].item(), 0.0)) / LEVELS)


def _widest(weights: Array, bias: Array, scale: float, axis: int, per_channel: bool) -> Array | None:
    """The largest magnitude that each channel's codes must reach; None where the weights' own is enough everywhere."""
    others = tuple(place for place in range(weights.ndim) if place != axis) if per_channel else None
    own = np.abs(weights).max(axis=others, keepdims=True)
    least = np.abs(bias).astype(np.float64).reshape([-1 if place == axis else 1 for place in range(weights.ndim)])
    least = (least if per_channel else least.max()) * HIGHEST / (BIAS_LIMIT * max(scale, 1e-30))
    return np.maximum(own, least).astype(np.float32) if np.any(least > own) else None
