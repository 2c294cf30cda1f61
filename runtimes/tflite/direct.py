"""The direct way into a `.tflite` file: inputs are written into the interpreter's tensors, outputs copied out of them.

Nobody outside sees a view: they are of an interpreter that the pool lends to one call at a time, and what leaves is a copy.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import hypot, inf
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import numpy as np

from ...sdk.core.door_rows import WIDEST
from ...sdk.core.errors import EngineError
from ...sdk.core.signature import Array
from ..direct import Direct, Entry
from .pool import Pool

Take: TypeAlias = "Callable[[Any], bool]"
Taken: TypeAlias = "tuple[str, Array, np.dtype[Any] | None, tuple[int, ...], Callable[[], bool] | None, Take | None]"
"""Field, memory, dtype and shape of an array that is copied, whether it then holds what is allowed, and what takes anything else."""

Bound: TypeAlias = "dict[int, tuple[list[Taken], list[tuple[str, Callable[[], Array]]], Callable[[], object]]]"
"""Length of the first field -> what is taken, what makes each output, and what runs the signature of just these shapes."""

SMALL = 32
"""Up to here numbers are judged one by one, beyond by numpy, whose calls cost as much as a hundred numbers."""
_NUMBERS: set[type] = {int, float}
_LARGEST = float(np.finfo(np.float32).max)
_MOST_SIZES = 64
_MOST_CODES = 1024


@dataclass(frozen=True)
class Tensors:
    """The memory of one signature of an interpreter.

    Attributes:
        inputs: the program's value -> a view of it.
        outputs: the program's value -> a view of it, or what makes a copy where numpy has no view.
        invoke: runs the signature.
        stay: whether the views are still of the tensors' memory.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array | Callable[[], Array]]
    invoke: Callable[[], object]
    stay: Callable[[], bool]


class HasWays(Protocol):
    """What the pool lends."""

    @property
    def ways(self) -> Mapping[int, Bound]:
        """Number of a direct way -> what it is bound to in this interpreter."""
        ...


T = TypeVar("T", bound=HasWays)


def bound(signatures: Iterable[Tensors], entries: Sequence[Entry], answer: Sequence[tuple[str, np.dtype[Any]]]) -> Bound:
    """A direct way in one interpreter. Signatures that the length of the first field does not tell apart are left out."""
    found: Bound = {}
    twice: set[int] = set()
    for tensors in signatures:
        rows = tensors.inputs[entries[0].name].shape[0]
        if rows in found:
            twice.add(rows)
        if _fits(entries, tensors.inputs):
            leaves = [(name, _leave(tensors.outputs[name], dtype)) for name, dtype in answer]
            found[rows] = ([taken(entry, tensors.inputs) for entry in entries], leaves, tensors.invoke)
    return {rows: way for rows, way in found.items() if rows not in twice}


def direct_call(pool: Pool[T], way: int, bind: Callable[[T], Bound], lead: str, count: int,
                failed: Callable[[Exception], EngineError]) -> Direct:  # fmt: skip
    """The direct way over all interpreters of a pool.

    Args:
        pool: of interpreters.
        way: its number among the ways of each interpreter.
        bind: binds an interpreter that has not got it yet.
        lead: the field whose length tells the signature.
        count: fields of a call.
        failed: the error to raise for what the interpreter raises.
    """
    free = pool.free
    pop, give_back = free.pop, free.append

    def call(inputs: Any) -> dict[str, Array] | None:
        if type(inputs) is not dict or len(cast("dict[Any, Any]", inputs)) != count:
            return None
        try:
            first = inputs[lead]
            if type(first) is not np.ndarray and type(first) is not list:
                return None
            rows = len(first)
            opened = pop()
        except (KeyError, TypeError, IndexError):  # absent, without axes, or no interpreter is free
            return None
        try:
            if pool.attention:
                return None
            try:
                ways = opened.ways
                held = (ways[way] if way in ways else bind(opened)).get(rows)
                if held is None:
                    return None
                entries, leaves, invoke = held
                for field, view, dtype, shape, sound, take in entries:
                    value = inputs[field]
                    if type(value) is np.ndarray and value.dtype is dtype and value.shape == shape:
                        view[...] = value
                        if sound is not None and not sound():
                            return None
                    elif take is None or not take(value):
                        return None
            except (KeyError, TypeError):  # an unknown field or name, or a name that is none
                return None
            try:
                invoke()
                return {name: leave() for name, leave in leaves}
            except (ValueError, RuntimeError, TypeError, MemoryError) as error:
                raise failed(error) from error
        finally:
            give_back(opened)
            if pool.attention:
                pool.attend()

    return call


def _fits(entries: Sequence[Entry], views: Mapping[str, Array]) -> bool:
    """Whether the door lets in what has the shapes and dtypes of these tensors."""
    dims: dict[str, int] = {}
    for entry in entries:
        view = views[entry.name]
        if view.dtype is not entry.dtype or not view.ndim or (entry.shape is not None and len(entry.shape) != view.ndim):
            return False
        for size, wanted in zip(view.shape, entry.shape or view.shape, strict=True):
            if (dims.setdefault(wanted, size) if isinstance(wanted, str) else wanted) != size:
                return False
        if entry.size is not None and (views[entry.size].dtype != np.int32 or views[entry.size].shape != (view.shape[0], 2)):
            return False
    return True


def _leave(source: Array | Callable[[], Array], dtype: np.dtype[Any]) -> Callable[[], Array]:
    """What makes an output: a copy of the tensor in the signature's dtype."""
    if isinstance(source, np.ndarray):
        return source.copy if source.dtype is dtype else partial(source.astype, dtype)
    return lambda: value if (value := source()).dtype is dtype else value.astype(dtype)


def taken(entry: Entry, views: Mapping[str, Array]) -> Taken:
    """How `entry` is written into the tensors of one signature of one interpreter, `views` by the program's names."""
    view = views[entry.name]
    if entry.size is not None:
        return entry.field, view, None, view.shape, None, _image(view, views[entry.size])
    take = _names(view, entry.codes) if entry.codes is not None else _numbers(view, entry) if entry.numbers else None
    wide = _wide(view, entry, entry.wide) if entry.wide is not None and view.size <= SMALL else None
    take = _either(wide, take) if wide is not None else take
    dtype = entry.dtype if entry.arrays else None
    return entry.field, view, dtype, view.shape, _judge(view, entry) if entry.arrays else None, take


def _judge(view: Array, entry: Entry) -> Callable[[], bool] | None:
    """Whether what stands in the tensor is what the door lets in as it is; None where that is anything."""
    item, values, lowest, highest = view.item, view.reshape(-1).tolist, view.argmin, view.argmax
    if entry.limits is None:
        if entry.nan or view.dtype.kind != "f":
            return None
        if view.size == 1:
            return lambda: item() < inf
        if view.size <= SMALL:
            return lambda: hypot(*values()) < inf
        return lambda: (top := item(highest())) == top  # numpy's argmax finds a NaN
    low, high = entry.limits
    if view.size == 1:
        return lambda: low <= item() <= high
    if view.dtype.kind in "iu" and view.size <= SMALL and high - low < _MOST_CODES:
        known = frozenset(range(int(low), int(high) + 1)).issuperset
        return lambda: known(values())
    if view.dtype.kind == "f" and view.size <= SMALL:
        return lambda: _within(values(), low, high)
    return lambda: low <= item(lowest()) and item(highest()) <= high


def _within(numbers: Sequence[float], low: float, high: float) -> bool:
    """Whether all of them are numbers from `low` to `high`. The length of all as a vector is NaN or infinite where one of them is."""
    return hypot(*numbers) < inf and low <= min(numbers) and max(numbers) <= high


def _held(view: Array, entry: Entry) -> tuple[float, float]:
    """The limits of what is narrowed, within what the tensor can hold: packing does not tell what it cannot."""
    most, least = (_LARGEST, -_LARGEST) if view.dtype.kind == "f" else (2**31 - 1, -(2**31))
    low, high = entry.limits or (least, most)
    return max(low, least), min(high, most)


def _numbers(view: Array, entry: Entry) -> Take | None:
    """Lists of int and float, one per row or a list per row, narrowed as RowPacker and the door do it."""
    if view.ndim not in (1, 2) or view.shape[-1] > WIDEST:
        return None
    flat: Any = view.reshape(-1)  # a buffer, which the type checker does not know of numpy's arrays
    rows, width = view.shape if view.ndim == 2 else (1, view.size)
    low, high = _held(view, entry)
    row = struct.Struct(f"{width}f")

    def put(numbers: Any, place: int = 0) -> bool:
        if type(numbers) is not list or len(held := cast("list[Any]", numbers)) != width or not _NUMBERS.issuperset(map(type, held)):
            return False
        try:
            if not _within(held, low, high):
                return False
            row.pack_into(flat, place, *held)
        except OverflowError:  # an integer beyond every float
            return False
        return True

    def take(value: Any) -> bool:
        if type(value) is not list or len(held := cast("list[Any]", value)) != rows:
            return False
        return all(put(one, place * row.size) for place, one in enumerate(held))

    return take if view.ndim == 2 else put


def _wide(view: Array, entry: Entry, wide: np.dtype[Any]) -> Take:
    """Arrays of the wide dtype of the same kind, narrowed as the door does it."""
    flat: Any = view.reshape(-1)
    shape, pack = view.shape, struct.Struct(f"{view.size}{'f' if view.dtype.kind == 'f' else 'i'}").pack_into
    low, high = _held(view, entry)

    def take(value: Array) -> bool:
        if value.dtype is not wide or value.shape != shape:
            return False
        numbers = value.ravel().tolist()
        if not _within(numbers, low, high):
            return False
        pack(flat, 0, *numbers)
        return True

    return take


def _either(wide: Take, listed: Take | None) -> Take:
    """Arrays one way, anything else the other."""

    def take(value: Any) -> bool:
        return wide(value) if type(value) is np.ndarray else listed is not None and listed(value)

    return take


def _names(view: Array, codes: Mapping[Any, int]) -> Take | None:
    """Lists of known names, one per row."""
    if view.ndim != 1:
        return None
    rows, known = view.shape[0], codes.__getitem__
    pack = struct.Struct(f"{rows}i").pack_into

    def take_one(value: Any) -> bool:
        if type(value) is not list or len(held := cast("list[Any]", value)) != 1:
            return False
        view[0] = known(held[0])
        return True

    def take(value: Any) -> bool:
        if type(value) is not list or len(held := cast("list[Any]", value)) != rows:
            return False
        pack(cast("Any", view), 0, *map(known, held))
        return True

    return take_one if rows == 1 else take


def _image(view: Array, sizes: Array) -> Take:
    """Images of one size, which are padded with zeros at the bottom and the right."""
    rows, high, wide, *rest = view.shape
    tail, full, dtype, clear = tuple(rest), view.shape, view.dtype, view.fill
    known: dict[tuple[int, ...], Array] = {}

    def take(value: Any) -> bool:
        if type(value) is not np.ndarray or value.dtype is not dtype:
            return False
        shape: tuple[int, ...] = value.shape
        if shape == full:
            view[...] = value
        else:
            if len(shape) != len(full) or shape[0] != rows or shape[3:] != tail or not (0 < shape[1] <= high and 0 < shape[2] <= wide):
                return False
            clear(0)
            view[:, : shape[1], : shape[2]] = value
        size = known.get(shape[1:3])
        if size is None:
            size = np.empty((rows, 2), np.int32)
            size[:] = shape[1:3]
            if len(known) < _MOST_SIZES:
                known[shape[1:3]] = size
        sizes[...] = size
        return True

    return take
