"""Named tensors in memory that two processes share, without names on the system, pickling or copies on a wire.

A `Region` is anonymous shared memory behind a file descriptor that a child inherits: nothing is left behind when both
ends are gone, however they went. What travels beside it is a small JSON head: name, dtype, shape and offset.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..sdk.core.signature import Array

Tensors: TypeAlias = Mapping[str, "Array | list[Array]"]
"""Name -> tensor; a list where rows differ in shape."""
_ALIGN = 64


class Region:
    """Growing shared memory.

    Args:
        handle: a descriptor inherited from the other end; None makes a new region.
    """

    def __init__(self, handle: int | None = None) -> None:
        self.handle = _anonymous() if handle is None else handle
        self._map: mmap.mmap | None = None

    def write(self, tensors: Tensors) -> dict[str, Any]:
        """Copy tensors in; returns the head that `read` needs at the other end."""
        spans, end = _spans(tensors)
        memory = self._mapped(end, grow=True)
        for _, array, offset in spans:
            if array.dtype.kind != "O":
                target = np.frombuffer(memory, dtype=array.dtype, count=array.size, offset=offset)
                target[:] = array.reshape(-1)
        return {"size": end, "tensors": [_described(name, array, offset, tensors) for name, array, offset in spans]}

    def read(self, head: Mapping[str, Any], copy: bool) -> dict[str, Array | list[Array]]:
        """The tensors of a head. Without `copy` they are read-only views that hold until the region is written again."""
        memory = self._mapped(head["size"], grow=False)
        result: dict[str, Array | list[Array]] = {}
        for entry in head["tensors"]:
            array = _array(entry, memory)
            held = array.copy() if copy else array
            if entry["many"]:
                rows = result.setdefault(entry["name"], [])
                assert isinstance(rows, list)  # noqa: S101  one kind per name, by construction
                rows.append(held)
            else:
                result[entry["name"]] = held
        return result

    def close(self) -> None:
        """Give the descriptor back; views keep their memory."""
        os.close(self.handle)
        self._map = None

    def _mapped(self, size: int, grow: bool) -> mmap.mmap:
        if self._map is None or len(self._map) < size:
            wanted = max(size, mmap.PAGESIZE)
            if grow and os.fstat(self.handle).st_size < wanted:
                os.ftruncate(self.handle, wanted)
            self._map = mmap.mmap(self.handle, os.fstat(self.handle).st_size)
        return self._map


def _anonymous() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("portside", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _spans(tensors: Tensors) -> tuple[list[tuple[str, Array, int]], int]:
    spans: list[tuple[str, Array, int]] = []
    end = 0
    for name, value in tensors.items():
        for array in value if isinstance(value, list) else [value]:
            spans.append((name, np.asarray(array), end))
            if array.dtype.kind != "O":
                end = (end + array.nbytes + _ALIGN - 1) // _ALIGN * _ALIGN
    return spans, end


def _described(name: str, array: Array, offset: int, tensors: Tensors) -> dict[str, Any]:
    entry = {"name": name, "shape": list(array.shape), "many": isinstance(tensors[name], list)}
    if array.dtype.kind == "O":
        return {**entry, "dtype": "O", "values": array.reshape(-1).tolist()}
    return {**entry, "dtype": array.dtype.str, "offset": offset}


def _array(entry: Mapping[str, Any], memory: mmap.mmap) -> Array:
    shape = tuple(entry["shape"])
    if entry["dtype"] == "O":
        objects = np.empty(len(entry["values"]), dtype=object)
        objects[:] = entry["values"]
        return objects.reshape(shape)
    count = int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(memory, dtype=np.dtype(entry["dtype"]), count=count, offset=entry["offset"]).reshape(shape)
    array.flags.writeable = False
    return array
