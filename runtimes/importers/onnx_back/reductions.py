"""Reductions, places of extremes, sorting and running sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....sdk.core.signature import Array
from .call import Call
from .registry import operator

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.is_floating_point():
        return torch.mean(x, axes, keepdim=keep)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    return torch.div(torch.sum(x, axes, keepdim=keep, dtype=x.dtype), count, rounding_mode="trunc").to(x.dtype)


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, axes, keepdim=keep, dtype=x.dtype)


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep, dtype=x.dtype)
    return x


def _extreme(function: Callable[..., Tensor]) -> Reduction:
    def reduce(x: Tensor, axes: list[int], keep: bool) -> Tensor:
        found = function(x.to(torch.uint8) if x.dtype == torch.bool else x, axes, keepdim=keep)
        return found.to(torch.bool) if x.dtype == torch.bool else found

    return reduce


def _root(x: Tensor) -> Tensor:
    return torch.sqrt(x) if x.is_floating_point() else torch.sqrt(x.to(torch.float64)).to(x.dtype)


def _log(x: Tensor) -> Tensor:
    return torch.log(x) if x.is_floating_point() else torch.log(x.to(torch.float64)).to(x.dtype)


REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceMax": _extreme(torch.amax),
    "ReduceMin": _extreme(torch.amin),
    "ReduceProd": _product,
    "ReduceL1": lambda x, axes, keep: _sum(torch.abs(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: _root(_sum(x * x, axes, keep)),
    "ReduceSumSquare": lambda x, axes, keep: _sum(x * x, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: _log(_sum(x, axes, keep)),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keep),
}


def _reducer(function: Reduction) -> Callable[..., Tensor]:
    def reduce(call: Call, x: Tensor, axes: Array | None = None) -> Tensor:
        named = call.ints("axes", axes)
        if not named and call.get("noop_with_empty_axes", 0):
            return function(x, [], True) if x.ndim == 0 else function(x.unsqueeze(0), [0], False)
        along = sorted({axis % x.ndim for axis in named}) if named else list(range(x.ndim))
        return function(x, along, bool(call.get("keepdims", 1))) if along else function(x.unsqueeze(0), [0], False)

    return reduce


for _name, _function in REDUCTIONS.items():
    operator(_name, host=(1,))(_reducer(_function))


@operator("ArgMax", "ArgMin")
def place_of_extreme(call: Call, x: Tensor) -> Tensor:
    """int64; the first of equals, or the last with `select_last_index`."""
    axis, keep = call.get("axis", 0) % x.ndim, bool(call.get("keepdims", 1))
    find = torch.argmax if call.type == "ArgMax" else torch.argmin
    if not call.get("select_last_index", 0):
        return find(x, axis, keep)
    return x.shape[axis] - 1 - find(x.flip(axis), axis, keep)


@operator("TopK", host=(1,))
def top(call: Call, x: Tensor, k: Array | None = None) -> list[Tensor]:
    """Values and int64 places, the lower place first among equals."""
    axis, largest = call.get("axis", -1) % x.ndim, bool(call.get("largest", 1))
    count = (call.ints("k", k) or [1])[0]
    if torch.compiler.is_exporting() and x.dtype.is_signed:
        return _traced_top(x, count, axis, largest)
    values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
    return [values.narrow(axis, 0, count), places.narrow(axis, 0, count)]


def _traced_top(x: Tensor, count: int, axis: int, largest: bool) -> list[Tensor]:
    """The operator that engines have, along the last axis; they keep the order of equals, which torch's own leaves open."""
    values, places = torch.topk((x if largest else -x).movedim(axis, -1), count)
    return [(values if largest else -values).movedim(-1, axis), places.movedim(-1, axis)]


@operator("CumSum", host=(1,))
def running_sum(call: Call, x: Tensor, axis: Array) -> Tensor:
    """From either end; `exclusive` leaves the number itself out."""
    along = int(axis.reshape(())) % x.ndim
    x = x.flip(along) if call.get("reverse", 0) else x
    if call.get("exclusive", 0):
        first = torch.zeros_like(x.narrow(along, 0, 1))
        x = torch.cat([first, x.narrow(along, 0, x.shape[along] - 1)], along)
    y = torch.cumsum(x, along, dtype=x.dtype)
    return y.flip(along) if call.get("reverse", 0) else y
