"""Whether the memory of a signature's tensors stays where it is for as long as its interpreter lives.

TFLite plans memory in `AllocateTensors`. It plans again within a call only behind an operator whose output has a size that is
known no earlier (a dynamic tensor), and then everything may move. Such an operator, and all that comes after it, has no memory
before the first call. So where every operator leads to an output of the signature, and those outputs have memory right after
`AllocateTensors`, memory is planned once (subgraph.cc: `PrepareOpsAndTensors`, `InvokeImpl`; arena_planner.cc). One case is left:
the very last operator may find out only when it runs that its output needs memory of its own, as RESHAPE does to a shape that is
an input. It then moves in the first call, and the views are compared with the tensors after it.

An operator that calls another subgraph may move that one's memory, so files with such operators are never settled. The few
fields that are needed are read from the flatbuffer here: a device may have no reader for TFLite's schema.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ...sdk.core.signature import NUMPY, Array, DType

Bytes: TypeAlias = "bytes | mmap.mmap"

_CALLERS = frozenset((31, 32, 118, 119, 129))
"""CALL, CUSTOM, IF, WHILE, CALL_ONCE: operators that run another subgraph, or may."""
_STABLEHLO = 162
"""The first of TFLite's numbers for StableHLO operators, of which some run another subgraph."""
_DTYPES: dict[int, DType] = {0: "f32", 2: "i32", 3: "u8", 4: "i64", 6: "bool", 9: "i8"}
"""TFLite's number -> dtypes whose memory is numpy's: texts are not, and of int4 two share a byte."""


@dataclass(frozen=True)
class Layout:
    """What a file says of its subgraphs.

    Attributes:
        operators: subgraph -> (inputs, outputs) of each operator, in order.
        dtypes: subgraph -> dtype of each tensor, None for one whose memory is not numpy's.
    """

    operators: tuple[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...], ...]
    dtypes: tuple[tuple[DType | None, ...], ...]

    def leads(self, subgraph: int, outputs: Collection[int]) -> bool:
        """Whether every operator has a part in one of these tensors."""
        needed = set(outputs)
        for reads, writes in reversed(self.operators[subgraph]):
            if needed.isdisjoint(writes):
                return False
            needed.update(reads)
        return True

    def plain(self, subgraph: int, place: int, view: object) -> bool:
        """Whether `view` is the memory of a tensor as numpy would lay it out."""
        dtype = self.dtypes[subgraph][place]
        if dtype is None or type(view) is not np.ndarray:  # numpy makes a copy of a tensor without axes
            return False
        held: Array = view
        return held.dtype is NUMPY[dtype] and held.size > 0 and bool(held.flags.carray)


def where(view: Array) -> tuple[int, tuple[int, ...]]:
    """Address and shape; a tensor without axes has none of its own, because numpy makes a copy."""
    return view.__array_interface__["data"][0], view.shape


def layout(file: Path) -> Layout | None:
    """What `file` says; None where an operator may run another subgraph, or the file is not to be read."""
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            model = _u32(data, 0)
            if any(code in _CALLERS or code >= _STABLEHLO for code in [_code(data, table) for table in _tables(data, model, 1)]):
                return None
            graphs = _tables(data, model, 2)
            operators = tuple(tuple((_ints(data, one, 1), _ints(data, one, 2)) for one in _tables(data, graph, 3)) for graph in graphs)
            dtypes: list[list[DType | None]] = [[_dtype(data, one) for one in _tables(data, graph, 0)] for graph in graphs]
            return Layout(operators, tuple(tuple(held) for held in dtypes))
    except (struct.error, ValueError, IndexError):
        return None


def _u32(data: Bytes, place: int) -> int:
    """A place in the file, from the distance that is written at `place`."""
    return place + struct.unpack_from("<I", data, place)[0]


def _field(data: Bytes, table: int, number: int) -> int | None:
    """Where a table keeps a field; None where it is left at its default."""
    described = table - struct.unpack_from("<i", data, table)[0]
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", data, described)[0]:
        return None
    distance = struct.unpack_from("<H", data, described + slot)[0]
    return table + distance if distance else None


def _vector(data: Bytes, table: int, number: int) -> tuple[int, int]:
    """(first item, items) of a field that is a vector."""
    field = _field(data, table, number)
    if field is None:
        return 0, 0
    start = _u32(data, field)
    return start + 4, struct.unpack_from("<I", data, start)[0]


def _tables(data: Bytes, table: int, number: int) -> list[int]:
    first, count = _vector(data, table, number)
    return [_u32(data, place) for place in range(first, first + 4 * count, 4)]


def _ints(data: Bytes, table: int, number: int) -> tuple[int, ...]:
    first, count = _vector(data, table, number)
    return struct.unpack_from(f"<{count}i", data, first)


def _byte(data: Bytes, table: int, number: int) -> int:
    field = _field(data, table, number)
    return 0 if field is None else struct.unpack_from("<b", data, field)[0]


def _dtype(data: Bytes, tensor: int) -> DType | None:
    return _DTYPES.get(_byte(data, tensor, 1))


def _code(data: Bytes, table: int) -> int:
    """The number of an operator's kind; old files keep it in a byte."""
    field = _field(data, table, 3)
    return max(_byte(data, table, 0), 0 if field is None else struct.unpack_from("<i", data, field)[0])
