"""Signature dtypes and torch's."""

from __future__ import annotations

import torch

from ...sdk.core.signature import DType

TORCH: dict[DType, torch.dtype] = {
    "f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "i8": torch.int8,
    "u8": torch.uint8, "i32": torch.int32, "i64": torch.int64, "bool": torch.bool,
}  # fmt: skip
DTYPE_OF: dict[torch.dtype, DType] = {dtype: name for name, dtype in TORCH.items()}
DTYPE_OF[torch.bfloat16], DTYPE_OF[torch.int16] = "f32", "i32"
