"""Comparisons, truth values, choices, bits and casts."""

from __future__ import annotations

import torch
from torch import Tensor

from .call import Call
from .dtypes import torch_dtype
from .registry import operator, simple

simple(
    {
        "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le,
        "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.ne, "Not": torch.logical_not,
        "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or, "BitwiseXor": torch.bitwise_xor,
        "BitwiseNot": torch.bitwise_not,
        "Where": torch.where,
    }
)  # fmt: skip


@operator("IsNaN")
def is_nan(call: Call, x: Tensor) -> Tensor:
    """The one number that differs from itself."""
    return torch.ne(x, x)


@operator("IsInf")
def is_inf(call: Call, x: Tensor) -> Tensor:
    """Either infinity, unless an attribute switches one off."""
    signs = (("detect_positive", float("inf")), ("detect_negative", float("-inf")))
    found = [torch.eq(x, value) for name, value in signs if call.get(name, 1)]
    return torch.logical_or(*found) if len(found) == 2 else found[0] if found else torch.zeros_like(x, dtype=torch.bool)


@operator("BitShift")
def bit_shift(call: Call, x: Tensor, by: Tensor) -> Tensor:
    """To the `direction`."""
    return torch.bitwise_left_shift(x, by) if call.get("direction") == "LEFT" else torch.bitwise_right_shift(x, by)


@operator("Cast")
def cast(call: Call, x: Tensor) -> Tensor:
    """Fractions are cut towards zero; for bool everything but zero is true, NaN too."""
    return to_dtype(x, torch_dtype(call.get("to")))


@operator("CastLike")
def cast_like(call: Call, x: Tensor, other: Tensor) -> Tensor:
    """To the type of the second input."""
    return to_dtype(x, other.dtype)


def to_dtype(x: Tensor, dtype: torch.dtype) -> Tensor:
    """`x` as `dtype`."""
    if dtype == x.dtype:
        return x
    return torch.ne(x, 0) if dtype == torch.bool else x.to(dtype)
