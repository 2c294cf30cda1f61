"""What an engine takes and gives, in which sizes, and how calls of any number of rows are fitted to it. Pure data and arithmetic.

TensorRT holds true dynamic dimensions, between a least and a most, and is fastest at a usual size: an optimization profile. Calls of
more rows than the most are cut; other dimensions beyond their range are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np

from ...sdk.core.errors import FormatError, InputError
from ...sdk.core.signature import Shape

Profile: TypeAlias = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""Input -> its least, usual and largest shape."""


@dataclass(frozen=True)
class Slot:
    """One tensor at the rim: its name, numpy's name of its dtype, and its shape: ints, and symbols."""

    name: str
    dtype: str
    shape: Shape

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Slot:
        """Parse. Raises KeyError, TypeError or ValueError."""
        shape: Any = data["shape"]
        if not isinstance(shape, list) or not all(_is_size(size) for size in cast("list[object]", shape)):
            raise ValueError(f"{str(shape)[:80]} is no shape")
        return cls(str(data["name"]), np.dtype(str(data["dtype"])).name, tuple(data["shape"]))


@dataclass(frozen=True)
class Piece:
    """Rows of a call that the engine answers in one go."""

    start: int
    rows: int


@dataclass(frozen=True)
class Rim:
    """How one engine is called.

    Attributes:
        inputs, outputs: tensors.
        ranges: symbol of an input -> least, usual and largest size.
        batch: the symbol that counts rows; None where the number of rows is fixed.
    """

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    ranges: Mapping[str, tuple[int, int, int]] = field(default_factory=dict[str, "tuple[int, int, int]"])
    batch: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what an artifact keeps per engine."""
        sides = {side: [slot.to_dict() for slot in slots] for side, slots in (("inputs", self.inputs), ("outputs", self.outputs))}
        return {**sides, "ranges": {symbol: list(sizes) for symbol, sizes in self.ranges.items()}, "batch": self.batch}

    @classmethod
    def from_dict(cls, data: Any) -> Rim:
        """Parse. Raises FormatError."""
        try:
            inputs, outputs = (tuple(Slot.from_dict(slot) for slot in data[side]) for side in ("inputs", "outputs"))
            ranges = {str(symbol): _range(sizes) for symbol, sizes in data["ranges"].items()}
            batch = None if data["batch"] is None else str(data["batch"])
            if free := [size for slot in inputs for size in slot.shape if isinstance(size, str) and size not in ranges]:
                raise ValueError(f"{free[0]!r} has no range")
            if batch is not None and batch not in ranges:
                raise ValueError(f"the batch {batch!r} has no range")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"The description of an engine is malformed: {error!r}", got=str(data)[:200]) from error
        return cls(inputs, outputs, ranges, batch)

    @property
    def profile(self) -> Profile:
        """The shapes of every input that has a symbol."""
        free = [slot for slot in self.inputs if any(isinstance(size, str) for size in slot.shape)]
        return {slot.name: tuple(_shape(slot.shape, self.ranges, place) for place in range(3)) for slot in free}  # type: ignore[misc]

    @property
    def cuts(self) -> bool:
        """Rows can be answered apart: every output has the batch among its axes, so that pieces can be put together."""
        return self.batch is not None and all(self.batch in slot.shape for slot in self.outputs)

    def sizes(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """Symbol -> size in a call.

        Raises InputError for another number of axes, a fixed size that differs, inputs that disagree, and sizes beyond the profile.
        """
        found: dict[str, int] = {}
        for slot in self.inputs:
            shape = tuple(shapes[slot.name])
            if len(shape) != len(slot.shape):
                raise InputError("An input has another number of axes", field=slot.name, got=shape, expected=slot.shape)
            for symbol, size in zip(slot.shape, shape, strict=True):
                wanted = found.setdefault(symbol, size) if isinstance(symbol, str) else symbol
                if wanted != size:
                    raise InputError("A size of an input does not fit", field=slot.name, got=shape, expected=slot.shape)
        for symbol, size in found.items():
            self._check(symbol, size)
        return found

    def pieces(self, sizes: Mapping[str, int]) -> list[Piece]:
        """The calls of the engine that answer a call of these sizes; none for a call of no rows."""
        if self.batch is None or self.batch not in sizes:
            return [Piece(0, 0)]
        rows, most = sizes[self.batch], self.ranges[self.batch][2]
        return [Piece(start, min(most, rows - start)) for start in range(0, rows, most)]

    def _check(self, symbol: str, size: int) -> None:
        low, _, high = self.ranges[symbol]
        if symbol == self.batch and self.cuts:
            return
        if not low <= size <= high:
            option = "batches" if symbol == self.batch else "sizes"
            field_ = next(slot.name for slot in self.inputs if symbol in slot.shape)
            raise InputError(f"The size of {symbol!r} is not one that was compiled", field=field_, got=size, expected=f"{low} to {high}",
                             fix=f"Compile with the option {option} if such sizes are real.")  # fmt: skip


def _is_size(size: object) -> bool:
    return isinstance(size, str) or (isinstance(size, int) and not isinstance(size, bool) and size >= 0)


def _range(sizes: Any) -> tuple[int, int, int]:
    low, usual, high = (int(size) for size in sizes)
    if not 0 < low <= usual <= high:
        raise ValueError(f"{sizes} is no least, usual and largest size")
    return low, usual, high


def _shape(shape: Shape, ranges: Mapping[str, tuple[int, int, int]], place: int) -> tuple[int, ...]:
    return tuple(ranges[size][place] if isinstance(size, str) else size for size in shape)
