"""What an operator's constant weights look like whatever their layout: how ONNX nodes are found again in a `.tflite` file.

A converter transposes weights, reshapes them, and scales them by what it folds in: a batch normalisation per output channel, a
layer normalisation's factors per input. What survives is how many output channels there are, how many weights each has, and how the
magnitudes are spread inside each channel, or across the channels at each input: ratios of norms, which neither order, sign nor scale
changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, NodeProto, numpy_helper

from ...sdk.core.signature import Array

CLOSE = 2e-3
"""Spreads this close belong to the same weights: folding rounds them."""
_ONNX_CHANNELS: Mapping[str, int] = {"Conv": 0, "ConvTranspose": 1, "Gather": 0}
"""Node with weights -> the axis of its output channels, where its attributes do not say."""
WEIGHTED = (*_ONNX_CHANNELS, "Gemm", "MatMul")


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Of one operator's weights.

    Attributes:
        name: the node or operator, unique in its graph.
        kind: its type.
        size: (output channels, weights of each).
        spread: (channels, 2) float32: L1 and L4 norm of each channel over its L2 norm. No scale of a channel changes it.
        across: (weights of each, 2): the same of each input, sorted, as inputs change places. No scale of an input changes it.
        norm: of all weights together, L2.
    """

    name: str
    kind: str
    size: tuple[int, int]
    spread: Array
    across: Array
    norm: float

    def same(self, other: Fingerprint) -> bool:
        """Whether these are the same weights in another layout or scale."""
        if self.size != other.size:
            return False
        return any(np.all(np.abs(mine - theirs) <= CLOSE) for mine, theirs in ((self.spread, other.spread), (self.across, other.across)))


def fingerprint(name: str, kind: str, weights: Array, channels: int) -> Fingerprint:
    """Of weights whose output channels lie along the axis `channels`."""
    count = weights.shape[channels]
    rows = np.abs(np.moveaxis(weights, channels, 0).reshape(count, -1).astype(np.float32))
    return Fingerprint(name, kind, (count, rows.shape[1]), _spread(rows), np.sort(_spread(rows.T), axis=0), float(np.linalg.norm(rows)))


def _spread(rows: Array) -> Array:
    """(rows, 2): how peaked each row is; zeros for a row of zeros."""
    tops = rows.max(axis=1, keepdims=True, initial=0.0)
    rows = rows / np.where(tops > 0, tops, 1.0)  # the fourth power of small weights is nothing in float32
    norms = np.sqrt(np.einsum("ck,ck->c", rows, rows))
    norms = np.where(norms > 0, norms, 1.0)
    flat = rows.sum(axis=1) / norms / np.sqrt(max(rows.shape[1], 1))
    squares = rows**2
    return np.stack([flat, np.einsum("ck,ck->c", squares, squares) ** 0.25 / norms], axis=1)


def onnx_fingerprints(graph: GraphProto) -> list[Fingerprint]:
    """Of every node of a graph that has constant float weights, in order."""
    constants = Constants(graph)
    found: list[Fingerprint] = []
    for node in graph.node:
        if node.op_type not in WEIGHTED:
            continue
        place, weights = _weights(node, constants)
        if weights is not None and weights.dtype.kind == "f" and weights.ndim >= 2:
            found.append(fingerprint(node.name, node.op_type, weights, _channels(node, place, weights.ndim)))
    return found


class Constants:
    """Values of a graph that are known before it runs: initializers, Constant nodes, and either behind an Identity or a Transpose."""

    def __init__(self, graph: GraphProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._makers = {node.output[0]: node for node in graph.node if node.op_type in ("Constant", "Identity", "Transpose")}

    def get(self, name: str) -> Array | None:
        """The value, or None."""
        if name in self._tensors:
            return numpy_helper.to_array(self._tensors[name])
        node = self._makers.get(name)
        if node is None:
            return None
        held = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type == "Constant":
            return numpy_helper.to_array(held["value"].t) if "value" in held else None
        inner = self.get(node.input[0])
        if inner is None or node.op_type == "Identity":
            return inner
        return np.transpose(inner, list(held["perm"].ints) if "perm" in held else None)


def _weights(node: NodeProto, constants: Constants) -> tuple[int, Array | None]:
    """Which input is the weights, and their value."""
    if node.op_type == "Gather":
        return 0, constants.get(node.input[0])
    held = constants.get(node.input[1])
    return (0, constants.get(node.input[0])) if held is None and node.op_type in ("MatMul", "Gemm") else (1, held)


def _channels(node: NodeProto, place: int, axes: int) -> int:
    """The axis of the weights that the output keeps."""
    if node.op_type in _ONNX_CHANNELS:
        return _ONNX_CHANNELS[node.op_type]
    turned = any(attribute.name == ("transA", "transB")[place] and attribute.i for attribute in node.attribute)
    kept = axes - 2 if place == 0 else axes - 1
    return 2 * axes - 3 - kept if turned else kept
