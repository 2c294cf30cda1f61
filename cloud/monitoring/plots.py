"""Data of plots that go with a finding: two distributions over the same places. A page draws them; nothing in here does."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...sdk.core.profile import Summary

BARS = 24
CATEGORIES = 16
ENDS = (0.005, 0.995)


def distributions(reference: Summary, current: Summary) -> dict[str, Any]:
    """How a field was, and how it is: shares between edges for numbers, of categories otherwise."""
    return _numbers(reference, current) if reference.finite and current.finite else _categories(reference, current)


def _numbers(reference: Summary, current: Summary) -> dict[str, Any]:
    """Between the edges; what lies beyond the outermost ones is counted into the first and the last."""
    ends = np.concatenate([reference.sketch.quantiles(ENDS), current.sketch.quantiles(ENDS)])
    low, high = float(ends.min()), float(ends.max())
    edges = np.linspace(low, high, BARS + 1) if high > low else np.array([low - 0.5, low + 0.5])

    def shares(summary: Summary) -> list[float]:
        inner = summary.sketch.shares(edges[1:-1])
        return np.diff(np.concatenate([[0.0], inner, [1.0]])).tolist()

    return {"kind": "histogram", "edges": edges.tolist(), "reference": shares(reference), "current": shares(current)}


def _categories(reference: Summary, current: Summary) -> dict[str, Any]:
    """The categories that are most frequent on either side; numbers and the rest are one each."""
    sides = [{**side.categories, **({"(numbers)": side.finite} if side.finite else {})} for side in (reference, current)]
    totals = [max(sum(side.values()), 1) for side in sides]
    shares = [{name: count / total for name, count in side.items()} for side, total in zip(sides, totals, strict=True)]
    names = sorted({*shares[0], *shares[1]}, key=lambda name: (-max(side.get(name, 0.0) for side in shares), name))
    shown, rest = names[:CATEGORIES], names[CATEGORIES:]
    rows = [[side.get(name, 0.0) for name in shown] + ([sum(side.get(name, 0.0) for name in rest)] if rest else []) for side in shares]
    return {"kind": "bars", "names": [*shown, *(["(rest)"] if rest else [])], "reference": rows[0], "current": rows[1]}
