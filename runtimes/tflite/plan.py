"""What a `.tflite` file offers and how calls of any size are fitted to it: pure data and arithmetic, nothing is run.

TFLite has no dynamic dimension. A file holds one signature per combination of sizes (batches of 1 and of 8, sequences of
16, 64 and 256, ...), all on the same weights. A call's rows are cut into the batches that there are; any other
symbolic dimension is padded up to the next size, and cropped from the outputs that carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ...sdk.core.errors import FormatError, InputError
from ...sdk.core.signature import DTYPES, DType, Shape


@dataclass(frozen=True)
class Slot:
    """One tensor at the rim of a file.

    Attributes:
        name: the program's value.
        key: what the file's signatures call it.
        dtype: in the file.
        shape: ints, and symbols that the signatures give sizes to.
        pad: inputs: what fills the rest of a symbolic dimension other than the batch.
    """

    name: str
    key: str
    dtype: DType
    shape: Shape
    pad: float | int | bool = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "key": self.key, "dtype": self.dtype, "shape": list(self.shape), "pad": self.pad}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Slot:
        """Parse. Raises KeyError or TypeError; `Plan.odd` looks at what was parsed."""
        return cls(data["name"], data["key"], data["dtype"], tuple(data["shape"]), data.get("pad", 0))


@dataclass(frozen=True)
class Plan:
    """What can be asked of a file.

    Attributes:
        inputs, outputs: tensors at its rim.
        signatures: the file's signature -> symbol -> size. The key "" is a file without signatures: tensors go by name.
        batch: the symbol that counts rows, or None where the number of rows is fixed.
        exact: symbols that are answered in the signatures' very sizes, because nobody knows what pads them.
        fill: rows that fill no batch are padded up to the next one where they are at least this share of it; 1: never.
    """

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    signatures: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: {"": {}})
    batch: str | None = None
    exact: tuple[str, ...] = ()
    fill: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what an artifact keeps per file."""
        return {
            "inputs": [slot.to_dict() for slot in self.inputs], "outputs": [slot.to_dict() for slot in self.outputs],
            "signatures": {key: dict(sizes) for key, sizes in self.signatures.items()}, "batch": self.batch,
            "exact": list(self.exact), "fill": self.fill,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Parse. Raises FormatError."""
        try:
            inputs, outputs = (tuple(Slot.from_dict(slot) for slot in data[side]) for side in ("inputs", "outputs"))
            signatures = {str(key): {str(symbol): int(size) for symbol, size in sizes.items()} for key, sizes in data["signatures"].items()}
            plan = cls(inputs, outputs, signatures, data["batch"], tuple(data["exact"]), float(data["fill"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FormatError(f"The description of a TFLite file is malformed: {error!r}", got=str(data)[:200]) from error
        if odd := plan.odd():
            raise FormatError(f"The description of a TFLite file is malformed: {odd}", got=str(data)[:200])
        return plan

    def odd(self) -> str | None:
        """What no file can be asked for, in words; None for a plan that makes sense."""
        if odd := [slot for slot in (*self.inputs, *self.outputs) if not _makes_sense(slot)]:
            return f"a tensor {ascii(odd[0])[:160]}"
        if not self.signatures or not all(_size(size, 1) for sizes in self.signatures.values() for size in sizes.values()):
            return "no signatures, or sizes that none can have"
        if self.batch is not None and not all(self.batch in [*sizes] for sizes in self.signatures.values()):
            return f"a signature has no size of {ascii(self.batch)[:40]}"
        return None

    def sizes(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """Symbol -> size in a call, from the shapes of its inputs.

        Raises InputError for an input with another number of axes, and for two that disagree about a symbol.
        """
        found: dict[str, int] = {}
        for slot in self.inputs:
            shape = shapes[slot.name]
            if len(shape) != len(slot.shape):
                raise InputError("An input has another number of axes", field=slot.name, got=tuple(shape), expected=slot.shape)
            for symbol, size in zip(slot.shape, shape, strict=True):
                if isinstance(symbol, str) and found.setdefault(symbol, size) != size:
                    raise InputError(f"The inputs disagree about {symbol!r}", field=slot.name, got=size, expected=found[symbol])
        return found

    def fit(self, sizes: Mapping[str, int]) -> list[Piece]:
        """The calls of the engine that answer a call of these sizes.

        Raises InputError for a size beyond the largest there is.
        """
        rest = {symbol: size for symbol, size in sizes.items() if symbol != self.batch}
        bucket = {symbol: self._next(symbol, size) for symbol, size in rest.items()}
        if self.batch is None:
            return [Piece(self._key(bucket), 0, 0, 0)]
        batches = sorted({held[self.batch] for held in self.signatures.values()}, reverse=True)
        cuts = cut(sizes.get(self.batch, 1), batches, self.fill)
        return [Piece(self._key({**bucket, self.batch: batch}), start, rows, batch) for start, rows, batch in cuts]

    def _next(self, symbol: str, size: int) -> int:
        held = sorted({sizes[symbol] for sizes in self.signatures.values() if symbol in sizes})
        if symbol in self.exact and size not in held:
            raise self._refusal(symbol, size, f"{symbol!r} of {' or '.join(map(str, held))}", "has a size that was not compiled")
        if fitting := [one for one in held if one >= size]:
            return fitting[0]
        raise self._refusal(symbol, size, f"at most {held[-1] if held else 0}", "is longer than anything that was compiled")

    def _refusal(self, symbol: str, size: int, expected: str, problem: str) -> InputError:
        carrier = next((slot.name for slot in self.inputs if symbol in slot.shape), None)
        return InputError(f"The dimension {symbol!r} {problem}", field=carrier, got=size, expected=expected,
                          fix=f"Compile with it among sizes={{{symbol!r}: (..., {size})}}.")  # fmt: skip

    def _key(self, wanted: Mapping[str, int]) -> str:
        for key, sizes in self.signatures.items():
            if all(sizes.get(symbol) == size for symbol, size in wanted.items()):
                return key
        raise FormatError("The TFLite file has no signature of these sizes", got=dict(wanted), expected=[*self.signatures])


@dataclass(frozen=True)
class Piece:
    """One call of the engine: `rows` rows from `start` on, in a signature for `batch` rows (0: rows are not counted)."""

    key: str
    start: int
    rows: int
    batch: int


def _makes_sense(slot: Any) -> bool:
    """Whether a slot that was read from data has the types that its fields say."""
    texts = isinstance(slot.name, str) and isinstance(slot.key, str) and isinstance(slot.pad, int | float)
    return texts and slot.dtype in DTYPES and all(_size(size, 0) or isinstance(size, str) for size in slot.shape)


def _size(value: object, least: int) -> bool:
    """Whether it is a size of a dimension: TFLite counts in 32 bits."""
    return type(value) is int and least <= value < 1 << 31


def cut(rows: int, batches: Sequence[int], fill: float = 1.0) -> list[tuple[int, int, int]]:
    """Rows as (start, rows, batch): the largest batches first; a rest that fills none is padded where that is cheaper.

    Args:
        rows: to be answered.
        batches: the sizes there are, largest first.
        fill: as in `Plan`; a rest smaller than every batch is padded in any case.

    >>> cut(19, (8, 1))
    [(0, 8, 8), (8, 8, 8), (16, 1, 1), (17, 1, 1), (18, 1, 1)]
    >>> cut(19, (8, 1), fill=0.3)
    [(0, 8, 8), (8, 8, 8), (16, 3, 8)]
    """
    cuts: list[tuple[int, int, int]] = []
    start = 0
    while start < rows:
        left = rows - start
        whole = next((batch for batch in batches if batch <= left), None)
        larger = next((batch for batch in reversed(batches) if batch > left), None)
        padded = larger if larger is not None and left >= fill * larger else None
        batch = padded or whole or larger or left
        cuts.append((start, min(batch, left), batch))
        start += batch
    return cuts


def concrete(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape with every symbol as its size. Raises FormatError for a symbol without one."""
    try:
        return tuple(sizes[size] if isinstance(size, str) else size for size in shape)
    except KeyError as error:
        raise FormatError("A dimension of the TFLite file has no size", got=cast("str", error.args[0])) from error
