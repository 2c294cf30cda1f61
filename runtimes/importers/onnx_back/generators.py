"""Operators that make numbers from shapes: constants here, because every dimension is static."""

from __future__ import annotations

import numpy as np
import torch
from onnx import helper
from torch import Tensor

from ....sdk.core.signature import Array
from .call import Call
from .registry import operator


@operator("Constant")
def constant(call: Call) -> Array:
    """Whatever attribute holds the value."""
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    for name, kind in kinds.items():
        if name in call.attributes:
            return np.array(call.get(name), kind)
    if "value" not in call.attributes:
        raise call.refuse(f"the value is given as {', '.join(call.attributes)}")
    return call.get("value")


@operator("ConstantOfShape", host=(0,))
def constant_of_shape(call: Call, shape: Array) -> Array:
    """One number everywhere; float32 zero without `value`."""
    value = call.get("value", np.zeros(1, np.float32))
    return np.full(tuple(int(n) for n in shape), value.reshape(-1)[0], value.dtype)


@operator("Range", host=(0, 1, 2))
def span(call: Call, start: Array, limit: Array, delta: Array) -> Array:
    """start, start + delta, ... below limit."""
    count = max(int(np.ceil((limit.item() - start.item()) / delta.item())), 0)
    return (start.reshape(()) + np.arange(count).astype(start.dtype) * delta.reshape(())).astype(start.dtype)


@operator("NonZero", host=(0,))
def non_zero(call: Call, x: Array) -> Array:
    """Places of a constant; how many a tensor has depends on the data."""
    return np.array(np.nonzero(x), np.int64)


@operator("EyeLike")
def eye_like(call: Call, x: Tensor) -> Array:
    """Ones on diagonal `k`."""
    same = torch.empty(0, dtype=x.dtype).numpy().dtype
    dtype = helper.tensor_dtype_to_np_dtype(call.get("dtype")) if "dtype" in call.attributes else same
    return np.eye(x.shape[0], x.shape[1], call.get("k", 0)).astype(dtype)


@operator("Trilu", host=(1,))
def triangle(call: Call, x: Tensor, k: Array | None = None) -> Tensor:
    """The upper or lower triangle, zero elsewhere."""
    keep = np.ones(tuple(x.shape[-2:]), np.bool_)
    offset = 0 if k is None else int(k.reshape(()))
    mask = np.triu(keep, offset) if call.get("upper", 1) else np.tril(keep, offset)
    return torch.where(call.tensor(mask), x, torch.zeros_like(x))


@operator("OneHot", host=(1,), raw=(2,))
def one_hot(call: Call, indices: Tensor, depth: Array, values: object) -> Tensor:
    """`values` are (off, on); an index outside [-depth, depth) lights nothing."""
    count, pair = int(depth.reshape(-1)[0]), call.tensor(values)  # type: ignore[arg-type]
    axis = call.get("axis", -1) % (indices.ndim + 1)
    grid = np.arange(count).reshape([count if a == axis else 1 for a in range(indices.ndim + 1)])
    where = indices.unsqueeze(axis).to(torch.int64)
    lit = torch.eq(torch.where(where < 0, where + count, where), call.tensor(grid.astype(np.int64)))
    return torch.where(lit, pair[1], pair[0])
