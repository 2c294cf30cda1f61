"""Gathers and scatters. Places become one flat index, which engines read as a plain lookup; constant ones are worked out here."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....sdk.core.signature import Array
from .call import Call, Constant, Value
from .registry import operator


def counted(call: Call, index: Value, size: int, position: int = 1) -> Tensor:
    """int64 places from the front; negative ones count from the back."""
    if isinstance(index, Constant):
        numbers = index.array.astype(np.int64)
        return call.tensor(Constant(np.where(numbers < 0, numbers + size, numbers)))
    wide = index.to(torch.int64)
    return wide if call.nonnegative[position] else torch.where(wide < 0, wide + size, wide)


@operator("Gather", raw=(1,))
def gather(call: Call, x: Tensor, index: Value) -> Tensor:
    """Entries of one axis, in the shape of the index."""
    axis = call.get("axis", 0) % x.ndim
    if isinstance(index, Constant) and index.array.ndim == 0:
        return x.select(axis, int(index.array) % x.shape[axis])
    if isinstance(index, Constant) and index.array.ndim == 1 and (run := _run(index.array, x.shape[axis])):
        return x[tuple([slice(None)] * axis + [run])]
    places = counted(call, index, x.shape[axis])
    if axis == 0:
        return lookup(x, places)
    shape = [*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]]
    return torch.index_select(x, axis, places.reshape(-1)).reshape(shape)


def lookup(rows: Tensor, places: Tensor) -> Tensor:
    """Rows (n, ...) at places: an embedding where the numbers are floats, because engines have that as one plain operator."""
    if not rows.is_floating_point():
        return rows[places]
    found = functional.embedding(places, rows.reshape(rows.shape[0], -1))
    return found.reshape(*places.shape, *rows.shape[1:])


def _run(index: Array, size: int) -> slice | None:
    """The slice that reads these places, if they follow each other."""
    places = [int(number) % size for number in index]
    return slice(places[0], places[0] + len(places)) if places == list(range(places[0], places[0] + len(places))) else None


@operator("GatherElements", raw=(1,))
def gather_elements(call: Call, x: Tensor, index: Value) -> Tensor:
    """One entry for each place of the index; along the columns of a matrix, one flat lookup."""
    axis = call.get("axis", 0) % x.ndim
    places = counted(call, index, x.shape[axis])
    if x.ndim == 2 and axis == 1 and x.is_floating_point() and places.shape[0] <= x.shape[0]:
        starts = np.arange(places.shape[0], dtype=np.int64)[:, None] * x.shape[1]
        return lookup(x.reshape(-1), places + call.tensor(starts))
    return torch.gather(x, axis, places)


@operator("GatherND", raw=(1,))
def gather_nd(call: Call, x: Tensor, index: Value) -> Tensor:
    """Slices at coordinates, the leading `batch_dims` shared."""
    batch = call.get("batch_dims", 0)
    shape = tuple(index.array.shape if isinstance(index, Constant) else index.shape)
    depth = shape[-1]
    places = _flat_places(call, index, tuple(x.shape[batch : batch + depth]))
    rest, groups = tuple(x.shape[batch + depth :]), prod(x.shape[:batch])
    if batch:
        step = prod(x.shape[batch : batch + depth])
        offsets = np.arange(groups, dtype=np.int64).reshape(*shape[:batch], *[1] * (len(shape) - 1 - batch)) * step
        places = places + call.tensor(offsets)
    rows = x.reshape(prod(x.shape[: batch + depth]), *rest)
    return lookup(rows, places)


def _flat_places(call: Call, index: Value, sizes: tuple[int, ...]) -> Tensor:
    """Coordinates (..., len(sizes)) as places in the flattened axes."""
    strides = np.array([prod(sizes[axis + 1 :]) for axis in range(len(sizes))], np.int64)
    if isinstance(index, Constant):
        return call.tensor(_flat_array(index.array, sizes))
    if len(sizes) == 1:
        return counted(call, index[..., 0], sizes[0])
    wide = index.to(torch.int64)
    if not call.nonnegative[1]:
        wide = torch.where(wide < 0, wide + call.tensor(np.array(sizes, np.int64)), wide)
    return torch.sum(wide * call.tensor(strides), -1)


def _flat_array(index: Array, sizes: tuple[int, ...]) -> Array:
    strides = np.array([prod(sizes[axis + 1 :]) for axis in range(len(sizes))], np.int64)
    wide = index.astype(np.int64)
    return (np.where(wide < 0, wide + np.array(sizes, np.int64), wide) * strides).sum(-1)


@operator("ScatterND", raw=(1,))
def scatter_nd(call: Call, x: Tensor, index: Value, updates: Tensor) -> Tensor:
    """`x` with slices replaced, or combined, at coordinates."""
    shape = tuple(index.array.shape if isinstance(index, Constant) else index.shape)
    depth, rest = shape[-1], tuple(x.shape[shape[-1] :])
    sizes = tuple(x.shape[:depth])
    rows, news = x.reshape(prod(sizes), *rest), updates.reshape(prod(shape[:-1]), *rest)
    if isinstance(index, Constant) and call.get("reduction", "none") == "none":
        return _replaced(call, rows, news, _flat_array(index.array, sizes).reshape(-1)).reshape(x.shape)
    places = _flat_places(call, index, sizes).reshape(-1)
    return _scattered(call, rows, 0, places.reshape(-1, *[1] * len(rest)).expand(news.shape), news).reshape(x.shape)


@operator("ScatterElements", "Scatter", raw=(1,))
def scatter_elements(call: Call, x: Tensor, index: Value, updates: Tensor) -> Tensor:
    """`x` with single entries replaced, or combined, along an axis."""
    axis = call.get("axis", 0) % x.ndim
    if isinstance(index, Constant) and call.get("reduction", "none") == "none":
        grid = list(np.indices(index.array.shape))
        grid[axis] = np.where(index.array < 0, index.array + x.shape[axis], index.array)
        flat = np.ravel_multi_index(tuple(grid), tuple(x.shape)).reshape(-1).astype(np.int64)
        return _replaced(call, x.reshape(-1), updates.reshape(-1), flat).reshape(x.shape)
    return _scattered(call, x, axis, counted(call, index, x.shape[axis]), updates)


def _replaced(call: Call, rows: Tensor, news: Tensor, places: Array) -> Tensor:
    """Rows with `news` at constant places, by one lookup in both laid end to end; the last write stays."""
    table = np.arange(rows.shape[0], dtype=np.int64)
    table[places] = rows.shape[0] + np.arange(len(places))
    return lookup(torch.cat([rows, news]), call.tensor(table))


def _scattered(call: Call, x: Tensor, axis: int, places: Tensor, news: Tensor) -> Tensor:
    kinds = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
    kind = call.get("reduction", "none")
    return torch.scatter(x, axis, places, news) if kind == "none" else torch.scatter_reduce(x, axis, places, news, kinds[kind])


@operator("Compress", host=(1,))
def compress(call: Call, x: Tensor, keep: Array) -> Tensor:
    """The entries that a constant mask names."""
    places = np.flatnonzero(keep).astype(np.int64)
    axis = call.get("axis")
    return torch.index_select(x.reshape(-1) if axis is None else x, 0 if axis is None else axis % x.ndim, call.tensor(places))


@operator("ReverseSequence", host=(1,))
def reverse_sequence(call: Call, x: Tensor, lengths: Array) -> Tensor:
    """The first so many steps of each sequence backwards; lengths are constants."""
    time, batch = call.get("time_axis", 0), call.get("batch_axis", 1)
    steps = np.arange(x.shape[time])[:, None]
    table = np.where(steps < lengths[None], lengths[None] - 1 - steps, steps).astype(np.int64)
    table = table if time == 0 else table.T
    places = call.tensor(np.ascontiguousarray(table)).reshape(*table.shape, *[1] * (x.ndim - 2)).expand(x.shape)
    assert {time, batch} == {0, 1}  # noqa: S101  (the standard allows no other axes)
    return torch.gather(x, time, places)
