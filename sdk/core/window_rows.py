"""The rows of records, column by column: what windows are summarised from.

A record is one request of several rows; a column knows which row each of its values belongs to, for a record may lack it (redacted,
too large to be kept).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from .profile import OTHER, Profile, Summary, parts
from .records import Record
from .signature import NUMPY, Array, Signature, TensorSpec
from .sketch import Sketch

WIDE, DIRECTIONS = 64, 16
"""Vectors of features wider than WIDE are seen along DIRECTIONS fixed random ones (Achlioptas, 2003)."""
LONG = 64
"""Characters above which a text names no category."""


@dataclass(frozen=True)
class Column:
    """values: one entry a row, an array or, where rows differ in shape, a list; rows: (n,) int64, which row each belongs to."""

    values: Array | list[Any]
    rows: Array
    spec: TensorSpec | None = None

    def only(self, mask: Array) -> Column:
        """Of the rows in `mask`, a bool for every row there is."""
        chosen = mask[self.rows]
        if isinstance(self.values, list):
            return replace(self, values=[value for value, keep in zip(self.values, chosen, strict=True) if keep], rows=self.rows[chosen])
        return replace(self, values=self.values[chosen], rows=self.rows[chosen])

    def named(self) -> list[str]:
        """The values as classes: names of categories, "true" and "false", numbers as text."""
        names = self.spec.categories if self.spec is not None else None
        return [class_of(value, names) for value in (self.values if isinstance(self.values, list) else self.values.tolist())]


@dataclass(frozen=True)
class Rows:
    """Records, their rows, and the columns "in.x", "out.label", "feature.x", "trait.image.brightness".

    Attributes:
        owner: (rows,) int64, the position of each row's record; place: (rows,) int64, its row there.
        mask: (rows,) bool, the rows that count.
        confidence: (rows,) float64, NaN where there is none.
        decided: outputs that are right or wrong; None: not known, their values tell.
    """

    all_records: tuple[Record, ...]
    owner: Array
    place: Array
    mask: Array
    columns: Mapping[str, Column]
    confidence: Array
    decided: tuple[str, ...] | None

    @classmethod
    def of(cls, records: Iterable[Record], signature: Signature | None = None, confidence: str | None = None) -> Rows:
        """Columns of all rows. signature, confidence: see `Window.of`."""
        held = tuple(records)
        counts = np.array([_count(record) for record in held], np.int64)
        starts = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(held)), counts)
        columns = _columns(held, starts, counts, signature)
        decided = None if signature is None else tuple(spec.name for spec in signature.outputs if decides(spec))
        sure = _sureness(columns, confidence, signature, len(owner))
        return cls(held, owner, np.arange(len(owner)) - starts[owner], np.ones(len(owner), bool), columns, sure, decided)

    @property
    def records(self) -> list[Record]:
        """The records that have a row that counts; all of them where all rows do."""
        if self.mask.all():
            return list(self.all_records)
        return [self.all_records[position] for position in np.unique(self.owner[self.mask]).tolist()]

    @property
    def count(self) -> int:
        """Rows that count."""
        return int(self.mask.sum())

    @property
    def deployment(self) -> str:
        """The name of the deployment, or its digest where records have no name; empty where they are of several."""
        names = {record.name or record.deployment for record in self.all_records}
        return next(iter(names)) if len(names) == 1 else ""

    def only(self, mask: Array) -> Rows:
        """The same with other rows that count."""
        return replace(self, mask=mask)

    def profile(self) -> Profile:
        """Every column summarised."""
        found: dict[str, Summary] = {}
        for name, column in self.columns.items():
            held = column.only(self.mask)
            for key, values, rows in parts(name, held.values, WIDE):
                found[key] = brief(Summary.of(values, column.spec.categories if column.spec is not None else None, rows), column.spec)
        return Profile({name: held for name, held in found.items() if held.count})

    def milliseconds(self, name: str) -> Sketch:
        """One time of the receipts."""
        return Sketch.of(np.array([record.receipt[name] for record in self.records if record.receipt.get(name) is not None], np.float64))

    def sure(self) -> Sketch:
        """The confidence."""
        return Sketch.of(self.confidence[self.mask])

    def flags(self) -> Iterator[str]:
        """The "field|why" of every flag of a row that counts, and of requests as a whole."""
        counted = set(zip(self.owner[self.mask].tolist(), self.place[self.mask].tolist(), strict=True))
        owners = {position for position, _ in counted}
        for position, record in enumerate(self.all_records):
            for flag in record.flags:
                row = flag.get("row")
                if (position, row) in counted or (row is None and position in owners):
                    yield f"{flag.get('field')}|{flag.get('why')}"

    def classes(self) -> dict[str, dict[str, int]]:
        """Decided output -> class -> rows."""
        found: dict[str, dict[str, int]] = {}
        for name, column in self.columns.items():
            if name.startswith("out.") and self.decides(name[4:]) and isinstance(column.values, np.ndarray) and column.values.ndim == 1:
                names, counts = np.unique(np.array(column.only(self.mask).named(), dtype=str), return_counts=True)
                found[name[4:]] = {str(key): int(count) for key, count in zip(names, counts, strict=True)}
        return found

    def decides(self, output: str) -> bool:
        """Whether an output is right or wrong, not near or far."""
        if self.decided is not None:
            return output in self.decided
        values = self.columns[f"out.{output}"].values if f"out.{output}" in self.columns else []
        return isinstance(values, np.ndarray) and values.dtype.kind in "OUSbiu"


def brief(held: Summary, spec: TensorSpec | None) -> Summary:
    """The summary without texts that are too long to name something, which count among the others: nobody's words are kept."""
    kept = {name: count for name, count in held.categories.items() if len(name) <= LONG and name != OTHER}
    if len(kept) == len(held.categories) or (spec is not None and spec.categories is not None):
        return held
    return replace(held, categories=dict(sorted({**kept, OTHER: sum(held.categories.values()) - sum(kept.values())}.items())))


def decides(spec: TensorSpec) -> bool:
    """Whether an output names something: of kind "decision", or of no kind and made of categories, texts, bools or integers."""
    if spec.kind is not None:
        return spec.kind == "decision"
    return spec.categories is not None or spec.dtype not in ("f32", "f64", "f16")


def _columns(records: tuple[Record, ...], starts: Array, counts: Array, signature: Signature | None) -> dict[str, Column]:
    specs = {}
    if signature is not None:
        specs = {f"in.{spec.name}": spec for spec in signature.inputs} | {f"out.{spec.name}": spec for spec in signature.outputs}
    values: dict[str, list[Any]] = {}
    rows: dict[str, list[Array]] = {}
    for record, start, count in zip(records, starts.tolist(), counts.tolist(), strict=True):
        places = np.arange(start, start + count)
        for name, held in _fields(record):
            known = signature is None or name in specs or not name.startswith(("in.", "out."))
            if known and isinstance(held, list) and len(cast("list[Any]", held)) == count:
                values.setdefault(name, []).extend(cast("list[Any]", held))
                rows.setdefault(name, []).append(places)
    found = {name: Column(_array(held, specs.get(name)), np.concatenate(rows[name]), specs.get(name)) for name, held in values.items()}
    return {name: _narrow(column) if name.startswith("feature.") else column for name, column in found.items()}


def _fields(record: Record) -> Iterator[tuple[str, Any]]:
    yield from ((f"in.{name}", held) for name, held in record.inputs.items())
    yield from ((f"out.{name}", held) for name, held in record.outputs.items())
    for boundary, fields in record.features.items():
        prefix = "trait" if boundary == "traits" else "feature"
        if isinstance(fields, Mapping):
            yield from ((f"{prefix}.{name}", held) for name, held in cast("Mapping[str, Any]", fields).items())


def _count(record: Record) -> int:
    """Rows of a record: what most of its fields hold, kept or described."""
    sizes: list[int] = [len(cast("list[Any]", held)) if isinstance(held, list) else held["shape"][0] for _, held in _fields(record)
             if isinstance(held, list) or (isinstance(held, Mapping) and held.get("shape"))]  # fmt: skip
    return max(set(sizes), key=lambda size: (sizes.count(size), size)) if sizes else 1


def _array(values: list[Any], spec: TensorSpec | None) -> Array | list[Any]:
    """In the dtype that the model saw, so that a value is the same number as in the package's profile."""
    texts = spec.dtype == "string" if spec is not None else any(isinstance(value, str) and value not in ("inf", "-inf") for value in values)
    if texts:
        return np.array([value if value is None or isinstance(value, str) else str(value) for value in values], dtype=object)
    dtype = NUMPY[spec.dtype] if spec is not None else np.dtype(np.float64)
    if spec is None and values and all(isinstance(value, bool | int) for value in values):
        dtype = np.dtype(np.bool_) if all(isinstance(value, bool) for value in values) else np.dtype(np.int64)
    try:
        return np.array(values, np.float64).astype(dtype) if dtype.kind == "f" else np.array(values, dtype)
    except ValueError:  # rows of different shapes
        return [np.array(value, np.float64).astype(dtype) for value in values]


def _narrow(column: Column) -> Column:
    values = column.values
    if isinstance(values, list) or values.ndim < 2 or values[:1].size <= WIDE:
        return column
    return replace(column, values=narrowed(values))


def narrowed(vectors: Array) -> Array:
    """(rows, ...) wide vectors along the fixed directions: (rows, DIRECTIONS)."""
    flat = vectors.reshape(len(vectors), -1)
    return flat @ _directions(flat.shape[1])


@lru_cache(maxsize=8)
def _directions(width: int) -> Array:
    """(width, DIRECTIONS) of +-1/sqrt(width): the same everywhere and always (the legacy generator is frozen)."""
    signs = np.random.RandomState(width % (1 << 32)).randint(0, 2, (width, DIRECTIONS)) * 2 - 1
    return signs / np.sqrt(width)


def _sureness(columns: Mapping[str, Column], name: str | None, signature: Signature | None, rows: int) -> Array:
    found = np.full(rows, np.nan)
    column = columns.get(f"out.{name}")
    if column is None or isinstance(column.values, list):
        return found
    values = column.values.reshape(len(column.values), -1).astype(np.float64)
    if not values.size:
        return found
    sure = values.max(axis=1)
    found[column.rows] = np.maximum(sure, 1 - sure) if values.shape[1] == 1 and _between_two(signature) else sure
    return found


def _between_two(signature: Signature | None) -> bool:
    """The first output that decides knows two classes: p and 1 - p are as sure."""
    decided = [spec for spec in signature.outputs if decides(spec)] if signature is not None else []
    return bool(decided) and (decided[0].dtype == "bool" or len(decided[0].categories or ()) == 2)


def plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def class_of(value: Any, names: tuple[str, ...] | None) -> str:
    """A value as the name of a class. names: of codes."""
    if value is None or value != value or (names is not None and value == -1):
        return "(missing)"
    if isinstance(value, bool):
        return str(value).lower()
    if names is not None and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else "(unknown)"
    return f"{value:g}" if isinstance(value, float) else str(value)
