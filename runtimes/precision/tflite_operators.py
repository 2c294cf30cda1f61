"""A `.tflite` file's operators that have constant weights, each with its fingerprint, dtype and neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ...sdk.core.plan import Precision
from ...sdk.core.signature import Array
from ..tflite.weights import open_model, operator_names
from .tflite_fingerprints import Fingerprint, fingerprint

_WEIGHTS: Mapping[str, tuple[int, int]] = {
    "CONV_2D": (1, 0), "DEPTHWISE_CONV_2D": (1, 3), "TRANSPOSE_CONV": (1, 0), "FULLY_CONNECTED": (1, 0), "EMBEDDING_LOOKUP": (1, 0),
    "GATHER": (0, 0),
}  # fmt: skip
"""Operator -> (input that is its weights, axis of their output channels)."""
_FLOAT32 = 0


@dataclass(frozen=True)
class Operator:
    """One operator of a file.

    Attributes:
        graph, place: where it stands.
        kind: its type.
        reads, makes: float tensors that it takes and gives; constants are not among them.
        print: of its constant float weights, where it has such.
    """

    graph: int
    place: int
    kind: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    print: Fingerprint | None = None


def operators(file: Path) -> list[list[Operator]]:
    """Per graph of the file, its operators in order."""
    model = open_model(file)
    names = operator_names(model)
    return [_of_graph(model, place, names) for place in range(model.SubgraphsLength())]


def _of_graph(model: Any, index: int, names: list[str]) -> list[Operator]:
    graph = model.Subgraphs(index)
    found: list[Operator] = []
    for place in range(graph.OperatorsLength()):
        held = graph.Operators(place)
        kind = names[held.OpcodeIndex()]
        reads = tuple(one for one in _places(held.InputsAsNumpy()) if _varies(model, graph.Tensors(one)))
        makes = tuple(one for one in _places(held.OutputsAsNumpy()) if _varies(model, graph.Tensors(one)))
        found.append(Operator(index, place, kind, reads, makes, _print(model, graph, held, kind, place)))
    return found


def _print(model: Any, graph: Any, operator: Any, kind: str, place: int) -> Fingerprint | None:
    for which, channels in _weights_at(kind):
        if which < operator.InputsLength() and operator.Inputs(which) >= 0:
            weights = constant(model, graph.Tensors(operator.Inputs(which)))
            if weights is not None and weights.ndim >= 2:
                return fingerprint(str(place), kind, weights, channels)
    return None


def _weights_at(kind: str) -> list[tuple[int, int]]:
    if kind == "BATCH_MATMUL":
        return [(1, -1), (0, -2)]
    return [_WEIGHTS[kind]] if kind in _WEIGHTS else []


def constant(model: Any, tensor: Any) -> Array | None:
    """The value of a constant float32 tensor, or None."""
    if tensor.Type() != _FLOAT32 or not _constant_bytes(model, tensor):
        return None
    buffer = model.Buffers(tensor.Buffer())
    beside = not buffer.DataLength()
    data = model._tab.Bytes[buffer.Offset() : buffer.Offset() + buffer.Size()] if beside else buffer.DataAsNumpy().tobytes()
    return np.frombuffer(data, np.float32).reshape(tensor.ShapeAsNumpy())


def _varies(model: Any, tensor: Any) -> bool:
    """A float tensor that is no constant."""
    return tensor.Type() == _FLOAT32 and not _constant_bytes(model, tensor)


def _constant_bytes(model: Any, tensor: Any) -> int:
    """Bytes of a constant, inside the flatbuffer or after it; 0 for what is computed."""
    buffer = model.Buffers(tensor.Buffer())
    return buffer.DataLength() or buffer.Size()


def _places(held: Any) -> list[int]:
    return [] if isinstance(held, int) else [int(one) for one in held if one >= 0]


def precisions(file: Path) -> dict[str, Precision]:
    """Name of an operator's first output -> the precision of its weights and activations, from the dtypes in the file."""
    model = open_model(file)
    names = operator_names(model)
    found: dict[str, Precision] = {}
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        held = [graph.Operators(place) for place in range(graph.OperatorsLength())]
        widened = {one.Outputs(0): one.Inputs(0) for one in held if names[one.OpcodeIndex()] == "DEQUANTIZE"}
        for one in held:
            for which, _ in _weights_at(names[one.OpcodeIndex()]):
                at = one.Inputs(which)
                weights = graph.Tensors(widened.get(at, at))
                if _constant_bytes(model, weights):
                    made = graph.Tensors(one.Outputs(0))
                    found[made.Name().decode()] = _precision(weights.Type(), made.Type())
                    break
    return found


def _precision(weights: int, made: int) -> Precision:
    if weights == schema.TensorType.INT8:
        return "int8-static" if made == schema.TensorType.INT8 else "int8-dynamic"
    if weights == schema.TensorType.INT4:
        return "int4-weights"
    return "float16" if weights == schema.TensorType.FLOAT16 else "float32"
