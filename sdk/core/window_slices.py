"""Slices of windows: which rows are "cell=poly", and which "age<40"."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .errors import InputError
from .signature import Array
from .window_rows import Column, Rows

_LIMIT = re.compile(r"(?P<field>[^<]+)<(?P<limit>-?\d+(\.\d*)?([eE][-+]?\d+)?)")


def masks(held: Rows, wanted: Sequence[str]) -> dict[str, Array]:
    """ "cell=poly" -> (rows,) bool, for every value of each slice that is wanted.

    Args:
        held: the rows.
        wanted: fields with few values, or a field and a limit ("age<40"). A field is an input, or is written out: "out.label",
            "trait.image.brightness". One that no record holds has no slices.

    Raises InputError for a field of several values a row.
    """
    found: dict[str, Array] = {}
    for slice_of in wanted:
        limit = _LIMIT.fullmatch(slice_of)
        name = limit["field"] if limit else slice_of
        column = held.columns.get(f"in.{name}") or held.columns.get(name)
        if column is None:
            continue
        if isinstance(column.values, list) or column.values.ndim != 1:
            raise InputError("A slice is a field with one value a row", field=name, fix="Name another field under slices.")
        sides = _below(column, name, limit["limit"]) if limit else _values(column, name)
        found.update({side: _spread(chosen, column, len(held.mask)) for side, chosen in sides.items()})
    return found


def _below(column: Column, name: str, limit: str) -> dict[str, Array]:
    values = np.asarray(column.values, np.float64)
    return {f"{name}<{limit}": values < float(limit), f"{name}>={limit}": values >= float(limit)}


def _values(column: Column, name: str) -> dict[str, Array]:
    classes = np.array(column.named(), dtype=str)
    return {f"{name}={value}": classes == value for value in np.unique(classes).tolist()}


def _spread(chosen: Array, column: Column, rows: int) -> Array:
    mask = np.zeros(rows, bool)
    mask[column.rows[chosen]] = True
    return mask
