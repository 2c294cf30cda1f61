"""One input at the door: its dtype, shape, missing values, range and categories, prepared once and checked per request."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from .door_arrays import numbers_of, to_rim, within
from .door_rows import WIDEST, RowPacker
from .errors import FormatError, InputError
from .refusal import refusal
from .signature import MISSING_CODE, NUMPY, UNKNOWN_CODE, Array, TensorSpec

Why: TypeAlias = Literal["range", "clamped", "unknown", "absent"]
Dims: TypeAlias = dict[str, tuple[int, str]]
"""Symbolic dimension -> its length in this request, and the input that set it."""


_WIDE = {np.dtype(np.int32): np.dtype(np.int64), np.dtype(np.float32): np.dtype(np.float64)}
"""What numpy and pandas make of numbers, by the rim's dtype."""


class Flag(NamedTuple):
    """What was accepted although it is unusual.

    Attributes:
        field: name of the input.
        row: position along the batch axis, None where there is none.
        why: "range" (outside, left as it is), "clamped" (outside, moved to the limit), "unknown" (category),
            "absent" (took its default).
        value: the first such value of the row.
    """

    field: str
    row: int | None
    why: Why
    value: float | int | str | bool | None


class Gate:
    """One input of a signature, prepared."""

    def __init__(self, spec: TensorSpec, *, state: bool) -> None:
        self.spec, self.state, self.name = spec, state, spec.name
        self.rim = NUMPY[spec.rim_dtype]
        self.shape, self.rank = spec.shape, len(spec.shape)
        self.coded = spec.categories is not None and self.rim.kind in "iu"
        self.float = self.rim.kind == "f"
        self.low, self.high = _limits(spec.range, self.rim)
        self.ranged = spec.range is not None and self.rim.kind in "iuf"
        if self.low > self.high:
            raise FormatError(f"The range of {spec.name!r} is empty", got=spec.range)
        self.wide = None if spec.dtype == "f16" else _WIDE.get(self.rim)
        self.usual = self._usual()
        self.rows, self.packer = str(self.shape[0]) if self.shape else "", self._packer()
        self.free = not (self.float or self.coded or self.ranged)
        self.strides, self.tail = self._rows()

    def _usual(self) -> tuple[float, float]:
        """Values that need no second look, whichever dtype they come in."""
        if self.coded:
            return (MISSING_CODE if self.spec.missing and self.rim.kind == "i" else 0), len(self.spec.categories or ()) - 1
        if self.rim.kind == "f":  # a wider number that the rim cannot hold has a second look too, where no range forbids it
            most = float(np.finfo(self.rim).max)
            return max(self.low, -most), min(self.high, most)
        if self.rim.kind != "i":
            return self.low, self.high
        held = np.iinfo(self.rim)
        return (max(self.low, held.min), min(self.high, held.max)) if self.ranged else (held.min, held.max)

    def _packer(self) -> RowPacker | None:
        """For rows of floats that are as long as the signature says, and short."""
        plain = self.rank == 2 and isinstance(self.shape[0], str) and self.float and self.wide is not None and self.spec.canvas is None
        width = self.shape[1] if plain else 0
        return RowPacker(width, *self.usual) if isinstance(width, int) and 0 < width <= WIDEST else None

    def _rows(self) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
        """Strides and shape of rows that lie one after the other; no strides where rows have no fixed shape."""
        first, tail = self.shape[:1], tuple(size for size in self.shape[1:] if isinstance(size, int))
        fixed = isinstance(first[0], str) if first and len(tail) == self.rank - 1 else False
        if not fixed or 0 in tail or self.spec.canvas is not None or self.rim.kind not in "iufb":
            return None, tail
        return np.empty((2, *tail), self.rim).strides, tail

    def admit(self, value: Any, dims: Dims, flags: list[Flag]) -> Any:
        """The value as the program takes it, or InputError."""
        if self.packer is not None and type(value) is list:
            packed = self.packer.pack(cast("list[Any]", value))
            if packed is not None and dims.setdefault(self.rows, (len(packed), self.name))[0] == len(packed):
                return packed
        if type(value) is np.ndarray and value.strides == self.strides and value.dtype is self.rim:
            rows = len(value)  # whole rows and nothing unusual: what most requests are made of
            if rows and (not self.tail or value.shape[1:] == self.tail) and dims.setdefault(self.rows, (rows, self.name))[0] == rows:
                if self.free:
                    return value
                low, high = self.usual  # `within`, whose call would cost a quarter of what is done here
                if value.size == 1:
                    if low <= value.item() <= high:
                        return value
                elif low <= value.item(value.argmin()) and value.item(value.argmax()) <= high:
                    return value
        if self.spec.canvas is not None:
            return self._admit_images(value, dims)
        array, sure = self._to_rim(value)
        shape = array.shape
        if len(shape) != self.rank:
            raise self._wrong_shape(array)
        for size, expected in zip(shape, self.shape):  # noqa: B905 - as long as each other, and this is the hot path
            if size != expected and (type(expected) is not str or not self._binds(expected, size, dims)):
                raise self._wrong_shape(array, expected if isinstance(expected, str) else None, dims)
        if sure:
            return array
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        if self.float:
            return self._admit_floats(array, flags)
        if self.coded:
            return self._admit_codes(array, flags)
        if not self.ranged or within(array, self.low, self.high):
            return array
        return self._admit_range(array, flags)

    def _to_rim(self, value: Any) -> tuple[Array, bool]:
        """The value in the rim's dtype, and whether it is contiguous and known to be usual: the wide dtype of the same kind is
        looked at once, for what the rim can hold and for what the signature allows."""
        if type(value) is np.ndarray:
            held: Array = value
            if held.dtype is self.rim:
                return held, False
            if held.dtype is self.wide and within(held, *self.usual):
                return held.astype(self.rim, "C"), True
        elif type(value) is list and self.float and self.wide is not None:
            numbers = numbers_of(value)
            if numbers is not None and within(numbers, *self.usual):
                return numbers.astype(self.rim), True
        return to_rim(self.spec, value), False

    def fill(self, arrays: dict[str, Any], dims: Dims, flags: list[Flag]) -> None:
        """The default of an absent input, in the shape that the others imply."""
        if self.state:
            return
        if self.spec.required:
            raise refusal("this input is required", self.name, expected=f"{self.spec.dtype} {_shape_text(self.shape)}")
        shape = tuple(dims.get(size, (1, ""))[0] if isinstance(size, str) else size for size in self.shape)
        arrays[self.name] = np.full(shape, self._default(), self.rim)
        flags.append(Flag(self.name, None, "absent", self.spec.default))

    def _default(self) -> Any:
        if self.spec.default is not None:
            default = self.spec.default
            known = self.spec.categories or ()
            return known.index(default) if self.coded and isinstance(default, str) and default in known else default
        if self.spec.missing and (self.float or self.coded):
            return np.nan if self.float else MISSING_CODE
        raise refusal("this input is absent and has no default", self.name, fix="Send it, or give it a default in the signature.")

    def _binds(self, name: str, size: int, dims: Dims) -> bool:
        known = dims.get(name)
        if known is None:
            dims[name] = (size, self.name)
            return size > 0
        return known[0] == size

    def _admit_floats(self, array: Array, flags: list[Flag]) -> Array:
        if within(array, self.low, self.high):
            return array
        if self.spec.missing and np.fmin.reduce(array, axis=None) >= self.low and np.fmax.reduce(array, axis=None) <= self.high:
            return array  # nothing but missing values is unusual
        if not self.spec.missing and (nan := np.isnan(array)).any():
            raise refusal("a value is missing (NaN) and this input takes no missing values", self.name, self._row(nan))
        return self._admit_range(array, flags)

    def _admit_range(self, array: Array, flags: list[Flag]) -> Array:
        outside = (array < self.low) | (array > self.high)
        if not outside.any():
            return array
        if self.spec.on_range == "reject":
            expected = f"{self.low:g} to {self.high:g}" if self.ranged else "a finite number"
            raise refusal("a value is out of range", self.name, self._row(outside), got=array[outside][0].item(), expected=expected)
        clamp = self.spec.on_range == "clamp" and self.ranged
        flags.extend(self._flags(array, outside, "clamped" if clamp else "range"))
        return np.clip(array, self.low, self.high).astype(self.rim) if clamp else array

    def _admit_codes(self, array: Array, flags: list[Flag]) -> Array:
        if within(array, *self.usual):
            return array
        known = len(cast("tuple[str, ...]", self.spec.categories))
        missing = array == MISSING_CODE
        if not self.spec.missing and missing.any():
            raise refusal("a category is missing and this input takes no missing values", self.name, self._row(missing))
        unknown = ((array < 0) | (array >= known)) & ~missing
        if not unknown.any():
            return array
        if self.spec.on_unknown == "reject":
            names = ", ".join(cast("tuple[str, ...]", self.spec.categories)[:10]) + (", ..." if known > 10 else "")
            raise refusal("this category is unknown", self.name, self._row(unknown), got=_code(array[unknown][0].item()), expected=names)
        flags.extend(self._flags(array, unknown, "unknown"))
        return np.where(unknown, UNKNOWN_CODE, array).astype(self.rim) if self.rim.kind == "i" else array

    def _admit_images(self, value: Any, dims: Dims) -> Any:
        if isinstance(value, list | tuple) and value:
            images = [to_rim(self.spec, image, row) for row, image in enumerate(cast("list[Any]", value))]
        else:
            images, _ = self._to_rim(value)
            if images.ndim != self.rank:
                raise self._wrong_shape(images)
        if not self._binds(str(self.shape[0]), len(images), dims):
            raise refusal("the number of images differs from the rows of other inputs", self.name, got=len(images))
        if isinstance(images, np.ndarray):
            self._check_image(images[0], 0)  # the others are as large
            return np.ascontiguousarray(images)
        for row, image in enumerate(images):
            self._check_image(image, row)
        return images

    def _check_image(self, image: Array, row: int) -> None:
        height, width = cast("tuple[int, int]", self.spec.canvas)
        tail = self.shape[3:]
        if image.ndim != self.rank - 1 or image.shape[2:] != tail:
            raise refusal("this is not one image", self.name, row, got=f"shape {image.shape}",
                          expected=f"(height, width, {tail[0] if tail else ''})")  # fmt: skip
        if not (0 < image.shape[0] <= height and 0 < image.shape[1] <= width):
            raise refusal("this image does not fit", self.name, row, got=f"{image.shape[0]} x {image.shape[1]}",
                          expected=f"at most {height} x {width}", fix="Send a smaller one, or pack with a codec that resizes.")  # fmt: skip

    def _row(self, wrong: Array) -> int | None:
        axis = self.spec.batch_axis
        return None if axis is None or not wrong.ndim else int(np.argwhere(wrong)[:, axis].min())

    def _flags(self, array: Array, wrong: Array, why: Why) -> list[Flag]:
        axis = self.spec.batch_axis
        places = np.argwhere(wrong)
        if axis is None or not wrong.ndim:
            return [Flag(self.name, None, why, array[wrong][0].item())]
        rows, first = np.unique(places[:, axis], return_index=True)
        return [Flag(self.name, row, why, array[tuple(places[place])].item()) for row, place in zip(rows.tolist(), first, strict=True)]

    def _wrong_shape(self, array: Array, dim: str | None = None, dims: Dims | None = None) -> InputError:
        got = f"{_shape_text(array.shape)}"
        if dim is not None and dims is not None and (known := dims[dim])[0] > 0:
            return refusal(f"{dim!r} is {known[0]} in {known[1]!r}", self.name, got=got, expected=_shape_text(self.shape))
        what = "a dimension is empty" if 0 in array.shape and array.ndim == self.rank else "the shape does not fit"
        fix = "An input is a batch: put this one row in a list." if self._is_one_row(array) else None
        return refusal(what, self.name, got=got, expected=_shape_text(self.shape), fix=fix)

    def _is_one_row(self, array: Array) -> bool:
        row = [dim for axis, dim in enumerate(self.shape) if axis != self.spec.batch_axis]
        if len(row) == self.rank or len(row) != array.ndim:
            return False
        return all(isinstance(dim, str) or dim == size for dim, size in zip(row, array.shape, strict=True))


def _limits(given: tuple[float, float] | None, rim: np.dtype[Any]) -> tuple[float, float]:
    """The range in values that the rim's dtype has: rounded like the data for floats, inward for integers."""
    if given is None:
        finite = float(np.finfo(np.float32).max)
        return -finite, finite
    if rim.kind != "f":
        return math.ceil(given[0]) if math.isfinite(given[0]) else given[0], math.floor(given[1]) if math.isfinite(given[1]) else given[1]
    with np.errstate(over="ignore"):
        return float(np.float32(given[0])), float(np.float32(given[1]))


def _code(code: int) -> int | None:
    """A code worth showing: what the codec writes for every unknown name is not."""
    return None if code == UNKNOWN_CODE else code


def _shape_text(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(str(size) for size in shape)})"
