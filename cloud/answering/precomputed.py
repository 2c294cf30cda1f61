"""Precomputed answers as an entry of the chain: looked up by the content of each row, or by the entity of the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...sdk.core.signature import Array, Signature
from ..deployment.tables import Table
from .cache import Found
from .content import row_keys


class PrecomputedEntry:
    """A table of answers.

    Attributes:
        version: digest of the file.
        hits, misses: counts of lookups.
    """

    name, target = "precomputed", "precomputed"

    def __init__(self, table: Table, signature: Signature) -> None:
        self.version, self._table, self._signature = table.digest, table, signature
        self._axes = {spec.name: spec.batch_axis or 0 for spec in signature.outputs}
        self.hits, self.misses = 0, 0

    def __len__(self) -> int:
        return len(self._table)

    def find(self, arrays: Mapping[str, Any], rows: int, entity: str | None) -> Found | None:
        """The answers to all rows, or None: half an answer is none. By entity only requests of one row have one."""
        places = self._places(arrays, rows, entity)
        if places is None:
            self.misses += 1
            return None
        self.hits += 1
        return Found({name: self._taken(name, column, places) for name, column in self._table.outputs.items()})

    def _places(self, arrays: Mapping[str, Any], rows: int, entity: str | None) -> list[int] | None:
        if self._table.by == "entity":
            place = self._table.places.get(entity) if entity is not None and rows == 1 else None
            return None if place is None else [place]
        found = [self._table.places.get(key) for key in row_keys(arrays, self._signature, rows)]
        return None if None in found else [place for place in found if place is not None]

    def _taken(self, name: str, column: Array, places: list[int]) -> Array:
        taken = column[places]
        return taken if self._axes[name] == 0 else np.moveaxis(taken, 0, self._axes[name])
