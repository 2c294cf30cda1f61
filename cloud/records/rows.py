"""Records as rows of a table: scalar columns as in Record v1, tensors and the receipt as JSON text.

A server writes thousands of rows a second beside answering, in the same interpreter, so what is done for each is kept small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any, Protocol

import numpy as np

from ...sdk.core.records import Record, keep
from ...sdk.core.signature import Array, Signature

try:
    import orjson
except ModuleNotFoundError:  # records are read without the serving libraries too
    orjson = None

FEW = 24
"""Numbers that are looked at one by one, which is faster than to begin with arrays."""
TEXTS = ("inputs", "features", "outputs", "receipt", "flags")
"""Columns that hold JSON."""
_TYPES = {"server_ms": "INTEGER NOT NULL", "event_ms": "INTEGER NOT NULL", "sequence": "INTEGER", "version": "INTEGER NOT NULL",
          "exposed": "INTEGER NOT NULL", "propensity": "REAL NOT NULL", "selection": "REAL NOT NULL"}  # fmt: skip
COLUMNS = tuple(item.name for item in fields(Record))
_COLUMN_TYPES = ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS)
SCHEMA = f"CREATE TABLE IF NOT EXISTS records ({_COLUMN_TYPES}, PRIMARY KEY (id)) WITHOUT ROWID"
AT_ONCE = (64, 8, 1)
"""Rows of one statement. SQLite works without the interpreter's lock inside a statement, so larger ones disturb the server less."""
_VALUES = f"({', '.join('?' for _ in COLUMNS)})"
INSERTS = {
    rows: f"INSERT OR IGNORE INTO records ({', '.join(COLUMNS)}) VALUES {', '.join([_VALUES] * rows)}"  # noqa: S608  constants only
    for rows in AT_ONCE
}
_in_order = itemgetter(*COLUMNS)


class Drafted(Protocol):
    """A record with its tensors as they are; the writer's thread makes them storable, redacted where the signature says."""

    @property
    def record(self) -> Record:
        """The record without its tensors."""
        ...

    @property
    def inputs(self) -> Mapping[str, Array]:
        """Typed inputs."""
        ...

    @property
    def outputs(self) -> Mapping[str, Array]:
        """Typed outputs."""
        ...

    @property
    def signature(self) -> Signature:
        """Which says what is redacted."""
        ...


@dataclass(frozen=True)
class Draft:
    """A draft whose record is there already."""

    record: Record
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    signature: Signature


def row(draft: Drafted, raw_limit_bytes: int) -> tuple[Any, ...]:
    """The draft as values of `COLUMNS`."""
    record, signature = draft.record, draft.signature
    features, flags = record.features, record.flags
    texts = {"inputs": _tensors(draft.inputs, signature, raw_limit_bytes), "outputs": _tensors(draft.outputs, signature, raw_limit_bytes),
             "receipt": _text(record.receipt), "features": _text(features) if features else "{}",
             "flags": _text(flags) if flags else "[]"}  # fmt: skip
    return _in_order({**vars(record), **texts})


def statements(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    """Statements that insert the rows, with their values."""
    done = 0
    for size in AT_ONCE:
        while len(rows) - done >= size:
            yield INSERTS[size], list(chain.from_iterable(rows[done : done + size]))
            done += size


def read(values: tuple[Any, ...]) -> Record:
    """The record of a row. Raises ValueError where its JSON is none."""
    data = dict(zip(COLUMNS, values, strict=True))
    data.update({name: json.loads(data[name]) for name in TEXTS}, exposed=bool(data["exposed"]))
    return Record.from_dict(data)


def _tensors(arrays: Mapping[str, Array], signature: Signature, raw_limit_bytes: int) -> str:
    """What is kept of tensors, as JSON. Small ones of usual numbers, which need no second look, are written by orjson itself."""
    if orjson is not None and not _hides(signature) and all(_usual(array, raw_limit_bytes) for array in arrays.values()):
        return orjson.dumps(arrays, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return _text(keep(arrays, signature, raw_limit_bytes))


def _usual(array: Any, limit_bytes: int) -> bool:
    """Few enough integers, or finite numbers, in an order that is written as it stands."""
    if type(array) is not np.ndarray or array.nbytes > limit_bytes or array.ndim == 0 or not array.flags.c_contiguous:
        return False
    kind = array.dtype.kind
    if kind != "f" or array.dtype.itemsize < 4:
        return kind in "iu"
    return all(map(isfinite, array.ravel().tolist())) if array.size <= FEW else bool(np.isfinite(array).all())


def _hides(signature: Signature) -> bool:
    """A field of it is redacted, or stays on the device. Looked up once per signature."""
    held = _HIDING.get(id(signature))
    if held is None or held[0] is not signature:
        found = any(spec.redact or spec.stays_on_device for spec in (*signature.inputs, *signature.outputs))
        held = _HIDING[id(signature)] = (signature, found)
    return held[1]


_HIDING: dict[int, tuple[Signature, bool]] = {}


def _text(value: Any) -> str:
    """Compact JSON; what JSON does not know becomes text."""
    if orjson is not None:
        try:
            return orjson.dumps(value, default=str).decode()
        except TypeError:  # a key that is no text, a number beyond 64 bits
            pass
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
