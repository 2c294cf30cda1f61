"""How right the rows of records were, where they have a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .labels import Label
from .quality import Quality
from .records import Record
from .selection import selection_of
from .window_rows import Rows, class_of, plain


def judged(held: Rows, labels: Mapping[tuple[str, int], Label]) -> dict[str, Quality]:
    """How right the rows that count were, by output, where they have a label."""
    found: dict[str, list[tuple[Any, Any, float, float]]] = {}
    answers = {name[4:]: dict(zip(column.rows.tolist(), range(len(column.rows)), strict=True)) for name, column in held.columns.items()
               if labels and name.startswith("out.")}  # fmt: skip
    for row in np.flatnonzero(held.mask).tolist() if labels else ():
        record = held.all_records[held.owner[row]]
        label = labels.get((record.id, int(held.place[row])))
        for name, value in label.values.items() if label is not None else ():
            if value is not None and row in answers.get(name, ()):
                answer = held.columns[f"out.{name}"].values[answers[name][row]]
                weight = _weight(record, label, int(held.place[row]))
                found.setdefault(name, []).append((answer, value, weight, float(held.confidence[row])))
    return {name: _quality(held, name, rows) for name, rows in found.items()}


def _quality(held: Rows, name: str, rows: list[tuple[Any, Any, float, float]]) -> Quality:
    answers, labels, weights, sure = (list(part) for part in zip(*rows, strict=True))
    if held.decides(name):
        spec = held.columns[f"out.{name}"].spec
        names = spec.categories if spec is not None else None
        return Quality.of([class_of(plain(one), names) for one in answers], [class_of(one, names) for one in labels], weights, sure)
    if any(np.ndim(one) or one is None for one in (*answers, *labels)):
        return Quality()  # vectors: nothing here says how far they may be apart
    return Quality.of(answers, labels, weights, named=False)


def _weight(record: Record, label: Label | None, row: int) -> float:
    """How many rows a label stands for: those of reviews were drawn with the row's probability, others came of themselves."""
    reviewed = label is not None and label.source in ("person", "check")
    probability = selection_of(record, row).probability if reviewed else 0.0
    return 1 / probability if 0 < probability <= 1 else 1.0
