"""A digest of rows of data: what a calibration, a trial or an audit was made on."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .canonical import digest_of
from .data import Data
from .signature import Array

AT_ONCE = 1 << 22
"""Bytes that are read at once."""


def data_digest(data: Data) -> str:
    """A digest of the rows as they were given: names, dtypes, shapes and bytes; slices are not among them."""
    parts = {name: _column(held) for name, held in data.inputs.items()}
    return digest_of({"inputs": parts, "labels": None if data.labels is None else _column(data.labels)})


def slices_digest(data: Data) -> str | None:
    """A digest of the groups that the rows are in; None where there are none."""
    return data_digest(Data(inputs=data.slices)) if data.slices else None


def _of_array(held: Array) -> str:
    """Of an array's bytes, part by part: one that is a file (np.memmap) need not fit into memory."""
    digest = hashlib.sha256()
    step = max(1, AT_ONCE // max(1, held.nbytes // max(1, len(held))))
    for start in range(0, len(held), step):
        digest.update(np.ascontiguousarray(held[start : start + step]).tobytes())
    return digest.hexdigest()


def _column(held: Any) -> list[Any]:
    if isinstance(held, np.ndarray) and held.dtype.kind != "O":
        return [held.dtype.str, list(held.shape), _of_array(held)]
    digest = hashlib.sha256()
    for row in held:
        part = row if isinstance(row, bytes) else row.tobytes() if isinstance(row, np.ndarray) else repr(row).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return ["rows", [len(held)], digest.hexdigest()]
