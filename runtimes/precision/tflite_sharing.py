"""A quantized `.tflite` file with equal vectors written once.

Every channel of every tensor of every signature has a scale and a zero point; zero points are int64, and all zero for weights. Written
apart they are a fifth of a quantized EfficientNet. The engine wants as many zero points as scales, and does not mind where they lie.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

from ...sdk.core.signature import Array

ALIGNED = 16
"""Bytes: where the schema wants the data of a buffer to begin."""
MOST_BYTES = 1 << 30
"""Data behind the flatbuffer, which larger files need, comes to lie inside."""


class _Sharing(flatbuffers.Builder):
    """A builder that returns the place of a vector that it has written before."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: Array) -> int:  # noqa: N802 - flatbuffers' own name
        """Offset of a vector with these elements."""
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            if x.dtype == np.uint8:
                self.Prep(ALIGNED, x.size)
            self._written[key] = int(super().CreateNumpyVector(x))
        return self._written[key]


def shared(model: bytes) -> bytes:
    """The same model, its scales and zero points shared; as it was where that is not smaller, or it is too large for one flatbuffer."""
    if len(model) > MOST_BYTES:
        return model
    held: Any = flatbuffer_utils.read_model_from_bytearray(model)
    for buffer in held.buffers:
        buffer.data = None if buffer.data is None else np.frombuffer(bytes(buffer.data), np.uint8)
    for graph in held.subgraphs:
        for tensor in graph.tensors:
            _as_arrays(tensor.quantization)
    builder = _Sharing(len(model))
    builder.Finish(held.Pack(builder), file_identifier=b"TFL3")
    made = bytes(builder.Output())
    return made if len(made) < len(model) else model


def _as_arrays(quantization: Any) -> None:
    """Lists become arrays, which a builder writes in one piece."""
    if quantization is not None:
        for name, dtype in (("scale", np.float32), ("zeroPoint", np.int64)):
            value = getattr(quantization, name)
            if value is not None:
                setattr(quantization, name, np.asarray(value, dtype))
