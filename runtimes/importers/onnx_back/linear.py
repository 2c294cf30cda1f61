"""Matrix products; constant weights become `linear`, which every engine runs fastest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .call import Call, Constant, Value
from .registry import operator


@operator("MatMul", raw=(1,))
def matmul(call: Call, x: Tensor, y: Value) -> Tensor:
    """Batched product; a constant matrix is a linear layer."""
    if isinstance(y, Constant) and y.array.ndim == 2 and x.ndim >= 2 and x.is_floating_point():
        return functional.linear(x, call.tensor(np.ascontiguousarray(y.array.T)))
    return torch.matmul(x, call.tensor(y))


@operator("Gemm", raw=(1, 2))
def gemm(call: Call, x: Tensor, y: Value, bias: Value | None = None) -> Tensor:
    """alpha A B + beta C, either matrix transposed."""
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    x = x.t() if call.get("transA", 0) else x
    scaled = None if bias is None or beta == 0 else _scaled(call, bias, beta)
    if not isinstance(y, Constant) or not x.is_floating_point():
        product = torch.matmul(x, call.tensor(y).t() if call.get("transB", 0) else call.tensor(y))
        product = product if alpha == 1 else product * alpha
        return product if scaled is None else product + scaled
    weight = _scaled(call, Constant(y.array if call.get("transB", 0) else np.ascontiguousarray(y.array.T)), alpha)
    if scaled is None or tuple(scaled.shape) == (weight.shape[0],):
        return functional.linear(x, weight, scaled)
    return functional.linear(x, weight) + scaled


def _scaled(call: Call, value: Value, factor: float) -> Tensor:
    if factor == 1:
        return call.tensor(value)
    if isinstance(value, Tensor):
        return value * factor
    return call.tensor((value.array * value.array.dtype.type(factor)).astype(value.array.dtype))


@operator("Einsum")
def einsum(call: Call, *inputs: Tensor) -> Tensor:
    """As numpy writes it."""
    return torch.einsum(call.get("equation").replace(" ", ""), *inputs)
