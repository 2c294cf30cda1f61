"""A request to a graph: its fields are known, it has rows, and every field has as many. What the fields hold, the steps judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...sdk.core.errors import InputError
from ...sdk.core.refusal import refusal
from ...sdk.core.signature import Array
from ..answering.answers import Question
from .fitting import RequestField
from .merging import ROW
from .references import REQUEST, Reference, Source
from .rows import Answered


class RequestReader:
    """The fields of one graph.

    Args:
        fields: by name.
        answer: output -> sources; fields named there are kept to be given back.
        max_rows: more rows are refused.
    """

    def __init__(self, fields: Mapping[str, RequestField], answer: Mapping[str, tuple[Source, ...]], max_rows: int) -> None:
        self._fields, self._max_rows = fields, max_rows
        self._required = tuple(name for name, field in fields.items() if field.required)
        named = [source for sources in answer.values() for source in sources if isinstance(source, Reference)]
        self._given_back = tuple(dict.fromkeys(source.name for source in named if source.step == REQUEST))

    def read(self, question: Question) -> tuple[dict[str, Any], int]:
        """(field -> batch, rows). Raises InputError naming the field."""
        wire: dict[str, Any] = {}
        rows, first = -1, ""
        for name, value in question.wire.items():
            field = self._fields.get(name)
            if field is None:
                raise refusal("there is no such field", str(name)[:60], expected=", ".join(self._fields))
            wire[name] = value = _batch(value, field)
            if field.axis is None:
                continue
            count = _count(value, field.axis, name)
            if rows >= 0 and count != rows:
                raise InputError("The fields have different numbers of rows", field=name, got=count, expected=f"{rows}, as {first!r}")
            rows, first = count, name
        for name in self._required:
            if name not in wire:
                raise refusal("this field is missing", name, expected=", ".join(self._fields))
        if rows == 0:
            raise refusal("there are no rows", first)
        if rows > self._max_rows:
            raise InputError(f"There are too many rows in {first!r}", field=first, got=rows, expected=f"at most {self._max_rows}",
                             fix="Send them in several requests.")  # fmt: skip
        return wire, max(rows, 1)

    def kept(self, wire: Mapping[str, Any], rows: int) -> Answered | None:
        """The fields that the answer gives back, as a step that answered before all others."""
        if not self._given_back:
            return None
        outputs: dict[str, Array] = {}
        for name in self._given_back:
            if name in wire:
                outputs[name] = _array(wire[name], self._fields[name])
            elif name == ROW:
                outputs[name] = np.arange(rows)
        return Answered(None, outputs, {name: self._fields[name].axis if name in self._fields else 0 for name in outputs})


def _batch(value: Any, field: RequestField) -> Any:
    """A bare value of a codec's field is a batch of one."""
    if field.spec is None and (value is None or isinstance(value, str | bytes | bytearray | int | float)):
        return [value]
    picture = field.wire.type == "image" and isinstance(value, np.ndarray)
    if picture and (value.ndim < 3 or (value.ndim == 3 and value.shape[-1] in (1, 3, 4))):
        return [value]
    return value


def _count(value: Any, axis: int, name: str) -> int:
    if axis == 0 and isinstance(value, list | tuple):
        return len(value)  # pyright: ignore[reportUnknownArgumentType]
    try:
        return int(np.asarray(value).shape[axis])
    except (ValueError, IndexError) as error:
        raise refusal("this is no batch: it has no axis that counts rows", name) from error


def _array(value: Any, field: RequestField) -> Array:
    if field.spec is not None:
        return np.asarray(value)
    held = np.empty(len(value), object)
    held[:] = list(value)
    return held
