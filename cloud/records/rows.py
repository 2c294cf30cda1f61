"""Records as rows of a table: scalar columns as in Record v1, tensors and the receipt as JSON text.

A server writes thousands of rows a second beside answering, in the same interpreter, so what is done for each is kept small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import Connection

from ...sdk.core.records import Record, keep
from ...sdk.core.signature import Array, Signature
from .copying import copied
from .draft import Drafted
from .tables import COLUMNS, NUMBERS

try:
    import orjson
except ModuleNotFoundError:  # records are read without the serving libraries too
    orjson = None

TEXTS = ("inputs", "features", "outputs", "receipt", "flags")
"""Columns that hold JSON."""
PLAIN = frozenset(np.dtype(name) for name in ("float32", "float64", "int8", "uint8", "int32", "int64"))
_POSTGRESQL = {"BIGINT": "bigint", "INTEGER": "integer", "FLOAT": "float8", "TEXT": "text"}
AT_ONCE = (256, 32, 4, 1)
"""Rows of one statement. SQLite works without the interpreter's lock inside a statement, so larger ones disturb the server less."""
_VALUES = f"({', '.join('?' for _ in COLUMNS)})"
INSERTS = {
    rows: f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES {', '.join([_VALUES] * rows)} ON CONFLICT (id) DO NOTHING"  # noqa: S608
    for rows in AT_ONCE
}
_ARRAYS = ", ".join(f"%s::{_POSTGRESQL[str(NUMBERS.get(name, 'TEXT'))]}[]" for name in COLUMNS)
UNNEST = (
    f"INSERT INTO records ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM unnest({_ARRAYS}) "  # noqa: S608  constants only
    f"WITH ORDINALITY AS given ({', '.join(COLUMNS)}, place) ORDER BY place ON CONFLICT (id) DO NOTHING"
)
"""For PostgreSQL, where some are there already: a list per column, so that one short statement holds any number of rows."""
_in_order = itemgetter(*COLUMNS)


def row(draft: Drafted, raw_limit_bytes: int) -> tuple[Any, ...]:
    """The draft as values of `COLUMNS`."""
    values, signature = draft.values(), draft.signature
    features, flags, hides = draft.features(raw_limit_bytes), values["flags"], _hides(signature)
    values["inputs"] = _tensors(draft.inputs, signature, raw_limit_bytes, hides)
    values["outputs"] = _tensors(draft.outputs, signature, raw_limit_bytes, hides)
    values["receipt"] = text_of(values["receipt"])
    values["features"] = text_of(features) if features else "{}"
    values["flags"] = text_of(flags) if flags else "[]"
    return _in_order(values)


def insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, in their order; those whose id is there already are passed over. Raises SQLAlchemyError."""
    if connection.dialect.name == "sqlite":
        for statement, values in _statements(rows):
            connection.exec_driver_sql(statement, values)
    elif not copied(connection, rows):
        connection.exec_driver_sql(UNNEST, tuple(map(list, zip(*rows, strict=True))))


def _statements(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Statements for SQLite, with their values."""
    done = 0
    for size in AT_ONCE:
        while len(rows) - done >= size:
            yield INSERTS[size], tuple(chain.from_iterable(rows[done : done + size]))
            done += size


def read(values: tuple[Any, ...]) -> Record:
    """The record of a row. Raises ValueError where its JSON is none."""
    data = dict(zip(COLUMNS, values, strict=True))
    data.update({name: json.loads(data[name]) for name in TEXTS}, exposed=bool(data["exposed"]))
    return Record.from_dict(data)


def _tensors(arrays: Mapping[str, Array], signature: Signature, raw_limit_bytes: int, hides: bool) -> str:
    """What is kept of tensors, as JSON. Small ones of usual numbers are written by orjson itself, which calls what is not finite null."""
    if orjson is not None and not hides and _usual(arrays, raw_limit_bytes):
        try:
            text = orjson.dumps(arrays, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:  # no dimensions, or an order that is not written as it stands
            text = b"null"
        if b"null" not in text:
            return text.decode()
    return text_of(keep(arrays, signature, raw_limit_bytes))


def _usual(arrays: Mapping[str, Any], limit_bytes: int) -> bool:
    """Few enough numbers each, of types that JSON has."""
    for array in arrays.values():  # noqa: SIM110  `all` of a generator costs a third of a row more
        if type(array) is not np.ndarray or array.nbytes > limit_bytes or array.dtype not in PLAIN:
            return False
    return True


def _hides(signature: Signature) -> bool:
    """A field of it is redacted, or stays on the device. Looked up once per signature."""
    held = _HIDING.get(id(signature))
    if held is None or held[0] is not signature:
        found = any(spec.redact or spec.stays_on_device for spec in (*signature.inputs, *signature.outputs))
        held = _HIDING[id(signature)] = (signature, found)
    return held[1]


_HIDING: dict[int, tuple[Signature, bool]] = {}


def text_of(value: Any) -> str:
    """Compact JSON; what JSON does not know becomes text."""
    if orjson is not None:
        try:
            return orjson.dumps(value, default=str).decode()
        except TypeError:  # a key that is no text, a number beyond 64 bits
            pass
    return json.dumps(value, separators=(",", ":"), default=str)
