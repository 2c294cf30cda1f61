"""Pools in one to three dimensions."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .call import Call
from .convolution import Window, pad_window, spatial, window
from .registry import operator

MAXIMUM = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


@operator("MaxPool")
def max_pool(call: Call, x: Tensor) -> Tensor:
    """Padding never wins; the second output, places, has no lowering."""
    if call.wants(1):
        raise call.refuse("its second output, the places of the maxima")
    where = pool_window(call, x)
    if not x.is_floating_point():
        lowest = torch.iinfo(x.dtype).min
        return _max(pad_window(x, where, lowest).to(torch.float64), _bare(where)).to(x.dtype)
    if where.even and all(2 * b <= k for b, k in zip(where.before, where.kernel, strict=True)):
        return _max(x, where)
    return _max(pad_window(x, where, float("-inf")), _bare(where))


def _max(x: Tensor, where: Window) -> Tensor:
    return MAXIMUM[x.ndim - 2](x, where.kernel, where.strides, where.before, where.dilations)


def _bare(where: Window) -> Window:
    zero = (0,) * len(where.kernel)
    return replace(where, before=zero, after=zero)


def pool_window(call: Call, x: Tensor) -> Window:
    """The pool's window; with `ceil_mode` the padding behind grows by what the last window needs."""
    where = window(call, x.shape[2:], call.get("kernel_shape"))
    if not call.get("ceil_mode", 0):
        return where
    rows = zip(x.shape[2:], where.before, where.after, where.reach, where.strides, strict=True)
    return replace(where, after=tuple(_grown(*row) for row in rows))


def _grown(size: int, before: int, after: int, reach: int, stride: int) -> int:
    count = -(-(size + before + after - reach) // stride) + 1
    if (count - 1) * stride >= size + before:  # a window that would start behind the data is no window
        count -= 1
    return max(after, (count - 1) * stride + reach - size - before)


@operator("AveragePool")
def average_pool(call: Call, x: Tensor) -> Tensor:
    """Sums of windows over how many numbers each counts, which is known beforehand."""
    where, inclusive = pool_window(call, x), bool(call.get("count_include_pad", 0))
    mean = _window_mean(pad_window(x, where, 0.0), where)
    share = _shares(call, tuple(x.shape[2:]), where, inclusive)
    return mean if bool(np.all(share == 1)) else mean * call.tensor(share.astype(np.float32)).to(x.dtype)


def _window_mean(x: Tensor, where: Window) -> Tensor:
    """Mean of each window of a padded tensor, its padding included."""
    if max(where.dilations) == 1:
        return AVERAGE[x.ndim - 2](x, where.kernel, where.strides)
    weight = torch.full((x.shape[1], 1, *where.kernel), 1 / prod(where.kernel), dtype=x.dtype)
    convolve = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[x.ndim - 2]
    return convolve(x, weight, None, where.strides, 0, where.dilations, x.shape[1])


def _shares(call: Call, sizes: tuple[int, ...], where: Window, inclusive: bool) -> np.ndarray:  # type: ignore[type-arg]
    """(1, 1, ...) full windows over counted numbers: kernel size / how many places of each window count."""
    counts = np.ones(1)
    behind = window(call, sizes, where.kernel).after  # what `ceil_mode` adds never counts
    for axis, size in enumerate(sizes):
        end = size + where.before[axis] + where.after[axis]
        inside = np.zeros(end)
        low, high = where.before[axis], where.before[axis] + size
        if inclusive:
            low, high = 0, high + behind[axis]
        inside[low:high] = 1
        starts = np.arange((end - where.reach[axis]) // where.strides[axis] + 1) * where.strides[axis]
        places = starts[:, None] + np.arange(where.kernel[axis]) * where.dilations[axis]
        counts = np.multiply.outer(counts, inside[places].sum(1))
    return prod(where.kernel) / counts.reshape(1, 1, *counts.shape[1:])


@operator("LpPool")
def lp_pool(call: Call, x: Tensor) -> Tensor:
    """(sum of |x|^p)^(1/p) of each window."""
    where, p = pool_window(call, x), call.get("p", 2)
    powers = pad_window(torch.abs(x) ** p, where, 0.0)
    return (_window_mean(powers, where) * prod(where.kernel)) ** (1 / p)


@operator("GlobalLpPool")
def global_lp(call: Call, x: Tensor) -> Tensor:
    """(sum of |x|^p)^(1/p) over the spatial axes."""
    p = call.get("p", 2)
    return torch.sum(torch.abs(x) ** p, spatial(x), keepdim=True) ** (1 / p)
