"""Normalisation and softmax."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .call import Call
from .convolution import spatial
from .registry import operator


@operator("BatchNormalization")
def batch_norm(call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """By the stored mean and variance."""
    if call.get("training_mode", 0):
        raise call.refuse("it is set to training")
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, call.get("epsilon", 1e-5))


@operator("InstanceNormalization")
def instance_norm(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Over the spatial axes of each channel."""
    shape = (-1, *[1] * (x.ndim - 2))
    return _standard(x, list(spatial(x)), call.get("epsilon", 1e-5)) * scale.reshape(shape) + bias.reshape(shape)


@operator("GroupNormalization")
def group_norm(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Over groups of channels; one scale a group before opset 21, one a channel since."""
    groups, channels = call.get("num_groups"), x.shape[1]
    if call.opset < 21:
        scale, bias = (value.reshape(-1, 1).expand(groups, channels // groups).reshape(-1) for value in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, call.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_norm(call: Call, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> list[Tensor]:
    """Over the axes from `axis` on; with the mean and the inverse deviation where they are read."""
    axis, epsilon = call.get("axis", -1) % x.ndim, call.get("epsilon", 1e-5)
    inner = list(x.shape[axis:])
    if prod(scale.shape) == prod(inner) and (bias is None or prod(bias.shape) == prod(inner)):
        y = functional.layer_norm(x, inner, scale.reshape(inner), None if bias is None else bias.reshape(inner), epsilon)
    else:
        y = functional.layer_norm(x, inner, None, None, epsilon) * scale
        y = y if bias is None else y + bias
    if not (call.wants(1) or call.wants(2)):
        return [y]
    axes = list(range(axis, x.ndim))
    mean = torch.mean(x, axes, keepdim=True)
    return [y, mean, torch.rsqrt(torch.mean((x - mean) ** 2, axes, keepdim=True) + epsilon)]


@operator("RMSNormalization")
def rms_norm(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    """Over the axes from `axis` on, by the root of the mean square."""
    axes = list(range(call.get("axis", -1) % x.ndim, x.ndim))
    return x * torch.rsqrt(torch.mean(x * x, axes, keepdim=True) + call.get("epsilon", 1e-5)) * scale


@operator("MeanVarianceNormalization")
def mean_variance(call: Call, x: Tensor) -> Tensor:
    """Zero mean, unit variance over `axes`."""
    axes = call.get("axes", [0, 2, 3])
    centred = x - torch.mean(x, axes, keepdim=True)
    deviation = torch.sqrt(torch.mean(x * x, axes, keepdim=True) - torch.mean(x, axes, keepdim=True) ** 2)
    return centred / (deviation + 1e-9)


@operator("LpNormalization")
def lp_norm(call: Call, x: Tensor) -> Tensor:
    """Length one along an axis; a row of zeros stays zero."""
    axis = call.get("axis", -1)
    squares = torch.sum(torch.abs(x) if call.get("p", 2) == 1 else x * x, axis, keepdim=True)
    length = squares if call.get("p", 2) == 1 else torch.sqrt(squares)
    return torch.where(length == 0, torch.zeros_like(x), x / length)


@operator("LRN")
def local_response(call: Call, x: Tensor) -> Tensor:
    """Across `size` neighbouring channels."""
    size = call.get("size")
    squares = functional.pad((x * x).reshape(x.shape[0], 1, x.shape[1], -1), [0, 0, (size - 1) // 2, size - 1 - (size - 1) // 2])
    sums = functional.avg_pool2d(squares, (size, 1), 1).reshape(x.shape)
    return x / (call.get("bias", 1.0) + call.get("alpha", 1e-4) * sums) ** call.get("beta", 0.75)


@operator("Softmax", "LogSoftmax")
def softmax(call: Call, x: Tensor) -> Tensor:
    """Along one axis; before opset 13 over everything from the axis on."""
    function = torch.softmax if call.type == "Softmax" else torch.log_softmax
    if call.opset >= 13:
        return function(x, call.get("axis", -1))
    axis = call.get("axis", 1) % x.ndim
    if prod(x.shape[axis + 1 :]) == 1:
        return function(x, axis)
    return function(x.reshape(prod(x.shape[:axis]), -1), 1).reshape(x.shape)


@operator("Hardmax")
def hardmax(call: Call, x: Tensor) -> Tensor:
    """One at the first maximum of an axis, zero elsewhere."""
    old = call.opset < 13
    axis = call.get("axis", 1 if old else -1) % x.ndim
    y = x.reshape(prod(x.shape[:axis]), -1) if old else x
    along = 1 if old else axis
    grid = np.arange(y.shape[along]).reshape([-1 if a == along else 1 for a in range(y.ndim)])
    return torch.eq(torch.argmax(y, along, True), call.tensor(grid)).to(x.dtype).reshape(x.shape)


def _standard(x: Tensor, axes: list[int], epsilon: float) -> Tensor:
    centred = x - torch.mean(x, axes, keepdim=True)
    return centred * torch.rsqrt(torch.mean(centred * centred, axes, keepdim=True) + epsilon)
