"""A digest of rows of data: what a calibration, a trial or an audit was made on."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .canonical import digest_of
from .data import Data


def data_digest(data: Data) -> str:
    """A digest of the rows as they were given: names, dtypes, shapes and bytes; slices are not among them."""
    parts = {name: _column(held) for name, held in data.inputs.items()}
    return digest_of({"inputs": parts, "labels": None if data.labels is None else _column(data.labels)})


def slices_digest(data: Data) -> str | None:
    """A digest of the groups that the rows are in; None where there are none."""
    return data_digest(Data(inputs=data.slices)) if data.slices else None


def _column(held: Any) -> list[Any]:
    if isinstance(held, np.ndarray) and held.dtype.kind != "O":
        array = np.ascontiguousarray(held)
        return [array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    digest = hashlib.sha256()
    for row in held:
        part = row if isinstance(row, bytes) else row.tobytes() if isinstance(row, np.ndarray) else repr(row).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return ["rows", [len(held)], digest.hexdigest()]
