"""int8-static on ONNX: QuantizeLinear/DequantizeLinear pairs around what an engine then fuses into int8 kernels.

Activations are uint8 with a zero point, weights int8 and symmetric (per output channel where the plan says so), biases int32 at the
product of both scales: what CPUs multiply fastest. A value is quantized once, where it is made; a Relu or Clip behind a
product is computed with it. A product whose result nobody needs in int8 leaves it in float32.

Scheme: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, shape_inference

from ...sdk.core.plan import Means, Range
from ...sdk.core.signature import Array
from .onnx_biases import added
from .onnx_nodes import ELSEWHERE, JOINING, MOVING, PRODUCTS, WEIGHTED, Graph, attribute, fresh, node_of, rebuilt, tensor, value_names
from .onnx_schemes import CPU, Scheme

LARGEST, REDUCED = 127, 63
"""Largest code of a weight: of 8 bits, and of 7, which CPUs without VNNI add up exactly."""
BIAS_LIMIT = 2**30
"""Largest code of a bias: the products that are added to it in an int32 need room too."""


def needed_values(graph: Graph, names: set[str]) -> list[str]:
    """The values that need a range so that these nodes can be int8-static: what they read and what they make."""
    wanted: dict[str, None] = {}
    for node in (graph.named[name] for name in names if name in graph.named):
        if node.op_type in (*WEIGHTED, *JOINING):
            flows = node.input[:1] if node.op_type in WEIGHTED else node.input
            wanted |= dict.fromkeys(name for name in flows if graph.free(name))
            wanted |= dict.fromkeys(graph.results(node))
    return list(wanted)


def watched_values(graph: Graph, names: set[str]) -> list[str]:
    """What calibration looks at: `needed_values`, and the floats that nodes between them make which other engines hold in int8."""
    wanted = dict.fromkeys(needed_values(graph, names))
    made = [name for node in graph.nodes if node.op_type in ELSEWHERE for name in node.output if name in graph.inside and graph.free(name)]
    if not wanted or not made:
        return list(wanted)
    held = shape_inference.infer_shapes(graph.model, data_prop=True).graph
    floats = {value.name for value in (*held.value_info, *held.output) if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return list(wanted | dict.fromkeys(name for name in made if name in floats))


def held_values(graph: Graph, names: set[str], ranges: Mapping[str, Range]) -> dict[str, bool]:
    """Value that is held in int8 where these nodes are int8-static -> whether every reader takes it so, as int8 nodes make it."""
    work = _Static(graph, {name for name in names if _ranged(graph, name, ranges)}, ranges, True, value_names(graph.model))
    _quantize_values(work)
    return {value: value in work.owned for value in work.scales}


@dataclass(frozen=True)
class Wide:
    """A weight in int8: names of what it is multiplied out to and of its scale, the scale, and the numbers themselves."""

    name: str
    scale_name: str
    scale: Array
    values: Array


@dataclass
class _Static:
    """One lowering under way."""

    graph: Graph
    names: set[str]
    ranges: Mapping[str, Range]
    per_channel: bool
    taken: set[str]
    largest: int = LARGEST
    means: Mapping[str, Means] = field(default_factory=dict[str, Means])
    scheme: Scheme = CPU
    tensors: list[TensorProto] = field(default_factory=list[TensorProto])
    scales: dict[str, tuple[str, str, float]] = field(default_factory=dict[str, "tuple[str, str, float]"])
    """Quantized value -> names of its scale and zero point, and the scale."""
    weights: dict[tuple[str, ...], Wide] = field(default_factory=dict[tuple[str, ...], "Wide"])
    zeros: dict[tuple[type, int], str] = field(default_factory=dict[tuple[type, int], str])
    before: list[NodeProto] = field(default_factory=list[NodeProto])
    entries: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        held = [self.graph.named[name] for name in self.names]
        self.owned = {value for node in held for value in self.graph.results(node)}
        """Values that int8 nodes make: the pair takes the value's name, so every reader takes what the pair gives."""

    def entry(self, value: str) -> str:
        """What an int8 node reads for a value: the pair's result, under a name of its own where float nodes make the value."""
        if value in self.owned or value not in self.scales:
            return value
        if value not in self.entries:
            self.entries[value] = fresh(self.taken, f"{value}.int8")
        return self.entries[value]


def lower_static(graph: Graph, names: set[str], ranges: Mapping[str, Range], per_channel: bool, largest: int = LARGEST,
                 means: Mapping[str, Means] | None = None, scheme: Scheme | None = None) -> tuple[ModelProto, dict[str, str]]:  # fmt: skip
    """The model with these nodes in int8, and node -> why for those that stayed float.

    Args:
        graph: of the float model.
        names: nodes that shall be int8-static.
        ranges: value -> range; a node without one for what it reads or makes stays float.
        per_channel: a scale per output channel of a weight.
        largest: code of a weight.
        means: value -> mean of each channel; biases of the products that read it are corrected.
        scheme: how codes are written; None: as CPUs multiply fastest.
    """
    kept = {name: "its values were not calibrated" for name in names if not _ranged(graph, name, ranges)}
    work = _Static(graph, set(names) - set(kept), ranges, per_channel, value_names(graph.model), largest, means or {}, scheme or CPU)
    _quantize_values(work)
    nodes = [pair for value in graph.model.graph.input for pair in _pairs(work, value.name, value.name)]
    for node in graph.nodes:
        work.before = []
        made = _lowered(work, node)
        pairs = [pair for place, value in enumerate(node.output) for pair in _pairs(work, made.output[place], value)]
        nodes += [*work.before, made, *pairs]
    return rebuilt(graph.model, nodes, work.tensors), kept


def _ranged(graph: Graph, name: str, ranges: Mapping[str, Range]) -> bool:
    node = graph.named.get(name)
    if node is None or node.op_type in MOVING:
        return node is not None
    flows = node.input[:1] if node.op_type in WEIGHTED else [held for held in node.input if held]
    return all(held in ranges for held in (*flows, *graph.results(node)))


def _quantize_values(work: _Static) -> None:
    """Decide which values are held in int8, and give each its scale."""
    graph = work.graph
    for node in graph.nodes:
        if node.name not in work.names:
            continue
        if node.op_type in MOVING:
            if (source := work.scales.get(node.input[0])) is not None:
                work.scales |= dict.fromkeys((value for value in node.output if graph.free(value)), source)
            continue
        for name in node.input[:1] if node.op_type in WEIGHTED else node.input:
            _scale(work, name)
        if _leaves_in_int8(work, node):
            _scale(work, graph.results(node)[0])


def _leaves_in_int8(work: _Static, node: NodeProto) -> bool:
    """Whether a node's result is held in int8. A convolution has no other fast form; a product has, and what is put out is better."""
    value = work.graph.results(node)[0]
    if node.op_type == "Conv" or value in work.graph.outputs:
        return node.op_type == "Conv"
    readers = work.graph.readers[value]
    return node.op_type not in PRODUCTS or (bool(readers) and all(held.name in work.names for held in readers))


def _scale(work: _Static, value: str) -> None:
    if value in work.scales:
        return
    low, high = min(work.ranges[value][0], 0.0), max(work.ranges[value][1], 0.0)
    scale, zero = work.scheme.activation_code(low, high)
    names = [fresh(work.taken, f"{value}.{kind}") for kind in ("scale", "zero")]
    work.tensors += [tensor(names[0], np.asarray(scale)), tensor(names[1], np.asarray(zero))]
    work.scales[value] = (names[0], names[1], float(scale))


def _pairs(work: _Static, source: str, value: str) -> list[NodeProto]:
    """The pair behind a value that is held in int8."""
    if value not in work.scales:
        return []
    held, result = fresh(work.taken, f"{value}.q"), work.entry(value)
    scale, zero, _ = work.scales[value]
    return [
        node_of("QuantizeLinear", (source, scale, zero), (held,), f"{value}/quantize"),
        node_of("DequantizeLinear", (held, scale, zero), (result,), f"{value}/dequantize"),
    ]


def _lowered(work: _Static, node: NodeProto) -> NodeProto:
    """A copy of the node that reads and makes what the pairs want."""
    made = NodeProto()
    made.CopyFrom(node)
    made.output[:] = [fresh(work.taken, f"{name}.float") if name in work.scales and name in work.owned else name for name in node.output]
    if node.name not in work.names:
        return made
    made.input[:] = [work.entry(name) for name in node.input]
    if node.op_type not in WEIGHTED:
        return made
    wide = _weight(work, node)
    made.input[1] = wide.name
    if len(node.input) > 2 and node.input[2]:
        made.input[2] = _bias(work, node, wide)
    return made


def _weight(work: _Static, node: NodeProto) -> Wide:
    """The dequantized weight, of one scale or one per channel. A weight read twice alike is stored once."""
    axis, bias = output_axis(node), work.graph.weight(node, 2)
    least = 0.0 if bias is None or work.scheme.wide_bias else np.abs(bias) / (BIAS_LIMIT * work.scales[node.input[0]][2])
    key = (node.input[1], str(axis)) if not np.any(least) else (node.input[1], node.name)
    if key not in work.weights:
        apart, weight = axis if work.per_channel else None, work.graph.held(node)
        codes, scale = work.scheme.weight_codes(weight, apart) or quantize_weight(weight, apart, work.largest, least)
        names = [fresh(work.taken, f"{node.input[1]}.{kind}") for kind in ("int8", "scale", "wide")]
        work.tensors += [tensor(names[0], codes), tensor(names[1], scale)]
        places: dict[str, Any] = {"axis": axis} if scale.ndim else {}
        work.weights[key] = Wide(names[2], names[1], scale, _multiplied(codes, scale, axis))
        zeros = _zeros(work, work.scheme.weight, scale)
        work.before.append(node_of("DequantizeLinear", (names[0], names[1], zeros), names[2:], names[2], **places))
    return work.weights[key]


def _multiplied(codes: Array, scale: Array, axis: int) -> Array:
    shaped = scale if not scale.ndim else scale.reshape([-1 if place == axis else 1 for place in range(codes.ndim)])
    return codes.astype(np.float32) * shaped


def _bias(work: _Static, node: NodeProto, wide: Wide) -> str:
    """Name of the dequantized bias: int32 at the product of both scales, which engines fold when they open the file."""
    bias, scale = work.graph.weight(node, 2), wide.scale
    if bias is None or (scale.ndim and scale.shape != bias.shape):
        return node.input[2]
    bias = _corrected(work, node, wide, bias)
    if work.scheme.wide_bias:
        name = fresh(work.taken, f"{node.input[2]}.corrected")
        work.tensors.append(tensor(name, bias.astype(np.float32)))
        return name
    value_scale, _, factor = work.scales[node.input[0]]
    product = scale * np.float32(factor)
    codes = np.clip(np.rint(bias / product.astype(np.float64)), -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32)
    names = [fresh(work.taken, f"{node.input[2]}.{kind}") for kind in ("int32", "scale", "wide")]
    work.tensors.append(tensor(names[0], codes))
    work.before += [
        node_of("Mul", (wide.scale_name, value_scale), (names[1],), names[1]),
        node_of("DequantizeLinear", (names[0], names[1], _zeros(work, np.int32, product)), names[2:], names[2], axis=0),
    ]
    return names[2]


def _corrected(work: _Static, node: NodeProto, wide: Wide, bias: Array) -> Array:
    """The bias without what the rounded weight adds to the result on average."""
    if not (means := work.means.get(node.input[0])):
        return bias
    error = added(node, work.graph.held(node), wide.values, means)
    return bias if error is None or error.shape != bias.shape else bias - error


def _zeros(work: _Static, dtype: type, scale: Array) -> str:
    """The zero points of a symmetric scale; those of one length are stored once."""
    key = (dtype, scale.size if scale.ndim else 0)
    if key not in work.zeros:
        work.zeros[key] = fresh(work.taken, f"zeros.{np.dtype(dtype).name}.{key[1]}")
        work.tensors.append(tensor(work.zeros[key], np.zeros(scale.shape, dtype)))
    return work.zeros[key]


def output_axis(node: NodeProto) -> int:
    """The axis of a weight that counts what a node puts out."""
    if node.op_type == "Conv":
        return 0
    return 0 if node.op_type == "Gemm" and attribute(node, "transB", 0) else 1


def quantize_weight(weight: Array, axis: int | None, limit: int = LARGEST, least: Array | float = 0.0) -> tuple[Array, Array]:
    """Symmetric int8 codes, and their float32 scale: one per index of `axis`, or one.

    Args:
        weight: float32.
        axis: that keeps its scales apart.
        limit: largest code.
        least: a scale is at least this, so that a bias at the product of scales fits into an int32.
    """
    reduced = None if axis is None else tuple(place for place in range(weight.ndim) if place != axis)
    largest = np.abs(weight).max(axis=reduced)
    floor = least if axis is not None else np.max(least)
    scale = np.asarray(np.maximum(np.where(largest > 0, largest / limit, 1.0), floor), np.float32)
    shaped = scale if axis is None else scale.reshape([-1 if place == axis else 1 for place in range(weight.ndim)])
    return np.clip(np.rint(weight / shaped), -limit, limit).astype(np.int8), scale
