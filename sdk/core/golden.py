"""Which rows a contract holds: chosen by rule, with a fixed seed, never by hand.

- *margin*: the rows nearest to another decision; *slice*: some of every group; *random*: the rest. 32 to 256 rows.
- *missing*, *unknown*, *infinite*: existing rows with one field at a time set so, where the signature allows it.
- *dims*: every symbolic dimension at 1, at 2 and at a large size, made by cutting and tiling rows.
- At most 5 MB stored; where fewer than 32 rows fit, as many as do, at least 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from .data import take_rows
from .errors import InputError
from .signature import MISSING_CODE, UNKNOWN_CODE, Array, Signature, TensorSpec

MOST, FEWEST, LEAST = 256, 32, 4
WANTED = 64
"""Rows chosen where they are small and nobody asks for another number; else `FEWEST`."""
SMALL = 4096
"""Bytes of a small row. Larger ones are pictures and signals, whose models take as long for a row as others for a batch."""
BYTES = 5_000_000
_MAIN_SHARE = 0.7
"""Share of the bytes for the chosen rows; the rest is for made rows, dimensions and outputs."""
_PER_GROUP = 8
_FIELDS = 16
"""Columns of a wide table that are set missing in turn."""
LARGE = 2
"""A large size of a dimension: so many times what the examples have."""


def rows_of(signature: Signature, inputs: Mapping[str, Any]) -> int:
    """Rows of typed inputs: the length of the first input that has a batch axis, or that is framed; else 1. Raises InputError."""
    counts = {spec.name: count(spec, inputs[spec.name]) for spec in batched(signature) if spec.name in inputs}
    counts = counts or {name: len(inputs[name]) for name in framed(signature, inputs)}
    if len(set(counts.values())) > 1:
        raise InputError("The inputs have different numbers of rows", got=counts)
    return next(iter(counts.values()), 1)


def batched(signature: Signature) -> list[TensorSpec]:
    """Inputs that have rows and are not state."""
    state = {pair.input for pair in signature.state}
    return [spec for spec in signature.inputs if spec.batch_axis is not None and spec.shape and spec.name not in state]


def framed(signature: Signature, inputs: Mapping[str, Any]) -> list[str]:
    """Inputs of a model without rows whose examples have one axis more than a call: the first axis counts calls (frames)."""
    if batched(signature):
        return []
    state = {pair.input for pair in signature.state}
    held = [spec for spec in signature.inputs if spec.name in inputs and spec.name not in state]
    return [spec.name for spec in held if np.ndim(inputs[spec.name]) == len(spec.shape) + 1]


def count(spec: TensorSpec, values: Any) -> int:
    """Rows of one input."""
    return values.shape[spec.batch_axis] if isinstance(values, np.ndarray) else len(values)


def take(signature: Signature, inputs: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Some rows of typed inputs; inputs without a batch axis stay; lists of images stay lists.

    One frame of a framed input has the shape of a call; several keep the axis that counts them.
    """
    index, having = np.asarray(rows, np.int64), {spec.name: spec for spec in batched(signature)}
    frames = framed(signature, inputs)
    taken: dict[str, Any] = {}
    for name, values in inputs.items():
        if name in frames:
            taken[name] = np.asarray(values)[index[0] if len(index) == 1 else index]
        elif name not in having:
            taken[name] = values
        elif isinstance(values, np.ndarray):
            taken[name] = np.take(cast("Array", values), index, axis=having[name].batch_axis)
        else:
            taken[name] = take_rows(values, index)
    return taken


def usual(row_bytes: float) -> int:
    """Rows to choose when nobody asks for a number."""
    return WANTED if row_bytes <= SMALL else FEWEST


def fixed_rows(signature: Signature) -> int | None:
    """Rows of every call of a model whose batch dimension is a number, 1 where it has none at all; None where it is free."""
    sizes = [spec.shape[spec.batch_axis or 0] for spec in batched(signature)] or [1]
    return next((size for size in sizes if isinstance(size, int)), None)


def select(rows: int, row_bytes: float, slices: Mapping[str, Array], margins: Array | None = None, seed: int = 0,
           wanted: int = WANTED) -> list[tuple[int, str]]:  # fmt: skip
    """(row, why), sorted by row.

    Args:
        rows: rows there are.
        row_bytes: stored bytes of one row, inputs and outputs.
        slices: name -> group per row.
        margins: per row how far its decision is from another one, in any unit; None where there is none.
        seed: of the random choice.
        wanted: rows to choose, within 32 and 256.
    """
    room = max(LEAST, int(BYTES * _MAIN_SHARE / max(row_bytes, 1.0)))
    size = min(rows, room, max(FEWEST, min(wanted, MOST)))
    chosen: dict[int, str] = {}
    order = np.random.default_rng(seed).permutation(rows)
    if margins is not None:
        for row in np.argsort(margins, kind="stable")[: size // 4]:
            chosen[int(row)] = "margin"
    for why, row in _per_slice(order, slices, size // 2):
        chosen.setdefault(row, why)
    for row in order:
        if len(chosen) >= size:
            break
        chosen.setdefault(int(row), "random")
    return sorted(chosen.items())


def _per_slice(order: Array, slices: Mapping[str, Array], room: int) -> list[tuple[str, int]]:
    """Rows of every group in turn, so that small groups are not crowded out."""
    queues = [
        (f"slice:{name}={group}", [int(row) for row in order if groups[row] == group][:_PER_GROUP])
        for name, groups in ((key, np.asarray(held).astype(str)) for key, held in slices.items())
        for group in np.unique(groups)
    ]
    turns = ((why, held[turn]) for turn in range(_PER_GROUP) for why, held in queues if turn < len(held))
    return [pair for pair, _ in zip(turns, range(room), strict=False)]


def edges(signature: Signature, row: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(why, one row) with one field at a time missing, unknown or infinite, where the signature allows it.

    Args:
        signature: of the inputs.
        row: typed inputs of one row, native dtypes.
    """
    made: list[tuple[str, dict[str, Any]]] = []
    for spec in batched(signature):
        values = row.get(spec.name)
        if isinstance(values, np.ndarray) and spec.canvas is None:
            made += [(why, {**row, spec.name: held}) for why, held in _edges_of(spec, cast("Array", values))]
    return made


def _edges_of(spec: TensorSpec, values: Array) -> Iterator[tuple[str, Array]]:
    for what, number in _marks(spec):
        places = _fields(spec, values) if what != "infinite" else [None]
        for place in places:
            held = values.copy()
            if place is None:
                held[...] = number
            else:
                held[..., place] = number
            yield f"{what}:{spec.name}{'' if place is None else f'[{place}]'}", held


def _marks(spec: TensorSpec) -> list[tuple[str, float | int]]:
    real = spec.dtype in ("f32", "f64", "f16")
    marks: list[tuple[str, float | int]] = [("missing", np.nan if real else MISSING_CODE)] if spec.missing else []
    if spec.categories is not None and not real and spec.on_unknown != "reject":
        marks.append(("unknown", UNKNOWN_CODE))
    if real and spec.range is not None:
        marks += [("infinite", end) for end in spec.range if np.isinf(end)]
    return marks


def _fields(spec: TensorSpec, values: Array) -> list[int | None]:
    """Columns of a table to set in turn (at most 16, evenly spread), and all at once."""
    if values.ndim != 2 or spec.batch_axis != 0 or values.shape[1] < 2 or isinstance(spec.shape[1], str):
        return [None]
    return [None, *(int(place) for place in np.unique(np.linspace(0, values.shape[1] - 1, _FIELDS).astype(int)))]


def free_dimensions(signature: Signature) -> dict[str, list[tuple[TensorSpec, int]]]:
    """Symbolic dimension, other than the batch -> the inputs and axes that it sizes."""
    state = {pair.input for pair in signature.state}
    batch = {spec.shape[spec.batch_axis] for spec in signature.inputs if spec.batch_axis is not None and spec.shape}
    found: dict[str, list[tuple[TensorSpec, int]]] = {}
    for spec in signature.inputs:
        for axis, size in enumerate(spec.shape):
            if isinstance(size, str) and size not in batch and spec.name not in state:
                found.setdefault(size, []).append((spec, axis))
    return found


def sizes_of(dimension: list[tuple[TensorSpec, int]], inputs: Mapping[str, Any]) -> list[int]:
    """1, 2 and a large size, within the canvas where there is one."""
    present, most = 1, None
    for spec, axis in dimension:
        values = inputs[spec.name]
        first = values if isinstance(values, np.ndarray) else np.asarray(values[0])[None]
        present = max(present, first.shape[axis])
        if spec.canvas is not None and axis in (1, 2):
            most = spec.canvas[axis - 1]
    large = LARGE * present if most is None else min(LARGE * present, most)
    return sorted({size for size in (1, 2, large) if most is None or size <= most})


def resized(dimension: list[tuple[TensorSpec, int]], inputs: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The inputs with this dimension cut or tiled to `size`; images of different sizes are cut or tiled one by one."""
    made = dict(inputs)
    for spec, axis in dimension:
        values = made[spec.name]
        if isinstance(values, np.ndarray):
            made[spec.name] = _to_size(cast("Array", values), axis, size)
        else:
            made[spec.name] = [_to_size(np.asarray(value), axis - 1, size) for value in values]
    return made


def _to_size(values: Array, axis: int, size: int) -> Array:
    return np.take(values, np.arange(size) % max(values.shape[axis], 1), axis=axis)
