"""Write ONNX models into an artifact: one file, or the weights beside it where one file would be too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

EXTERNAL_BYTES = 1 << 30
"""From this size on, weights are external: protobuf ends at 2 GiB."""


def write_model(model: ModelProto, path: Path, external_bytes: int = EXTERNAL_BYTES) -> None:
    """Write `model` at `path`, with its weights in `<path stem>.weights` from `external_bytes` on. Deterministic."""
    if weight_bytes(model) < external_bytes:
        path.write_bytes(model.SerializeToString(deterministic=True))
        return
    onnx.save_model(
        model, str(path), save_as_external_data=True, all_tensors_to_one_file=True,
        location=f"{path.stem}.weights", size_threshold=1024,
    )  # fmt: skip


def weight_bytes(model: ModelProto) -> int:
    """Bytes of the initializers; `ByteSize` of the whole message fails beyond 2 GiB."""
    return sum(tensor.ByteSize() for tensor in model.graph.initializer)


def file_dtypes(paths: Iterable[Path]) -> dict[str, int]:
    """ONNX dtype name -> bytes of weights in it, read from the files themselves: what an artifact says of the precision it achieved.

    Initializers, constants of nodes and the arrays of tree operators count, in subgraphs too.
    """
    totals: dict[str, int] = {}
    for path in paths:
        for name, size in _weights(onnx.load(str(path), load_external_data=False).graph):
            totals[name] = totals.get(name, 0) + size
    return dict(sorted(totals.items()))


def _weights(graph: GraphProto) -> Iterator[tuple[str, int]]:
    """(dtype, bytes) of every tensor that a graph holds."""
    tensors = list(graph.initializer)
    for node in graph.node:
        for held in node.attribute:
            if held.type == AttributeProto.GRAPH:
                yield from _weights(held.g)
            elif held.type in (AttributeProto.FLOATS, AttributeProto.INTS):
                yield ("float", 4 * len(held.floats)) if held.floats else ("int64", 8 * len(held.ints))
            elif held.type == AttributeProto.TENSOR:
                tensors.append(held.t)
    yield from ((TensorProto.DataType.Name(tensor.data_type).lower(), _tensor_bytes(tensor)) for tensor in tensors)


def _tensor_bytes(tensor: TensorProto) -> int:
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    bits = 4 if TensorProto.DataType.Name(tensor.data_type) in ("INT4", "UINT4", "FLOAT4E2M1") else 8 * dtype.itemsize
    return (prod(tensor.dims) * bits + 7) // 8
