"""Write ONNX models into an artifact: one file, or the weights beside it where one file would be too large."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto

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


def dtype_bytes(models: Iterable[ModelProto]) -> dict[str, int]:
    """ONNX dtype name -> bytes of weights in it, what an artifact says of the precision it achieved."""
    totals: dict[str, int] = {}
    for model in models:
        for tensor in model.graph.initializer:
            name = TensorProto.DataType.Name(tensor.data_type).lower()
            totals[name] = totals.get(name, 0) + tensor.ByteSize()
    return dict(sorted(totals.items()))
