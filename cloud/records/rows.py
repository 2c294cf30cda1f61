"""Records as rows of a table: scalar columns as in Record v1, tensors and the receipt as JSON text.

A server writes thousands of rows a second beside answering, in the same interpreter, so what is done for each is kept small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any, Protocol

from ...sdk.core.records import Record, keep
from ...sdk.core.signature import Array, Signature

try:
    import orjson
except ModuleNotFoundError:  # records are read without the serving libraries too
    orjson = None

TEXTS = ("inputs", "features", "outputs", "receipt", "flags")
"""Columns that hold JSON."""
_TYPES = {"server_ms": "INTEGER NOT NULL", "event_ms": "INTEGER NOT NULL", "sequence": "INTEGER", "version": "INTEGER NOT NULL",
          "exposed": "INTEGER NOT NULL", "propensity": "REAL NOT NULL", "selection": "REAL NOT NULL"}  # fmt: skip
COLUMNS = tuple(item.name for item in fields(Record))
_COLUMN_TYPES = ", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS)
SCHEMA = f"CREATE TABLE IF NOT EXISTS records ({_COLUMN_TYPES}, PRIMARY KEY (id)) WITHOUT ROWID"
INSERT = f"INSERT OR IGNORE INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' for _ in COLUMNS)})"  # noqa: S608  constants only
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
    inputs, outputs = (keep(side, signature, raw_limit_bytes) for side in (draft.inputs, draft.outputs))
    features, flags = record.features, record.flags
    texts = {"inputs": _text(inputs), "outputs": _text(outputs), "receipt": _text(record.receipt),
             "features": _text(features) if features else "{}", "flags": _text(flags) if flags else "[]"}  # fmt: skip
    return _in_order({**vars(record), **texts})


def read(values: tuple[Any, ...]) -> Record:
    """The record of a row. Raises ValueError where its JSON is none."""
    data = dict(zip(COLUMNS, values, strict=True))
    data.update({name: json.loads(data[name]) for name in TEXTS}, exposed=bool(data["exposed"]))
    return Record.from_dict(data)


def _text(value: Any) -> str:
    """Compact JSON; what JSON does not know becomes text."""
    if orjson is not None:
        try:
            return orjson.dumps(value, default=str).decode()
        except TypeError:  # a key that is no text, a number beyond 64 bits
            pass
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
