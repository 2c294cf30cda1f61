"""Short rows of floats as lists, which is what most requests hold: read, judged and narrowed in one go.

numpy would need a call each to read, to compare and to narrow them, at several times the cost. What is unusual is left to door_arrays.py.
"""

from __future__ import annotations

import struct
from math import hypot, isfinite
from typing import Any, cast

import numpy as np

from .signature import Array

WIDEST = 256
"""Longer rows are numpy's, which reads all of them at once."""
_FLOAT32 = np.dtype(np.float32)
_LARGEST = float(np.finfo(np.float32).max)
_NUMBERS: set[type] = {int, float}


class RowPacker:
    """Packs rows of one width.

        >>> RowPacker(2, 0.0, 10.0).pack([[1, 2.5], [3.25, 4]])
        array([[1.  , 2.5 ],
               [3.25, 4.  ]], dtype=float32)

    Args:
        width: numbers in a row.
        low, high: values that need no second look.
    """

    def __init__(self, width: int, low: float, high: float) -> None:
        self._width, self._row = width, struct.Struct(f"{width}f")
        self._low, self._high = max(low, -_LARGEST), min(high, _LARGEST)
        self._reach = min(-self._low, self._high)

    def pack(self, rows: list[Any]) -> Array | None:
        """(rows, width) float32, narrowed to nearest; None for everything that has to be looked at more closely."""
        held: Any = np.empty((len(rows), self._width), _FLOAT32)  # a buffer, which the type checker does not know of numpy's arrays
        place, pack = 0, self._row.pack_into
        try:
            for row in rows:
                if type(row) is not list or not self._usual(cast("list[Any]", row)):
                    return None
                pack(held, place, *row)
                place += self._row.size
        except OverflowError:  # an integer beyond every float
            return None
        return held if rows else None

    def _usual(self, row: list[Any]) -> bool:
        """As many numbers as there should be and nothing else, all of them finite and within the limits.

        No number is larger than the length of all of them as a vector, which is found faster than the largest.
        """
        if len(row) != self._width or not _NUMBERS.issuperset(map(type, row)):
            return False
        return hypot(*row) <= self._reach or (isfinite(sum(row)) and self._low <= min(row) and max(row) <= self._high)
