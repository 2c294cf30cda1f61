"""Element types of ONNX as torch has them."""

from __future__ import annotations

import torch
from onnx import TensorProto

from ....sdk.core.errors import UnsupportedError

TORCH: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BOOL: torch.bool,
}


def torch_dtype(element: int) -> torch.dtype:
    """The torch dtype of an ONNX element type. Raises UnsupportedError for strings, complex numbers and 4- and 8-bit floats."""
    try:
        return TORCH[element]
    except KeyError:
        name = TensorProto.DataType.Name(element) if element in TensorProto.DataType.values() else element
        raise UnsupportedError("An ONNX tensor has an element type without a torch dtype", got=name) from None
