"""Labelled rows of a deployment as its champion's callers sent them: what reviews hold of them, else what records keep.

- A row that a person looked at has its picture, sound or text with the review. Any other labelled row has what its record kept: typed
  tensors, turned back into wire values (names of categories, numbers, None for missing). A row whose inputs are not kept whole (too
  large, redacted, decoded from a picture) is left out, and counted.
- Answers of shadows and of a graph's steps are no rows of the traffic. Rows that waited for a person are, though nobody was given it.
- A label that came of itself, from a system that knows outcomes, counts as one for every row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

import numpy as np
from sqlalchemy import inspect

from ...sdk.core.codec.step import WireField
from ...sdk.core.data import Data
from ...sdk.core.errors import InputError
from ...sdk.core.labels import Label
from ...sdk.core.records import SHADOW, Record
from ...sdk.core.selection import selection_of
from ...sdk.core.signature import Signature, TensorSpec
from ...sdk.dataset import column
from ..deployment.resolving import ResolvedModel
from ..records.database import Database
from ..records.parquet import rows_in
from ..records.reading import between, labels_of
from ..review.gathering import Labelled, Wanted, labelled
from ..review.payload import parts, value_of
from ..review.tables import REVIEWS

EVER_MS = 1 << 60
CHUNK = 500
REVIEWED = ("person", "check")


class _NotKeptError(Exception):
    """A row's inputs are not in its record."""


@dataclass(frozen=True)
class Front:
    """What callers send and what is labelled.

    Attributes:
        name: of the deployment.
        signature, fields: the champion's tensors and the wire fields before them.
        output: the output whose labels count.
    """

    name: str
    signature: Signature
    fields: tuple[WireField, ...]
    output: str

    @classmethod
    def of(cls, name: str, model: ResolvedModel, output: str | None = None) -> Front:
        """Of a resolved champion. `output`: None: its first decision, else its first output."""
        signature = model.signature
        decisions = [spec.name for spec in signature.outputs if spec.kind == "decision"]
        held = signature.output(output).name if output else (decisions or [signature.outputs[0].name])[0]
        return cls(name, signature, model.codec.wire_fields(signature), held)


@dataclass
class Rows:
    """Labelled rows, gone through once.

    Attributes:
        left_out: why rows are not among them -> how many, as far as was gone through.
    """

    database: Database
    front: Front
    since_ms: int = 0
    until_ms: int = EVER_MS
    left_out: Counter[str] = field(default_factory=Counter[str])

    def __iter__(self) -> Iterator[Labelled]:
        """Reviewed rows, then the others by time. Raises FormatError."""
        reviewed = set[tuple[str, int]]()
        for row in labelled(self.database, Wanted((self.front.name,))) if self._reviews() else ():
            if self.since_ms <= row.created_ms < self.until_ms and row.label.values.get(self.front.output) is not None:
                reviewed.add((row.record, row.row))
                if row.parts:
                    yield row
                else:
                    self.left_out["nothing of it was kept with the review"] += 1
        for record, labels in self._records():
            for number, label in labels.items():
                if (record.id, number) not in reviewed and (found := self._row(record, number, label)) is not None:
                    yield found

    def _reviews(self) -> bool:
        """Somebody was asked something; else there is no such table."""
        return inspect(self.database.engine).has_table(REVIEWS.name)

    def _records(self) -> Iterator[tuple[Record, dict[int, Label]]]:
        held = between(self.database, self.since_ms, self.until_ms, self.front.name)
        while part := list(islice(held, CHUNK)):
            labels = labels_of(self.database, [record.id for record in part])
            own: dict[str, dict[int, Label]] = {}
            for (record, row), label in labels.items():
                own.setdefault(record, {})[row] = label
            for record in part:
                if record.id in own and record.arm != SHADOW and record.parent is None:
                    yield record, own[record.id]

    def _row(self, record: Record, row: int, label: Label) -> Labelled | None:
        if label.values.get(self.front.output) is None:
            self.left_out[f"nothing is said of {self.front.output}"] += 1
            return None
        try:
            payload = wire_row(record, row, self.front)
        except _NotKeptError as error:
            self.left_out[str(error)] += 1
            return None
        chosen = selection_of(record, row)
        known = label.source in REVIEWED and chosen.probability > 0
        answers = record.outputs.get(self.front.output)
        model = cast("list[Any]", answers)[row] if isinstance(answers, list) and row < len(cast("list[Any]", answers)) else None
        return Labelled("", record.id, row, record.name, record.package, record.entity, record.event_ms,
                        chosen.probability if known else 1.0, (chosen.reason or "") if known else "outcome", self.front.output, model,
                        label, tuple(parts(payload)))  # fmt: skip


def wire_row(record: Record, row: int, front: Front) -> dict[str, Any]:
    """One row of a record as a caller could have sent it. Raises _NotKeptError, with why, where its inputs are not all there."""
    if row >= rows_in(record):
        raise _NotKeptError("the record has no such row")
    return {wire.name: _wire_value(wire, record.inputs, row, front.signature) for wire in front.fields}


def data_of(rows: Sequence[Labelled], front: Front, slices: Iterable[str] = ()) -> Data:
    """Rows as models take them, labelled. `slices`: wire fields to tell them apart by. Raises InputError without rows."""
    if not rows:
        raise InputError("No row is labelled", fix="Label some records first.")
    held = [{part.field: value_of(part) for part in row.parts} for row in rows]
    inputs = {wire.name: _column(wire, [one.get(wire.name) for one in held], front.signature) for wire in front.fields}
    groups = {name: np.array([str(one.get(name)) for one in held]) for name in slices if all(name in one for one in held)}
    return Data(inputs, np.array([row.label.values[front.output] for row in rows]), groups)


def _wire_value(wire: WireField, inputs: Mapping[str, Any], row: int, signature: Signature) -> Any:
    if wire.type not in ("tensor", "category", "number"):
        raise _NotKeptError(f"{wire.name} ({wire.type}) is kept with reviews, not in records")
    spec = signature.input(wire.inputs[0] if wire.inputs else wire.name)
    kept = inputs.get(spec.name)
    if not isinstance(kept, list) or spec.batch_axis != 0:
        raise _NotKeptError(f"{wire.name} is redacted, or was too large to be kept")
    value = cast("list[Any]", kept)[row]
    if wire.type == "number":
        return None if _missing(value) else value
    names = wire.categories or spec.categories
    if names is None or not isinstance(value, int | float):
        return value
    return names[int(value)] if 0 <= int(value) < len(names) else None


def _column(wire: WireField, values: list[Any], signature: Signature) -> Any:
    """A wire field of many rows. Typed tensors get back their dtype, and codes in the place of names."""
    if wire.type != "tensor":
        return values if wire.type != "number" else column(values)
    spec = signature.input(wire.inputs[0] if wire.inputs else wire.name)
    if spec.categories is not None:
        codes = {name: code for code, name in enumerate(spec.categories)}
        values = [codes.get(value, value) if isinstance(value, str) else value for value in values]
    held: Any = column(values)
    return held.astype(_dtype(spec)) if isinstance(held, np.ndarray) and held.dtype.kind == "f" and not np.isnan(held).any() else held


def _dtype(spec: TensorSpec) -> np.dtype[Any]:
    return np.dtype({"f16": np.float16, "f32": np.float32, "f64": np.float64, "bool": np.bool_, "u8": np.uint8, "i8": np.int8,
                     "i32": np.int32, "i64": np.int64}.get(spec.dtype, np.float64))  # fmt: skip


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
