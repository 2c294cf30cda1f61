"""Labels: what was right, said later by somebody, about one row of one record. Pure data and rules, no storage in here.

- A label names its record by id and its row; nothing else joins them, so it may come minutes or months later.
- Nothing is overwritten: a correction is another label. The newest (by `at_ms`, then `id`) of a row counts, earlier ones stay.
- A label's id makes it idempotent: sent twice, it is there once.
- The value None says that nothing is known (any more) of an output: what was said before is taken back.

    >>> first = Label("0190-1", "r", values={"label": 1}, author="ana", at_ms=5)
    >>> newest([first, Label("0190-2", "r", values={"label": 0}, author="ben", at_ms=9)])["r", 0].author
    'ben'
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np

from .errors import FormatError, InputError
from .refusal import nearest
from .signature import MISSING_CODE, Signature, TensorSpec

Source: TypeAlias = Literal["person", "api", "import", "check"]
SOURCES: tuple[Source, ...] = ("person", "api", "import", "check")
LIMITS = {"i8": (-128, 127), "u8": (0, 255), "i32": (-(1 << 31), (1 << 31) - 1), "i64": (-(1 << 63), (1 << 63) - 1), "bool": (0, 1)}


@dataclass(frozen=True)
class Label:
    """What one row of a record should have been answered.

    Attributes:
        id: UUIDv7; the same id twice is one label.
        record: id of the record.
        row: of the record, from 0.
        values: output -> its value for that row, as records hold outputs: codes of categories, numbers, nested lists; None: not known.
        author: who says so.
        at_ms: when, Unix milliseconds.
        source: "person" (a review), "api" (a system that knows the outcome), "import" (a file), "check" (a person, on an answer that was
            drawn at random).
        note: free text of the author.
    """

    id: str
    record: str
    row: int = 0
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    author: str = ""
    at_ms: int = 0
    source: Source = "api"
    note: str = ""

    def __post_init__(self) -> None:
        if not self.id or not self.record:
            raise InputError("A label has an id, and names its record", field="record", got=repr(self.record))
        if self.row < 0:
            raise InputError("A label names a row of its record", field="row", got=self.row, expected="0 or more")
        if not self.author:
            raise InputError("A label has an author", field="author", fix="Say who or what knows it.")
        if not self.values:
            raise InputError("A label says something about at least one output", field="values")
        if self.source not in SOURCES:
            raise InputError("A label has an unknown source", field="source", got=self.source, expected=", ".join(SOURCES))

    @property
    def key(self) -> tuple[str, int]:
        """What it is about: (record, row)."""
        return self.record, self.row

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "values": dict(self.values)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Label:
        """Parse; unknown fields are left out. Raises InputError, FormatError."""
        known = {item.name for item in fields(cls)}
        try:
            return cls(**{key: value for key, value in data.items() if key in known})
        except TypeError as error:
            raise FormatError(f"This is no label: {error}", got=str(dict(data))[:200]) from error


def newest(labels: Iterable[Label]) -> dict[tuple[str, int], Label]:
    """(record, row) -> the label that counts."""
    found: dict[tuple[str, int], Label] = {}
    for label in labels:
        held = found.get(label.key)
        if held is None or (label.at_ms, label.id) > (held.at_ms, held.id):
            found[label.key] = label
    return found


def checked(label: Label, signature: Signature) -> Label:
    """The label as it is kept: names of categories as codes, numbers in the output's own dtype.

    Raises InputError, which names the output, for one that the signature does not know, does not keep, or cannot hold.
    """
    outputs = {spec.name: spec for spec in signature.outputs}
    values: dict[str, Any] = {}
    for name, value in label.values.items():
        if name not in outputs:
            raise InputError(f"A label is about outputs; there is no {name!r}", field=name, expected=", ".join(outputs),
                             fix=nearest(name, outputs))  # fmt: skip
        values[name] = _held(outputs[name], value)
    return replace(label, values=values)


def _held(spec: TensorSpec, value: Any) -> Any:
    """One output's value for a row."""
    if spec.redact or spec.stays_on_device:
        raise InputError(f"Records keep no value of {spec.name!r}", field=spec.name, fix="The signature says so; label another output.")
    if value is None:
        return None
    given = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    _check_shape(spec, given, _row_shape(spec))
    return _each(spec, given)


def _row_shape(spec: TensorSpec) -> tuple[int | str, ...]:
    return tuple(size for axis, size in enumerate(spec.shape) if axis != spec.batch_axis)


def _check_shape(spec: TensorSpec, value: Any, sizes: tuple[int | str, ...]) -> None:
    if not sizes:
        if isinstance(value, list | tuple | dict):
            raise InputError(f"The output {spec.name!r} is one value for a row", field=spec.name, got=repr(value)[:80])
        return
    held = cast("list[Any]", value)
    whole = not isinstance(value, list | tuple) or (isinstance(sizes[0], int) and len(held) != sizes[0])
    if whole:
        raise InputError(f"The output {spec.name!r} has another shape for a row", field=spec.name, got=repr(value)[:80],
                         expected=list(sizes))  # fmt: skip
    for part in held:
        _check_shape(spec, part, sizes[1:])


def _each(spec: TensorSpec, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_each(spec, part) for part in cast("list[Any]", value)]
    if spec.categories is not None:
        return _code(spec, value)
    if spec.dtype == "string":
        return _text(spec, value)
    return _number(spec, value)


def _code(spec: TensorSpec, value: Any) -> int:
    categories = spec.categories or ()
    if isinstance(value, str) and value in categories:
        return categories.index(value)
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(categories)
    if not known and not (value == MISSING_CODE and spec.missing):
        raise InputError(f"The output {spec.name!r} has no such category", field=spec.name, got=repr(value)[:80],
                         expected=", ".join(categories[:20]), fix=nearest(str(value), categories))  # fmt: skip
    return int(value)


def _text(spec: TensorSpec, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"The output {spec.name!r} is text", field=spec.name, got=repr(value)[:80])
    return value


def _number(spec: TensorSpec, value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        if spec.missing:
            return None
        raise InputError(f"The output {spec.name!r} is never missing", field=spec.name)
    if not isinstance(value, int | float):
        raise InputError(f"The output {spec.name!r} is a number", field=spec.name, got=repr(value)[:80], expected=spec.dtype)
    if spec.dtype not in LIMITS:
        return float(value)
    low, high = LIMITS[spec.dtype]
    if (isinstance(value, float) and not value.is_integer()) or not low <= value <= high:
        expected = f"{spec.dtype}, {low} to {high}"
        raise InputError(f"The output {spec.name!r} cannot hold this", field=spec.name, got=value, expected=expected)
    return bool(value) if spec.dtype == "bool" else int(value)
