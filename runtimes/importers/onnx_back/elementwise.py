"""Operators that work number by number: arithmetic, roots and logarithms, activations."""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....sdk.core.signature import Array
from .call import Call, Constant, Value
from .registry import operator, simple

simple(
    {
        "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul,
        "Neg": torch.neg, "Abs": torch.abs, "Sign": torch.sign,
        "Ceil": torch.ceil, "Floor": torch.floor, "Round": torch.round,
        "Sqrt": torch.sqrt, "Reciprocal": torch.reciprocal, "Exp": torch.exp, "Log": torch.log, "Erf": torch.erf,
        "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Asin": torch.asin, "Acos": torch.acos, "Atan": torch.atan,
        "Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh, "Acosh": torch.acosh, "Atanh": torch.atanh,
        "Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "Relu": torch.relu,
        "Softplus": functional.softplus, "Softsign": functional.softsign, "Mish": functional.mish,
        "HardSwish": functional.hardswish,
    }
)  # fmt: skip


@operator("Identity")
def identity(call: Call, x: Tensor) -> Tensor:
    """As it is."""
    return x


@operator("PRelu")
def parametric_relu(call: Call, x: Tensor, slope: Tensor) -> Tensor:
    """x, or slope x below zero."""
    return torch.where(x < 0, x * slope, x)


@operator("Div")
def div(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """Integers are cut towards zero."""
    if x.is_floating_point():
        return torch.div(x, y)
    return whole_quotient(x, y, call.nonnegative[0] and call.nonnegative[1])


def whole_quotient(x: Tensor, y: Tensor, nonnegative: bool) -> Tensor:
    """x / y cut towards zero. Engines divide integers downwards; torch's own cut goes through float32 there."""
    if nonnegative or not x.dtype.is_signed:
        return torch.floor_divide(x, y)
    size = torch.floor_divide(torch.maximum(x, -x), torch.maximum(y, -y))
    return torch.where(torch.ne(x < 0, y < 0), -size, size)


@operator("Mod")
def mod(call: Call, x: Tensor, y: Tensor) -> Tensor:
    """The sign follows the divisor, or the dividend with `fmod`."""
    if not call.get("fmod", 0):
        return torch.remainder(x, y)
    return torch.fmod(x, y) if x.is_floating_point() else x - whole_quotient(x, y, False) * y


@operator("Pow", raw=(1,))
def power(call: Call, x: Tensor, exponent: Value) -> Tensor:
    """The result has x's type; one constant exponent stays a number, so that squares and roots are recognised."""
    if isinstance(exponent, Constant) and exponent.array.size == 1 and exponent.array.ndim <= x.ndim:
        number = exponent.array.reshape(()).item()
        whole = float(number).is_integer()
        if x.is_floating_point() or (whole and number >= 0):
            return torch.pow(x, int(number) if whole and not x.is_floating_point() else float(number))
    other = call.tensor(exponent)
    if not x.is_floating_point() and other.is_floating_point():
        return torch.pow(x.to(torch.float64), other.to(torch.float64)).to(x.dtype)
    return torch.pow(x, other.to(x.dtype))


@operator("Sum")
def total(call: Call, *inputs: Tensor) -> Tensor:
    """Broadcast sum of any number of tensors."""
    return reduce(torch.add, inputs)


@operator("Mean")
def mean(call: Call, *inputs: Tensor) -> Tensor:
    """Broadcast mean of any number of tensors."""
    return reduce(torch.add, inputs) / len(inputs)


@operator("Max")
def maximum(call: Call, *inputs: Tensor) -> Tensor:
    """NaN wins."""
    return reduce(torch.maximum, inputs)


@operator("Min")
def minimum(call: Call, *inputs: Tensor) -> Tensor:
    """NaN wins."""
    return reduce(torch.minimum, inputs)


@operator("Clip", raw=(1, 2))
def clip(call: Call, x: Tensor, low: Value | None = None, high: Value | None = None) -> Tensor:
    """Bounds come from attributes before opset 11; min above max gives max; NaN stays."""
    bounds = [_bound(call, "min", low), _bound(call, "max", high)]
    if all(bound is None or isinstance(bound, int | float) for bound in bounds):
        return x if bounds == [None, None] else torch.clamp(x, bounds[0], bounds[1])  # type: ignore[arg-type]
    low_, high_ = (torch.full_like(x[(0,) * x.ndim], b) if isinstance(b, int | float) else b for b in bounds)
    x = x if low_ is None else torch.maximum(x, low_)
    return x if high_ is None else torch.minimum(x, high_)


def _bound(call: Call, name: str, given: Value | None) -> float | Tensor | None:
    if given is None:
        return call.get(name)
    return given.array.reshape(()).item() if isinstance(given, Constant) else given


@operator("LeakyRelu")
def leaky_relu(call: Call, x: Tensor) -> Tensor:
    """x, or alpha x below zero."""
    return functional.leaky_relu(x, call.get("alpha", 0.01))


@operator("Elu")
def elu(call: Call, x: Tensor) -> Tensor:
    """x, or alpha (exp(x) - 1) below zero."""
    return functional.elu(x, call.get("alpha", 1.0))


@operator("Celu")
def celu(call: Call, x: Tensor) -> Tensor:
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""
    return functional.celu(x, call.get("alpha", 1.0))


@operator("Selu")
def selu(call: Call, x: Tensor) -> Tensor:
    """gamma times x, or gamma alpha (exp(x) - 1) below zero."""
    alpha, gamma = call.get("alpha", 1.67326319217681884765625), call.get("gamma", 1.05070102214813232421875)
    return gamma * functional.elu(x, alpha)


@operator("ThresholdedRelu")
def thresholded_relu(call: Call, x: Tensor) -> Tensor:
    """x where it is above alpha, else zero."""
    return torch.where(x > call.get("alpha", 1.0), x, torch.zeros_like(x))


@operator("HardSigmoid")
def hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    """alpha x + beta, held in [0, 1]."""
    return torch.clamp(x * call.get("alpha", 0.2) + call.get("beta", 0.5), 0.0, 1.0)


@operator("Swish")
def swish(call: Call, x: Tensor) -> Tensor:
    """x sigmoid(alpha x)."""
    alpha = call.get("alpha", 1.0)
    return x * torch.sigmoid(x if alpha == 1.0 else x * alpha)


@operator("Gelu")
def gelu(call: Call, x: Tensor) -> Tensor:
    """With erf, or with tanh where `approximate` says so."""
    return functional.gelu(x, approximate=call.get("approximate", "none"))


@operator("Shrink")
def shrink(call: Call, x: Tensor) -> Tensor:
    """Towards zero by `bias` outside [-lambd, lambd]; zero inside."""
    limit, bias = call.get("lambd", 0.5), call.get("bias", 0.0)
    inner = torch.where(x > limit, x - bias, torch.zeros_like(x))
    return torch.where(x < -limit, x + bias, inner)


@operator("Dropout", raw=(2,), host=(1,))
def dropout(call: Call, x: Tensor, ratio: Array | None = None, training: Value | None = None) -> list[Tensor | Array]:
    """Nothing is dropped when a model answers."""
    if training is not None and not (isinstance(training, Constant) and not training.array.any()):
        raise call.refuse("it is set to training")
    return [x, np.ones(tuple(x.shape), np.bool_)]
