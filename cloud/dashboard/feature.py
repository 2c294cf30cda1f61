"""One field: how its values lie now beside the reference, and how they moved over time. Summaries to data; pure.

Numbers are shown as shares of equal bins over the middle 99% of both sides, with what lies outside in the first and last bin;
categories as shares, the most frequent of both sides first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from ...sdk.core.profile import OTHER, Summary
from .spans import Cut

BINS, NAMES, LINES = 24, 20, 6
TRIM = 0.005
SHARES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def feature(name: str, reference: Summary | None, now: Summary | None, steps: Sequence[Summary | None], cut: Cut) -> dict[str, Any]:
    """A field's page.

    Args:
        reference: what it is held against; None: nothing.
        now: of the whole span; None: no value was seen.
        steps: the same step by step.
    """
    named = any(side is not None and side.categories for side in (reference, now))
    shape = _categories(reference, now) if named else _numbers(reference, now)
    lines = _shares_over_time(now, steps, cut) if named else _quantiles_over_time(steps, cut)
    return {"name": name, "kind": "categories" if named else "numbers", "now": about(now), "reference": about(reference), **shape,
            "points": lines}  # fmt: skip


def about(summary: Summary | None) -> dict[str, Any] | None:
    """Counts and figures of one side."""
    if summary is None or not summary.count:
        return None
    held: dict[str, Any] = {"count": summary.count, "rows": summary.rows, "missing": summary.missing / summary.count}
    if not summary.finite:
        return held
    quantiles = dict(zip(SHARES, summary.sketch.quantiles(tuple(SHARES.values())).tolist(), strict=True))
    return {**held, "mean": summary.mean, "deviation": summary.deviation, "low": summary.low, "high": summary.high, **quantiles,
            "rank_error": summary.sketch.error}  # fmt: skip


def _numbers(reference: Summary | None, now: Summary | None) -> dict[str, Any]:
    """{"bins": [{low, high, reference, now}]}; no bins where there is no number."""
    sides = [side for side in (reference, now) if side is not None and side.finite]
    if not sides:
        return {"bins": []}
    low, high = _middle(sides)
    edges = np.linspace(low, high, BINS + 1)
    shares = {key: _binned(side, edges) for key, side in (("reference", reference), ("now", now))}
    return {"bins": [{"low": float(edges[place]), "high": float(edges[place + 1]),
                      **{key: held[place] if held else None for key, held in shares.items()}} for place in range(BINS)]}  # fmt: skip


def _middle(sides: Sequence[Summary]) -> tuple[float, float]:
    """Where the bins begin and end: the middle of every side, a little wider where all values are one."""
    ends = np.array([side.sketch.quantiles((TRIM, 1 - TRIM)) for side in sides])
    low, high = float(ends.min()), float(ends.max())
    if low == high:
        room = abs(low) * 0.05 or 0.5
        return low - room, high + room
    return low, high


def _binned(side: Summary | None, edges: Any) -> list[float] | None:
    if side is None or not side.finite:
        return None
    reached = side.sketch.shares(edges)
    reached[0], reached[-1] = 0.0, 1.0  # what lies outside is in the first and last bin
    return np.diff(reached).tolist()


def _categories(reference: Summary | None, now: Summary | None) -> dict[str, Any]:
    sides = {"reference": _shares(reference), "now": _shares(now)}
    weight = {name: max(held.get(name, 0.0) for held in sides.values()) for name in {*sides["reference"], *sides["now"]} - {OTHER}}
    names = sorted(weight, key=lambda name: (-weight[name], name))
    shown, rest = names[:NAMES], len(names) - NAMES
    lines = [{"name": name, **{key: held.get(name, 0.0) if held else None for key, held in sides.items()}} for name in shown]
    if rest > 0 or any(OTHER in held for held in sides.values()):
        lines.append({"name": OTHER, **{key: max(1 - sum(held.get(name, 0.0) for name in shown), 0.0) if held else None
                                        for key, held in sides.items()}})  # fmt: skip
    return {"categories": lines, "more": max(rest, 0)}


def _shares(side: Summary | None) -> dict[str, float]:
    """Of the values that are not missing."""
    counts: Mapping[str, int] = side.categories if side is not None else {}
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def _quantiles_over_time(steps: Sequence[Summary | None], cut: Cut) -> list[dict[str, Any]]:
    points = list[dict[str, Any]]()
    for start, held in zip(cut.starts, steps, strict=True):
        found = about(held) or {}
        points.append({"t": start, "count": found.get("count", 0), "missing": found.get("missing"),
                       **{key: value for key in SHARES if (value := found.get(key)) is not None and isfinite(value)}})  # fmt: skip
    return points


def _shares_over_time(now: Summary | None, steps: Sequence[Summary | None], cut: Cut) -> list[dict[str, Any]]:
    """Shares of the most frequent categories of the span, step by step."""
    overall = _shares(now)
    names = sorted(overall, key=lambda name: (-overall[name], name))[:LINES]
    points = list[dict[str, Any]]()
    for start, held in zip(cut.starts, steps, strict=True):
        shares, missing = _shares(held), held.missing / held.count if held is not None and held.count else None
        points.append({"t": start, "count": held.count if held is not None else 0, "missing": missing,
                       "shares": {name: shares.get(name, 0.0) for name in names} if shares else {}})  # fmt: skip
    return points
