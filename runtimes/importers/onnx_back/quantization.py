"""Quantised operators in float32: the same rounding and saturation, no integer arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor

from .call import Call
from .convolution import convolved
from .dtypes import torch_dtype
from .registry import operator

QUANTIZED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv",
)  # fmt: skip


def _shaped(call: Call, value: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point so that it meets its axis of x."""
    if call.get("block_size", 0):
        raise call.refuse("scales of blocks")
    if value.ndim == 0 or (value.ndim == 1 and value.shape[0] == 1 and x.shape[call.get("axis", 1) % max(x.ndim, 1)] != 1):
        return value.reshape(())
    axis = call.get("axis", 1) % x.ndim
    return value.reshape([-1 if a == axis else 1 for a in range(x.ndim)])


def quantize(x: Tensor, scale: Tensor, zero: Tensor | None, dtype: torch.dtype) -> Tensor:
    """round half to even(x / scale) + zero, saturated."""
    limits = torch.iinfo(dtype)
    places = torch.round(x.to(torch.float32) / scale.to(torch.float32))
    return torch.clamp(places if zero is None else places + zero.to(torch.float32), limits.min, limits.max).to(dtype)


def dequantize(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """(x - zero) scale; the differences are exact in float32."""
    numbers = x.to(torch.float32)
    return (numbers if zero is None else numbers - zero.to(torch.float32)) * scale.to(torch.float32)


@operator("QuantizeLinear")
def quantize_linear(call: Call, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """By the type of the zero point, `output_dtype`, or uint8."""
    dtype = zero.dtype if zero is not None else torch_dtype(call.get("output_dtype", 0) or 2)
    return quantize(x, _shaped(call, scale, x), None if zero is None else _shaped(call, zero, x), dtype)


@operator("DequantizeLinear")
def dequantize_linear(call: Call, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """Back to the type of the scale."""
    return dequantize(x, _shaped(call, scale, x), None if zero is None else _shaped(call, zero, x)).to(scale.dtype)


@operator("DynamicQuantizeLinear")
def dynamic_quantize(call: Call, x: Tensor) -> list[Tensor]:
    """uint8 over the range of x and zero; with scale and zero point."""
    low, high = torch.clamp(torch.amin(x), max=0.0), torch.clamp(torch.amax(x), min=0.0)
    scale = (high - low) / 255
    zero = torch.round(torch.clamp(-low / scale, 0, 255)).to(torch.uint8)
    return [quantize(x, scale, zero, torch.uint8), scale, zero]


@operator("MatMulInteger")
def matmul_integer(call: Call, x: Tensor, y: Tensor, x_zero: Tensor | None = None, y_zero: Tensor | None = None) -> Tensor:
    """int32, exact while the sums stay below 2^24."""
    zero = None if x_zero is None or x_zero.ndim == 0 else x_zero.reshape(-1, 1)
    left = _centred(x, x_zero if zero is None else zero)
    return torch.matmul(left, _centred(y, y_zero)).to(torch.int32)


@operator("ConvInteger")
def conv_integer(call: Call, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, w_zero: Tensor | None = None) -> Tensor:
    """int32, exact while the sums stay below 2^24."""
    zero = None if w_zero is None else w_zero.reshape(-1, *[1] * (weight.ndim - 1))
    return torch.round(convolved(call, _centred(x, x_zero), _centred(weight, zero))).to(torch.int32)


@operator("QLinearMatMul")
def qlinear_matmul(
    call: Call, x: Tensor, x_scale: Tensor, x_zero: Tensor, y: Tensor, y_scale: Tensor, y_zero: Tensor, scale: Tensor, zero: Tensor
) -> Tensor:
    """Centred product, scaled and quantised again."""
    product = torch.matmul(_centred(x, x_zero), _centred(y, y_zero))
    return quantize(product * (x_scale * y_scale), scale, zero, zero.dtype)


@operator("QLinearConv")
def qlinear_conv(
    call: Call, x: Tensor, x_scale: Tensor, x_zero: Tensor, weight: Tensor, w_scale: Tensor, w_zero: Tensor, scale: Tensor,
    zero: Tensor, bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Centred convolution, scaled and quantised again; bias is in steps of x_scale * w_scale."""
    each = (-1, *[1] * (weight.ndim - 1))
    sums = convolved(call, _centred(x, x_zero), _centred(weight, w_zero.reshape(each)), None if bias is None else bias.to(torch.float32))
    return quantize(sums * (x_scale * w_scale).reshape(each[:-1]), scale, zero, zero.dtype)


def _centred(x: Tensor, zero: Tensor | None) -> Tensor:
    return x.to(torch.float32) if zero is None else x.to(torch.float32) - zero.to(torch.float32)
