"""Operators that move numbers without changing them, and shapes themselves, which are constants."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....sdk.core.signature import Array
from .call import Call
from .registry import operator


@operator("Shape")
def shape(call: Call, x: Tensor) -> Array:
    """int64, a constant."""
    return np.array(x.shape[slice(call.get("start", 0), call.get("end"))], np.int64)


@operator("Size")
def size(call: Call, x: Tensor) -> Array:
    """int64, a constant."""
    return np.array(prod(x.shape), np.int64)


@operator("Reshape", host=(1,))
def reshape(call: Call, x: Tensor, target: Array | None = None) -> Tensor:
    """0 keeps the dimension unless `allowzero`; one -1 is worked out."""
    wanted = call.ints("shape", target) or []
    if not call.get("allowzero", 0):
        wanted = [x.shape[axis] if number == 0 else number for axis, number in enumerate(wanted)]
    return x.reshape(wanted)


@operator("Flatten")
def flatten(call: Call, x: Tensor) -> Tensor:
    """(product before the axis, product from it on)."""
    axis = call.get("axis", 1)
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


@operator("Transpose")
def transpose(call: Call, x: Tensor) -> Tensor:
    """Axes in the order of `perm`, or reversed."""
    order = call.get("perm") or list(reversed(range(x.ndim)))
    return x if order == list(range(x.ndim)) else x.permute(order)


@operator("Squeeze", host=(1,))
def squeeze(call: Call, x: Tensor, axes: Array | None = None) -> Tensor:
    """Without the named axes, or all of size one."""
    named = call.ints("axes", axes)
    gone = {axis % x.ndim for axis in named} if named is not None else {a for a, n in enumerate(x.shape) if n == 1}
    if any(x.shape[axis] != 1 for axis in gone):
        raise call.refuse(f"axes {sorted(gone)} of shape {tuple(x.shape)} are not all of size 1")
    return x.reshape([n for axis, n in enumerate(x.shape) if axis not in gone])


@operator("Unsqueeze", host=(1,))
def unsqueeze(call: Call, x: Tensor, axes: Array | None = None) -> Tensor:
    """Axes count in the result."""
    named = call.ints("axes", axes) or []
    new = {axis % (x.ndim + len(named)) for axis in named}
    left = iter(x.shape)
    return x.reshape([1 if axis in new else next(left) for axis in range(x.ndim + len(named))])


@operator("Expand", host=(1,))
def expand(call: Call, x: Tensor, target: Array) -> Tensor:
    """Broadcast in both directions."""
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(int(n) for n in target)))


@operator("Tile", host=(1,))
def tile(call: Call, x: Tensor, repeats: Array) -> Tensor:
    """`repeats` times along each axis."""
    return x.repeat([int(n) for n in repeats])


@operator("Concat")
def concat(call: Call, *inputs: Tensor) -> Tensor:
    """Along `axis`; empty pieces are left out."""
    axis = call.get("axis", 1)
    filled = [x for x in inputs if x.shape[axis]] or list(inputs[:1])
    return filled[0] if len(filled) == 1 else torch.cat(filled, axis)


@operator("Split", host=(1,))
def split(call: Call, x: Tensor, sizes: Array | None = None) -> list[Tensor]:
    """By sizes, or into `num_outputs` pieces of which the last may be shorter."""
    axis, named = call.get("axis", 0), call.ints("split", sizes)
    if named is None:
        count, length = call.get("num_outputs", len(call.outputs)), x.shape[axis]
        piece = -(-length // count)
        named = [min(piece, length - piece * index) for index in range(count)]
    return list(torch.split(x, named, axis))


@operator("Slice", host=(1, 2, 3, 4))
def cut(
    call: Call, x: Tensor, starts: Array | None = None, ends: Array | None = None, axes: Array | None = None, steps: Array | None = None
) -> Tensor:
    """Starts, ends and steps as Python has them; attributes before opset 10."""
    begin, end = call.ints("starts", starts) or [], call.ints("ends", ends) or []
    along = call.ints("axes", axes) or list(range(len(begin)))
    step = call.ints("steps", steps) or [1] * len(begin)
    for axis, *bounds in zip(along, begin, end, step, strict=True):
        x = _cut(x, axis % x.ndim, *slice(*bounds).indices(x.shape[axis]))
    return x


def _cut(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    """`step` may be negative."""
    if step < 0:
        places = range(start, stop, step)
        length = x.shape[axis]
        return _cut(x.flip(axis), axis, length - 1 - start, length - 1 - start + len(places) * -step, -step)
    if (start, step) == (0, 1) and stop >= x.shape[axis]:
        return x
    index = [slice(None)] * axis + [slice(start, max(stop, start), step)]
    return x[tuple(index)]


@operator("Pad", host=(1, 2, 3))
def pad(call: Call, x: Tensor, pads: Array | None = None, value: Array | None = None, axes: Array | None = None) -> Tensor:
    """Negative numbers crop; modes other than constant read an index table along each axis."""
    given = call.ints("pads", pads) or []
    along = [axis % x.ndim for axis in (call.ints("axes", axes) or range(x.ndim))]
    number = call.get("value", 0.0) if value is None or value.size == 0 else value.reshape(()).item()
    before, after = dict.fromkeys(range(x.ndim), 0), dict.fromkeys(range(x.ndim), 0)
    before.update(zip(along, given[: len(along)], strict=True))
    after.update(zip(along, given[len(along) :], strict=True))
    mode = call.get("mode", "constant")
    if mode == "constant":
        return pad_constant(x, list(before.values()), list(after.values()), number)
    for axis in along:
        x = _pad_axis(call, x, axis, before[axis], after[axis], mode)
    return x


def pad_constant(x: Tensor, before: list[int], after: list[int], value: float) -> Tensor:
    """`x` with so many more on each side of each axis."""
    flat = [number for pair in zip(reversed(before), reversed(after), strict=True) for number in pair]
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    return functional.pad(x, flat, value=value) if any(flat) else x


def _pad_axis(call: Call, x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    length = x.shape[axis]
    numbers = np.arange(length)[max(-before, 0) : length - max(-after, 0)]
    table = np.pad(numbers, (max(before, 0), max(after, 0)), mode={"edge": "edge", "reflect": "reflect", "wrap": "wrap"}[mode])  # type: ignore[call-overload]
    return x.index_select(axis, call.tensor(table.astype(np.int64))) if before or after else x


@operator("DepthToSpace")
def depth_to_space(call: Call, x: Tensor) -> Tensor:
    """(n, c b b, h, w) -> (n, c, h b, w b), the block before or after the channel."""
    n, c, h, w = x.shape
    b = call.get("blocksize")
    if call.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, b)
    return x.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


@operator("SpaceToDepth")
def space_to_depth(call: Call, x: Tensor) -> Tensor:
    """(n, c, h b, w b) -> (n, b b c, h, w)."""
    n, c, h, w = x.shape
    b = call.get("blocksize")
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)
