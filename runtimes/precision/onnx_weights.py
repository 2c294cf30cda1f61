"""The classes that touch weights alone, on ONNX: float16, int8-dynamic, int4-weights.

- float16: weights at half the size, cast back where they are read; engines fold the cast when they open the file, so speed is that
  of float32.
- int8-dynamic: matrix products in int8, activations quantized per call by what that call holds: a batch-mate changes the scale.
- int4-weights: MatMulNBits in blocks of 32, for size.
- The rows of an embedding are int8 with a scale per row in both integer classes: they are looked up, not computed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from ...sdk.core.plan import Precision
from ...sdk.core.signature import Array
from .onnx_nodes import Graph, attribute, fresh, node_of, rebuilt, stored_place, tensor, value_names
from .onnx_static import LARGEST, output_axis, quantize_weight

BLOCK = 32
_MICROSOFT = "com.microsoft"
_INT8_COMPUTE = 4
"""`accuracy_level` of MatMulNBits: activations in int8, the fastest on CPUs."""


@dataclass
class _Weights:
    """One lowering under way."""

    graph: Graph
    per_channel: bool
    taken: set[str]
    largest: int = LARGEST
    tensors: list[TensorProto] = field(default_factory=list[TensorProto])
    made: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict[tuple[str, ...], "tuple[str, ...]"])
    """What was made of a value or weight already, so that it is made once."""

    def keep(self, value: Array, name: str) -> str:
        """Add an initializer; its name."""
        held = fresh(self.taken, name)
        self.tensors.append(tensor(held, value))
        return held


def lower_weights(graph: Graph, nodes: Mapping[str, Precision], per_channel: bool, largest: int = LARGEST) -> ModelProto:
    """The model with these nodes in their class; int8-static ones are left to `onnx_static` but for embeddings.

    Args:
        graph: of the float model.
        nodes: name -> class.
        per_channel: a scale per output channel of a weight.
        largest: code of a weight that is multiplied in int8.
    """
    work = _Weights(graph, per_channel, value_names(graph.model), largest)
    lowered: list[NodeProto] = []
    for node in graph.nodes:
        lowered += _lowered(work, node, nodes.get(node.name, "float32"))
    model = rebuilt(graph.model, lowered, work.tensors)
    if any(node.domain == _MICROSOFT for node in lowered) and all(held.domain != _MICROSOFT for held in model.opset_import):
        model.opset_import.add(domain=_MICROSOFT, version=1)
    return model


def _lowered(work: _Weights, node: NodeProto, precision: Precision) -> list[NodeProto]:
    if precision == "float16":
        return _half(work, node)
    if precision == "float32":
        return [node]
    if node.op_type == "Gather":
        return _embedding(work, node)
    if precision == "int8-dynamic":
        return _dynamic(work, node)
    return _blocks(work, node) if precision == "int4-weights" else [node]


def _half(work: _Weights, node: NodeProto) -> list[NodeProto]:
    place = stored_place(work.graph, node) or 0
    name, weight = node.input[place], work.graph.held(node, place)
    made, casts = NodeProto(), list[NodeProto]()
    made.CopyFrom(node)
    key = (name, "half")
    if key not in work.made:
        largest = np.finfo(np.float16).max
        half = work.keep(np.clip(weight, -largest, largest).astype(np.float16), f"{name}.float16")
        work.made[key] = (fresh(work.taken, f"{name}.wide"),)
        casts.append(node_of("Cast", (half,), work.made[key], f"{name}/cast", to=TensorProto.FLOAT))
    made.input[place] = work.made[key][0]
    return [*casts, made]


def _embedding(work: _Weights, node: NodeProto) -> list[NodeProto]:
    """Rows of int8 codes, looked up and scaled."""
    name, table = node.input[0], work.graph.held(node, 0)
    if (name, "rows") not in work.made:
        codes, scale = quantize_weight(table, 0)
        work.made[name, "rows"] = (work.keep(codes, f"{name}.int8"), work.keep(scale.reshape(-1, 1), f"{name}.scale"))
    codes_name, scale_name = work.made[name, "rows"]
    rows, wide, scales = (fresh(work.taken, f"{node.output[0]}.{kind}") for kind in ("rows", "wide", "scales"))
    return [
        node_of("Gather", (codes_name, node.input[1]), (rows,), f"{node.name}/rows", axis=0),
        node_of("Gather", (scale_name, node.input[1]), (scales,), f"{node.name}/scales", axis=0),
        node_of("Cast", (rows,), (wide,), f"{node.name}/wide", to=TensorProto.FLOAT),
        node_of("Mul", (wide, scales), node.output, node.name),
    ]


def _dynamic(work: _Weights, node: NodeProto) -> list[NodeProto]:
    """x (..., K) @ W (K, N): quantize x, multiply in int8, scale back, add the bias."""
    codes, scale, zero = _columns(work, node)
    nodes, (held, held_scale, held_zero) = _quantized(work, node.input[0])
    bias = node.input[2] if len(node.input) > 2 else ""
    whole, wide, factor = (fresh(work.taken, f"{node.output[0]}.{kind}") for kind in ("int32", "wide", "factor"))
    product = fresh(work.taken, f"{node.output[0]}.product") if bias else node.output[0]
    nodes += [
        node_of("MatMulInteger", (held, codes, held_zero, zero), (whole,), f"{node.name}/product"),
        node_of("Cast", (whole,), (wide,), f"{node.name}/wide", to=TensorProto.FLOAT),
        node_of("Mul", (held_scale, scale), (factor,), f"{node.name}/factor"),
        node_of("Mul", (wide, factor), (product,), f"{node.name}/scaled" if bias else node.name),
    ]
    return [*nodes, node_of("Add", (product, bias), node.output, node.name)] if bias else nodes


def _quantized(work: _Weights, value: str) -> tuple[list[NodeProto], tuple[str, str, str]]:
    if (value, "dynamic") in work.made:
        held, scale, zero = work.made[value, "dynamic"]
        return [], (held, scale, zero)
    held, scale, zero = (fresh(work.taken, f"{value}.{kind}") for kind in ("int8", "scale", "zero"))
    work.made[value, "dynamic"] = (held, scale, zero)
    return [node_of("DynamicQuantizeLinear", (value,), (held, scale, zero), f"{value}/quantize")], (held, scale, zero)


def _columns(work: _Weights, node: NodeProto) -> tuple[str, str, str]:
    """Names of a product's weight (K, N) as int8, its scale and its zero point."""
    key = (node.input[1], str(output_axis(node)), "columns")
    if key not in work.made:
        name, weight = node.input[1], _matrix(work, node)
        codes, scale = quantize_weight(weight, 1 if work.per_channel else None, work.largest)
        zero = np.zeros(scale.shape, np.int8)
        made = (work.keep(codes, f"{name}.int8"), work.keep(scale, f"{name}.scale"), work.keep(zero, f"{name}.zero"))
        work.made[key] = made
    codes, scale, zero = work.made[key]
    return codes, scale, zero


def _blocks(work: _Weights, node: NodeProto) -> list[NodeProto]:
    weight = _matrix(work, node)
    depth, columns = weight.shape
    key = (node.input[1], str(output_axis(node)), "blocks")
    if key not in work.made:
        packed, scale = pack_blocks(weight)
        work.made[key] = (work.keep(packed, f"{node.input[1]}.int4"), work.keep(scale, f"{node.input[1]}.scale"))
    bias = node.input[2] if len(node.input) > 2 else ""
    product = fresh(work.taken, f"{node.output[0]}.product") if bias else node.output[0]
    made = node_of("MatMulNBits", (node.input[0], *work.made[key]), (product,), f"{node.name}/product" if bias else node.name, _MICROSOFT,
                   K=depth, N=columns, bits=4, block_size=BLOCK, accuracy_level=_INT8_COMPUTE)  # fmt: skip
    return [made, node_of("Add", (product, bias), node.output, node.name)] if bias else [made]


def pack_blocks(weight: Array) -> tuple[Array, Array]:
    """(K, N) float32 -> uint8 (N, K / 32, 16) of two codes a byte, low one first, and float32 (N * K / 32) scales.

    Codes are around 8; the value of largest size in a block gets the code 0 or, by its sign, lies at -8 times the scale.
    """
    depth, columns = weight.shape
    blocks = -(-depth // BLOCK)
    padded = np.zeros((blocks * BLOCK, columns), np.float32)
    padded[:depth] = weight
    held = padded.T.reshape(columns, blocks, BLOCK)
    furthest = np.take_along_axis(held, np.abs(held).argmax(axis=2)[..., None], axis=2)
    scale = np.where(furthest == 0, 1.0, furthest / -8).astype(np.float32)
    codes = np.clip(np.rint(held / scale) + 8, 0, 15).astype(np.uint8)
    return codes[..., 0::2] | (codes[..., 1::2] << 4), scale.reshape(-1)


def _matrix(work: _Weights, node: NodeProto) -> Array:
    """A product's weight as (K, N)."""
    weight = work.graph.held(node)
    return np.ascontiguousarray(weight.T) if node.op_type == "Gemm" and attribute(node, "transB", 0) else weight
