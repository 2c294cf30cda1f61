"""The door: arrays against a Signature, before anything runs.

dtype, shape and required inputs are enforced; ranges and unknown categories are accepted and flagged, unless the
signature says reject or clamp. What leaves the door is contiguous, in the dtypes of the program's rim, and passes the
door again unchanged.

    >>> door = Door(Signature((TensorSpec("age", "f64", ("batch",), range=(0, 120)),), ()))
    >>> checked = door.check({"age": [41, 130]})
    >>> checked.arrays["age"].dtype, checked.flags
    (dtype('float32'), (Flag(field='age', row=1, why='range', value=130.0),))

Rules that are choices:
- lists are read as JSON: null is NaN for floats and MISSING_CODE for categories; booleans are never numbers.
- integers fit float fields; floats fit integer fields only where every value is integral (JSON has one kind of number).
- floats are narrowed to nearest; a number that the signature's dtype cannot hold is refused, for integers and floats alike.
- an infinity is outside every range that does not name it, and outside "no range" too.
- a code that is neither known, MISSING_CODE nor UNKNOWN_CODE becomes UNKNOWN_CODE and is flagged.
- a dimension with a name has at least one element, and one length in the whole request.
- an absent, non-required input takes its default; the inputs of state pairs are left to the session.
- images of any size (`canvas`) may be a list of arrays; padding them is the session's work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from .door_arrays import to_rim
from .errors import FormatError, InputError
from .refusal import refusal
from .signature import MISSING_CODE, NUMPY, UNKNOWN_CODE, Array, Signature, TensorSpec

Why: TypeAlias = Literal["range", "clamped", "unknown", "absent"]


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


class Checked(NamedTuple):
    """What passed: arrays in rim dtypes (a list of arrays for images of different sizes), and flags."""

    arrays: dict[str, Any]
    flags: tuple[Flag, ...]


class Door:
    """A signature, prepared so that small requests cost a few microseconds. Immutable and thread-safe."""

    def __init__(self, signature: Signature) -> None:
        state = {pair.input for pair in signature.state}
        self._gates = tuple(_Gate(spec, state=spec.name in state) for spec in signature.inputs)
        self._names = frozenset(gate.name for gate in self._gates)

    def check(self, inputs: Mapping[str, Any]) -> Checked:
        """Enforce the signature on named arrays (or nested lists).

        Returns:
            Checked: arrays in the signature's order; inputs that need no change are not copied.

        Raises:
            InputError: naming the field, and the row where there is one.
        """
        arrays: dict[str, Any] = {}
        dims: dict[str, tuple[int, str]] = {}
        flags: list[Flag] = []
        absent: list[_Gate] = []
        given = 0
        for gate in self._gates:
            if gate.name not in inputs:
                absent.append(gate)
                continue
            given += 1
            arrays[gate.name] = gate.admit(inputs[gate.name], dims, flags)
        if given != len(inputs):
            self._refuse_unknown(inputs)
        if absent:
            for gate in absent:
                gate.fill(arrays, dims, flags)
            arrays = {gate.name: arrays[gate.name] for gate in self._gates if gate.name in arrays}
        return Checked(arrays, tuple(flags))

    def _refuse_unknown(self, inputs: Mapping[str, Any]) -> None:
        for name in inputs:
            if name not in self._names:
                raise refusal("there is no such input", str(name)[:60], expected=", ".join(gate.name for gate in self._gates))


class _Gate:
    """One input of a signature, prepared."""

    def __init__(self, spec: TensorSpec, *, state: bool) -> None:
        self.spec, self.state, self.name = spec, state, spec.name
        self.rim = NUMPY[spec.rim_dtype]
        self.shape, self.rank = spec.shape, len(spec.shape)
        self.coded = spec.categories is not None and self.rim.kind in "iu"
        self.float = self.rim.kind == "f"
        self.low, self.high = spec.range if spec.range is not None else (-np.inf, np.inf)
        self.ranged = spec.range is not None and self.rim.kind in "iuf"
        if self.low > self.high:
            raise FormatError(f"The range of {spec.name!r} is empty", got=spec.range)

    def admit(self, value: Any, dims: dict[str, tuple[int, str]], flags: list[Flag]) -> Any:
        """The value as the program takes it, or InputError."""
        if self.spec.canvas is not None:
            return self._admit_images(value, dims)
        array: Array = value if type(value) is np.ndarray and value.dtype is self.rim else to_rim(self.spec, value)
        if len(array.shape) != self.rank:
            raise self._wrong_shape(array)
        for size, expected in zip(array.shape, self.shape, strict=True):
            if size != expected and (not isinstance(expected, str) or not self._binds(expected, size, dims)):
                raise self._wrong_shape(array, expected if isinstance(expected, str) else None, dims)
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        if self.float:
            return self._admit_floats(array, flags)
        if self.coded:
            return self._admit_codes(array, flags)
        return self._admit_range(array, flags) if self.ranged else array

    def fill(self, arrays: dict[str, Any], dims: dict[str, tuple[int, str]], flags: list[Flag]) -> None:
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

    def _binds(self, name: str, size: int, dims: dict[str, tuple[int, str]]) -> bool:
        known = dims.get(name)
        if known is None:
            dims[name] = (size, self.name)
            return size > 0
        return known[0] == size

    def _admit_floats(self, array: Array, flags: list[Flag]) -> Array:
        flat = array.ravel()
        if self.ranged:
            if flat.size and np.minimum.reduce(flat) >= self.low and np.maximum.reduce(flat) <= self.high:  # NaN compares as False
                return array
        elif math.isfinite(flat.dot(flat)):  # squares cannot cancel: finite only where every element is
            return array
        if not self.spec.missing and (nan := np.isnan(array)).any():
            raise refusal("a value is missing (NaN) and this input takes no missing values", self.name, self._row(nan))
        return self._admit_range(array, flags)

    def _admit_range(self, array: Array, flags: list[Flag]) -> Array:
        outside = (array < self.low) | (array > self.high) if self.ranged else np.isinf(array)
        if not outside.any():
            return array
        if self.spec.on_range == "reject":
            expected = f"{self.low:g} to {self.high:g}" if self.ranged else "a finite number"
            raise refusal("a value is out of range", self.name, self._row(outside), got=array[outside][0].item(), expected=expected)
        clamp = self.spec.on_range == "clamp" and self.ranged
        flags.extend(self._flags(array, outside, "clamped" if clamp else "range"))
        return np.clip(array, self.low, self.high).astype(self.rim) if clamp else array

    def _admit_codes(self, array: Array, flags: list[Flag]) -> Array:
        known = len(cast("tuple[str, ...]", self.spec.categories))
        flat = array.ravel()
        if not flat.size or (np.minimum.reduce(flat) >= 0 and np.maximum.reduce(flat) < known):
            return array
        missing = array == MISSING_CODE
        if not self.spec.missing and missing.any():
            raise refusal("a category is missing and this input takes no missing values", self.name, self._row(missing))
        unknown = ((array < 0) | (array >= known)) & ~missing
        if not unknown.any():
            return array
        if self.spec.on_unknown == "reject":
            names = ", ".join(cast("tuple[str, ...]", self.spec.categories)[:10]) + (", ..." if known > 10 else "")
            raise refusal("this category is unknown", self.name, self._row(unknown), got=array[unknown][0].item(), expected=names)
        flags.extend(self._flags(array, unknown, "unknown"))
        return np.where(unknown, UNKNOWN_CODE, array).astype(self.rim) if self.rim.kind == "i" else array

    def _admit_images(self, value: Any, dims: dict[str, tuple[int, str]]) -> Any:
        if isinstance(value, list | tuple) and value:
            images = [to_rim(self.spec, image, row) for row, image in enumerate(cast("list[Any]", value))]
        else:
            value = images = to_rim(self.spec, value)
            if images.ndim != self.rank:
                raise self._wrong_shape(images)
        if not self._binds(str(self.shape[0]), len(images), dims):
            raise refusal("the number of images differs from the rows of other inputs", self.name, got=len(images))
        for row, image in enumerate(images):
            self._check_image(image, row)
        return np.ascontiguousarray(images) if isinstance(images, np.ndarray) else images

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

    def _wrong_shape(self, array: Array, dim: str | None = None, dims: Mapping[str, tuple[int, str]] | None = None) -> InputError:
        got = f"{_shape_text(array.shape)}"
        if dim is not None and dims is not None and (known := dims[dim])[0] > 0:
            return refusal(f"{dim!r} is {known[0]} in {known[1]!r}", self.name, got=got, expected=_shape_text(self.shape))
        what = "a dimension is empty" if 0 in array.shape and array.ndim == self.rank else "the shape does not fit"
        return refusal(what, self.name, got=got, expected=_shape_text(self.shape))


def _shape_text(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(str(size) for size in shape)})"
