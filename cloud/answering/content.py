"""Keys of requests by what they hold: a digest over names, dtypes, shapes and bytes of the typed inputs.

The keys of a file of precomputed answers are made here too, so what is digested does not change between versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...sdk.core.signature import Array, Signature


def content_key(arrays: Mapping[str, Any]) -> bytes:
    """16 bytes that stand for typed inputs, as the door gave them."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in arrays.items():
        for array in value if isinstance(value, list) else (value,):
            held: Array = np.ascontiguousarray(array)
            digest.update(f"{name}\0{held.dtype.str}\0{held.shape}\0".encode())
            digest.update(held.data if held.dtype.kind != "O" and held.size else repr(held.tolist()).encode())
    return digest.digest()


def row_keys(arrays: Mapping[str, Any], signature: Signature, rows: int) -> list[bytes]:
    """The key of each row, as if it had been sent alone."""
    if rows == 1:
        return [content_key(arrays)]
    axes = {spec.name: spec.batch_axis for spec in signature.inputs}
    return [content_key({name: _row(value, axes.get(name), row) for name, value in arrays.items()}) for row in range(rows)]


def _row(value: Any, axis: int | None, row: int) -> Any:
    if axis is None:
        return value
    return [value[row]] if isinstance(value, list) else value[(slice(None),) * axis + (slice(row, row + 1),)]
