"""Records that show what a finding says: those whose value lies where the reference has few, or the newest of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from ...sdk.core.profile import Profile, Summary, parts
from ...sdk.core.records import Record
from ...sdk.core.signature import Array
from ...sdk.core.window_rows import WIDE, Column, Rows
from ...sdk.core.window_slices import masks
from ..records.database import Database
from ..records.reading import between
from .about import About

MOST = 8
LOOKED_AT = 400
"""The newest records of a span; looking at all of them would take longer than the span."""
USUAL = (0.05, 0.95)


def examples(database: Database, about: About, start_ms: int, end_ms: int, field: str, reference: Profile | None) -> list[str]:
    """Ids of up to eight records of the span that show how `field` ("in.x[3]", "in.x @ cell=poly") has changed, clearest first.

    Raises FormatError where records cannot be read.
    """
    records = list(islice(between(database, start_ms, end_ms, about.name, newest_first=True, limit=LOOKED_AT), LOOKED_AT))
    name, _, slice_name = field.partition(" @ ")
    rows = Rows.of(records, about.signature, about.settings.confidence)
    inside = masks(rows, about.settings.slices).get(slice_name, np.zeros(len(rows.owner), bool)) if slice_name else rows.mask
    known = reference.fields.get(field, reference.fields.get(name)) if reference is not None else None
    column, values = _column(rows, name)
    if known is None or column is None:
        return _ids(records, [int(place) for place in rows.owner[inside]])
    found = zip(_strangeness(values, known), column.rows.tolist(), strict=True)
    strange = [(strangeness, int(rows.owner[row])) for strangeness, row in found if inside[row]]
    return _ids(records, [place for _, place in sorted(strange, key=lambda item: -item[0])])


def _column(rows: Rows, name: str) -> tuple[Column | None, Sequence[object]]:
    """The column of a field and its values, one for each row that has one."""
    for key, column in rows.columns.items():
        if name == key or name.startswith(f"{key}["):
            for part, values, _ in parts(key, column.values, WIDE):
                if part == name and len(values) == len(column.rows):
                    return column, _named(values, column)
    return None, ()


def _named(values: Array, column: Column) -> Sequence[object]:
    names = None if column.spec is None else column.spec.categories
    if names is None:
        return values.tolist()
    return [names[int(code)] if 0 <= int(code) < len(names) else None for code in np.ravel(values)]


def _strangeness(values: Sequence[object], reference: Summary) -> list[float]:
    """How far each value lies outside what is usual: missing ones are strange where few were missing."""
    gone = 1.0 - reference.missing / max(reference.count, 1)
    if reference.finite:
        low, high = reference.sketch.quantiles(USUAL).tolist()
        scale = max(high - low, 1e-12)
        numbers = [float(value) if isinstance(value, int | float) and value == value else None for value in values]
        return [gone if value is None else max(low - value, value - high, 0.0) / scale for value in numbers]
    total = max(sum(reference.categories.values()), 1)
    return [gone if value is None else 1.0 - reference.categories.get(str(value), 0) / total for value in values]


def _ids(records: Sequence[Record], places: Sequence[int]) -> list[str]:
    return [records[place].id for place in list(dict.fromkeys(places))[:MOST]]
