"""Convolutions in one to three dimensions, and the padding that pools share with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....sdk.core.signature import Array
from .call import Call, Constant, Value
from .registry import operator
from .shapes import pad_constant

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@dataclass(frozen=True)
class Window:
    """How a window moves over the spatial axes; one number an axis in each field."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def even(self) -> bool:
        """Whether both sides are padded alike."""
        return self.before == self.after

    @property
    def reach(self) -> tuple[int, ...]:
        """How many places a window spans."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def window(call: Call, sizes: Sequence[int], kernel: Sequence[int]) -> Window:
    """The window of a convolution or pool over spatial `sizes`, automatic padding worked out."""
    rank = len(sizes)
    strides = tuple(call.get("strides") or [1] * rank)
    dilations = tuple(call.get("dilations") or [1] * rank)
    bare = Window(tuple(kernel), strides, dilations, (0,) * rank, (0,) * rank)
    before, after = _pads(call, sizes, bare)
    return Window(bare.kernel, strides, dilations, before, after)


def _pads(call: Call, sizes: Sequence[int], bare: Window) -> tuple[tuple[int, ...], tuple[int, ...]]:
    auto, rank = call.get("auto_pad", "NOTSET"), len(sizes)
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        pads = [0] * (2 * rank) if auto == "VALID" else call.get("pads") or [0] * (2 * rank)
        return tuple(pads[:rank]), tuple(pads[rank:])
    steps = zip(sizes, bare.strides, bare.reach, strict=True)
    totals = [max((-(-size // stride) - 1) * stride + reach - size, 0) for size, stride, reach in steps]
    small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def pad_window(x: Tensor, where: Window, value: float) -> Tensor:
    """`x` (batch, channels, ...) padded as the window says."""
    return pad_constant(x, [0, 0, *where.before], [0, 0, *where.after], value)


@operator("Conv")
def conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(batch, channels, ...) with weight (out, in / groups, ...)."""
    return convolved(call, x, weight, bias)


def convolved(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution that the node's attributes describe; uneven padding becomes a padding of its own."""
    where = window(call, x.shape[2:], weight.shape[2:])
    if not where.even:
        x = pad_window(x, where, 0.0)
    padding = where.before if where.even else (0,) * len(where.before)
    return CONV[x.ndim - 2](x, weight, bias, where.strides, padding, where.dilations, call.get("group", 1))


@operator("ConvTranspose", raw=(1,))
def conv_transpose(call: Call, x: Tensor, kernel: Value, bias: Tensor | None = None) -> Tensor:
    """(batch, channels, ...) with weight (in, out / groups, ...); padding cuts off the full result."""
    rank = x.ndim - 2
    strides, dilations = (tuple(call.get(name) or [1] * rank) for name in ("strides", "dilations"))
    extra, groups = tuple(call.get("output_padding") or [0] * rank), call.get("group", 1)
    if max(strides) > 1 and max(dilations) > 1 and isinstance(kernel, Constant):
        kernel, dilations = Constant(spread(kernel.array, dilations)), (1,) * rank
    weight = call.tensor(kernel)
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    full = [(n - 1) * s + r for n, s, r in zip(x.shape[2:], strides, reach, strict=True)]
    before, after = _transposed_pads(call, x.shape[2:], strides, full, extra)
    whole = before == after and not any(extra) and all(r - 2 * b == s for b, r, s in zip(before, reach, strides, strict=True))
    if whole:  # the padding that engines call "same"
        return TRANSPOSED[rank](x, weight, bias, strides, before, 0, groups, dilations)
    cut = [e - a for a, e in zip(after, extra, strict=True)]
    if not any(before) and not any(cut):
        return TRANSPOSED[rank](x, weight, bias, strides, 0, 0, groups, dilations)
    y = TRANSPOSED[rank](x, weight, None, strides, 0, 0, groups, dilations)
    y = pad_constant(y, [0, 0, *(-b for b in before)], [0, 0, *cut], 0.0)
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def spread(kernel: Array, dilations: Sequence[int]) -> Array:
    """A kernel (in, out, ...) with its dilation written out as zeros, for engines that take one or a stride, not both."""
    sizes = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilations, strict=True)]
    wide = np.zeros((*kernel.shape[:2], *sizes), kernel.dtype)
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilations))] = kernel
    return wide


def _transposed_pads(
    call: Call, sizes: Sequence[int], strides: Sequence[int], full: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How much is cut off before and after."""
    rank, auto = len(sizes), call.get("auto_pad", "NOTSET")
    wanted = call.get("output_shape")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(sizes, strides, strict=True)]
    if wanted is None:
        pads = [0] * (2 * rank) if auto == "VALID" else call.get("pads") or [0] * (2 * rank)
        return tuple(pads[:rank]), tuple(pads[rank:])
    totals = [f + e - w for f, e, w in zip(full, extra, wanted[-rank:], strict=True)]
    before = tuple(max(t, 0) // 2 if auto == "SAME_UPPER" else (max(t, 0) + 1) // 2 for t in totals)
    return before, tuple(t - b for t, b in zip(totals, before, strict=True))


def spatial(x: Tensor) -> tuple[int, ...]:
    """The spatial axes of (batch, channels, ...)."""
    return tuple(range(2, x.ndim))


@operator("GlobalAveragePool")
def global_average(call: Call, x: Tensor) -> Tensor:
    """Mean over the spatial axes, kept as ones."""
    return torch.mean(x, spatial(x), keepdim=True)


@operator("GlobalMaxPool")
def global_maximum(call: Call, x: Tensor) -> Tensor:
    """Maximum over the spatial axes, kept as ones."""
    return torch.amax(x, spatial(x), keepdim=True)
