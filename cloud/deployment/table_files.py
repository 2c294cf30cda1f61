"""Files of precomputed answers: .npz, .jsonl and .parquet, each with keys, outputs by name, and a note about what made them.

| | keys | outputs | the note |
|---|---|---|---|
| .npz | array `key` or `entity` of text | array `out/NAME`, rows first | array `about`, JSON text |
| .jsonl | `"key"` or `"entity"` in each line | `"outputs": {NAME: value}` | first line, `{"portside": {...}}` |
| .parquet | column `key` or `entity` | column `out/NAME` | metadata `portside` of the schema |

Nothing is unpickled. What is read here is checked in tables.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast
from zipfile import BadZipFile

import numpy as np

from ...sdk.core.errors import FormatError, MissingExtraError

PREFIX = "out/"
SUFFIXES = (".npz", ".jsonl", ".parquet")


class Columns(NamedTuple):
    """A file, read: the key of each row, a column per output with rows first, what its maker noted."""

    keys: Sequence[Any]
    outputs: Mapping[str, Any]
    about: Mapping[str, Any]


def read_columns(path: Path, key: str) -> Columns:
    """Read a file by its suffix; `key` is "key" or "entity".

    Raises:
        FormatError: cannot be read, or has no such keys; names the row where there is one.
        MissingExtraError: .parquet without pyarrow.
    """
    readers: dict[str, Callable[[Path, str], Columns]] = {".npz": _read_npz, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    reader = readers.get(path.suffix)
    if reader is None:
        raise FormatError("Precomputed answers are in a file of another kind", got=path.name, expected=", ".join(SUFFIXES))
    try:
        return reader(path, key)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise FormatError(f"{path.name} cannot be read as precomputed answers: {error}", got=str(path),
                          expected=f"{key!r} and {PREFIX}NAME") from error  # fmt: skip


def write_columns(path: Path, key: str, columns: Columns) -> None:
    """Write a file by its suffix. Raises FormatError for another suffix, MissingExtraError for .parquet without pyarrow."""
    writers: dict[str, Callable[[Path, str, Columns], None]] = {".npz": _write_npz, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    writer = writers.get(path.suffix)
    if writer is None:
        raise FormatError("Precomputed answers are written to a file of another kind", got=path.name, expected=", ".join(SUFFIXES))
    writer(path, key, columns)


def _read_npz(path: Path, key: str) -> Columns:
    with np.load(path, allow_pickle=False) as held:
        outputs = {name.removeprefix(PREFIX): held[name] for name in held.files if name.startswith(PREFIX)}
        about = json.loads(str(held["about"])) if "about" in held.files else {}
        return Columns(held[key].tolist(), outputs, about)


def _write_npz(path: Path, key: str, columns: Columns) -> None:
    outputs = {f"{PREFIX}{name}": values for name, values in columns.outputs.items()}
    arrays: dict[str, Any] = {"about": np.array(json.dumps(dict(columns.about))), key: np.array(columns.keys, str), **outputs}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _read_jsonl(path: Path, key: str) -> Columns:
    about: Mapping[str, Any] = {}
    keys: list[Any] = []
    outputs: dict[str, list[Any]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = _object(path, number, line)
            if number == 1 and "portside" in row:
                about = row["portside"]
                continue
            said = row.get("outputs")
            if key not in row or not isinstance(said, dict) or (keys and set(cast("dict[str, Any]", said)) != set(outputs)):
                raise FormatError(f"{path.name} line {number}: no row with {key!r} and the outputs of the others", got=line[:100].strip())
            keys.append(row[key])
            for name, value in cast("dict[str, Any]", said).items():
                outputs.setdefault(name, []).append(value)
    return Columns(keys, outputs, about)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise FormatError(f"{path.name} line {number}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise FormatError(f"{path.name} line {number}: not an object", got=line[:100].strip())
    return cast("dict[str, Any]", row)


def _write_jsonl(path: Path, key: str, columns: Columns) -> None:
    plain = {name: np.asarray(values).tolist() for name, values in columns.outputs.items()}
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"portside": dict(columns.about)}) + "\n")
        for row, held in enumerate(columns.keys):
            file.write(json.dumps({key: held, "outputs": {name: values[row] for name, values in plain.items()}}, ensure_ascii=False) + "\n")


def _read_parquet(path: Path, key: str) -> Columns:
    _, parquet = arrow()
    table = parquet.read_table(path)
    note = (table.schema.metadata or {}).get(b"portside", b"{}")
    outputs = {name.removeprefix(PREFIX): table[name].to_pylist() for name in table.column_names if name.startswith(PREFIX)}
    return Columns(table[key].to_pylist(), outputs, json.loads(note))


def _write_parquet(path: Path, key: str, columns: Columns) -> None:
    pyarrow, parquet = arrow()
    data: dict[str, Any] = {key: list(columns.keys)}
    for name, values in columns.outputs.items():
        array = np.asarray(values)
        data[f"{PREFIX}{name}"] = array if array.ndim == 1 and array.dtype.kind != "O" else array.tolist()
    table = pyarrow.table(data).replace_schema_metadata({"portside": json.dumps(dict(columns.about))})
    parquet.write_table(table, path)


def arrow() -> tuple[Any, Any]:
    """pyarrow, and its module for Parquet. Raises MissingExtraError."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError("Files of kind .parquet need pyarrow", extra="parquet") from error
    return pyarrow, parquet
