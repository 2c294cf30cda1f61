"""Records as rows of a table: scalar columns as in Record v1, tensors and the receipt as JSON text.

A server writes thousands of rows a second beside answering, in the same interpreter, so what is done for each is kept small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import Connection

from ...sdk.core.records import Record, keep
from ...sdk.core.signature import NUMPY, Signature
from .copying import copied
from .draft import Drafted, Row
from .statements import statements
from .tables import COLUMNS, NUMBERS

try:
    import orjson
except ModuleNotFoundError:  # records are read without the serving libraries too
    orjson = None
_dumps: Any = None if orjson is None else orjson.dumps
_NUMPY = 0 if orjson is None else orjson.OPT_SERIALIZE_NUMPY

TEXTS = ("inputs", "features", "outputs", "receipt", "flags")
"""Columns that hold JSON."""
PLAIN = tuple(map(np.dtype, ("float32", "float64", "int8", "uint8", "int32", "int64")))
_PLAIN = frozenset(map(id, PLAIN))
"""Of each there is one object that numpy gives its arrays. (Another that equals it goes the longer way; its hash would cost more.)"""
_ARRAY = np.ndarray
_POSTGRESQL = {"BIGINT": "bigint", "INTEGER": "integer", "FLOAT": "float8", "TEXT": "text"}
_ARRAYS = ", ".join(f"%s::{_POSTGRESQL[str(NUMBERS.get(name, 'TEXT'))]}[]" for name in COLUMNS)
UNNEST = (
    f"INSERT INTO records ({', '.join(COLUMNS)}) SELECT {', '.join(COLUMNS)} FROM unnest({_ARRAYS}) "  # noqa: S608  constants only
    f"WITH ORDINALITY AS given ({', '.join(COLUMNS)}, place) ORDER BY place ON CONFLICT (id) DO NOTHING"
)
"""For PostgreSQL, where some are there already: a list per column, so that one short statement holds any number of rows."""
_in_order = itemgetter(*COLUMNS)


def row(draft: Drafted, raw_limit_bytes: int) -> Row:
    """The draft as values of `COLUMNS`."""
    made = draft.columns(tensors, raw_limit_bytes)
    if made is not None:
        return made
    values, signature = draft.values(), draft.signature
    features, flags = draft.features(raw_limit_bytes), values["flags"]
    values["inputs"], values["outputs"] = tensors(draft.inputs, draft.outputs, signature, raw_limit_bytes)
    values["exposed"] = int(values["exposed"])  # SQLite's driver looks for adapters of a bool, at the cost of ten numbers
    values["receipt"] = text_of(values["receipt"])
    values["features"] = text_of(features) if features else "{}"
    values["flags"] = text_of(flags) if flags else "[]"
    return _in_order(values)


def insert(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert rows, in their order; those whose id is there already are passed over. Raises SQLAlchemyError."""
    if connection.dialect.name == "sqlite":
        for statement, values in statements(rows):
            connection.exec_driver_sql(statement, values)
    elif not copied(connection, rows):
        connection.exec_driver_sql(UNNEST, tuple(map(list, zip(*rows, strict=True))))


def read(values: tuple[Any, ...]) -> Record:
    """The record of a row. Raises ValueError where its JSON is none."""
    data = dict(zip(COLUMNS, values, strict=True))
    data.update({name: json.loads(data[name]) for name in TEXTS}, exposed=bool(data["exposed"]))
    return Record.from_dict(data)


def tensors(inputs: Mapping[str, Any], outputs: Mapping[str, Any], signature: Signature, limit_bytes: int) -> tuple[str, str]:
    """What is kept of tensors in and out, as JSON; larger ones than `limit_bytes` are described."""
    if _hides(signature):
        return text_of(keep(inputs, signature, limit_bytes)), text_of(keep(outputs, signature, limit_bytes))
    return (_usual(inputs, limit_bytes) or text_of(keep(inputs, signature, limit_bytes)),
            _usual(outputs, limit_bytes) or text_of(keep(outputs, signature, limit_bytes)))  # fmt: skip


def _usual(arrays: Mapping[str, Any], limit_bytes: int) -> str | None:
    """Tensors of few usual numbers as orjson itself writes them; None for others. What is not finite it calls null."""
    if orjson is None:
        return None
    for array in arrays.values():
        if type(array) is not _ARRAY or array.nbytes > limit_bytes or id(array.dtype) not in _PLAIN:
            return None
    try:
        text = orjson.dumps(arrays, None, orjson.OPT_SERIALIZE_NUMPY).decode()
    except TypeError:  # no dimensions, or an order that is not written as it stands
        return None
    return None if "null" in text else text


def few(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, str] | None:
    """The same as `tensors`, where all are small and the signature is `usual`; None where a number is not finite."""
    try:
        taken, given = _dumps(inputs, None, _NUMPY).decode(), _dumps(outputs, None, _NUMPY).decode()
    except TypeError:  # an order that is not written as it stands
        return None
    if ("n" in taken and "null" in taken) or ("n" in given and "null" in given):  # one letter is found eight times as fast
        return None
    return taken, given


def usual(signature: Signature) -> bool:
    """Nothing of it is hidden, and orjson writes its tensors as they are kept, but for what is not finite, which it calls null."""
    specs = (*signature.inputs, *signature.outputs)
    plain = all(spec.canvas is None and NUMPY.get(held) in PLAIN for spec in specs for held in (spec.dtype, spec.rim_dtype))
    return orjson is not None and plain and not _hides(signature)


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
