"""Is it right: accuracy with its interval and how many labels stand behind it, calibration, slices. Windows to data; pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from ...sdk.core.quality import Quality
from ...sdk.core.statistics import Estimate
from ...sdk.core.window import Window
from .spans import Cut

ENOUGH = 30
"""Labelled rows below which a figure is shown as "not enough data", with its interval."""
CLASSES = 12
GROUPS = (1, 2, 4, 8, 12)


def right(whole: Window, steps: Sequence[Window], cut: Cut) -> dict[str, Any]:
    """Every output that has labels, then the slices."""
    outputs = [_output(name, whole, steps, cut) for name in whole.quality]
    return {
        "rows": whole.rows, "outputs": outputs, "slices": [_slice(name, part) for name, part in whole.slices.items()],
        "classes": {name: _most(counts) for name, counts in whole.classes.items()},
        "confidence": _quartiles(whole), "enough": ENOUGH,
    }  # fmt: skip


def figure(found: Estimate) -> dict[str, Any]:
    """A figure with its interval; None where it has no end or no value."""
    return {name: value if isfinite(value) else None for name, value in
            (("value", found.value), ("low", found.low), ("high", found.high))} | {"rows": found.rows}  # fmt: skip


def _output(name: str, whole: Window, steps: Sequence[Window], cut: Cut) -> dict[str, Any]:
    held, group = whole.quality[name], _together(whole.quality[name].rows, len(steps))
    points = list[dict[str, Any]]()
    for place in range(0, len(steps), group):
        part = Quality.merge_all([window.quality[name] for window in steps[place : place + group] if name in window.quality])
        points.append({"t": cut.starts[place], **(figure(_judged(part)) if part.rows else {"rows": 0})})
    return {
        "name": name, "measured": _measured(held), "labelled": held.rows, "coverage": held.rows / whole.rows if whole.rows else None,
        "figure": figure(_judged(held)), "calibration": _calibration(held), "confusion": _confusion(held), "points": points,
        "step_ms": group * cut.step_ms,
    }  # fmt: skip


def _together(labels: int, steps: int) -> int:
    """How many steps are shown as one, so that ENOUGH labels stand behind a point on average."""
    return next((group for group in GROUPS if labels * group / steps >= ENOUGH), GROUPS[-1])


def _measured(held: Quality) -> bool:
    """Answers are near or far, not right or wrong."""
    return held.numbers > 0 and held.numbers == held.rows


def _judged(held: Quality) -> Estimate:
    """Accuracy, or the mean error of what is measured."""
    return held.mean_error() if _measured(held) else held.accuracy()


def _calibration(held: Quality) -> dict[str, Any] | None:
    """Per bin: how sure answers were, and how often they were right. None without a confidence."""
    error = held.calibration_error()
    if not isfinite(error):
        return None
    bins = [{"confidence": sure / weight, "accuracy": hits / weight, "weight": weight} for sure, hits, weight in held.bins if weight > 0]
    return {"error": error, "bins": bins}


def _confusion(held: Quality) -> dict[str, Any] | None:
    """Labels against answers, the most frequent classes."""
    if not held.confusion:
        return None
    weights = {label: sum(row.values()) for label, row in held.confusion.items()}
    for row in held.confusion.values():
        for answer in row:
            weights.setdefault(answer, 0.0)
    names = sorted(sorted(weights, key=lambda name: -weights[name])[:CLASSES])
    return {"classes": names, "more": len(weights) - len(names),
            "rows": [[held.confusion.get(label, {}).get(answer, 0.0) for answer in names] for label in names]}  # fmt: skip


def _slice(name: str, part: Window) -> dict[str, Any]:
    qualities = {output: {"labelled": held.rows, "measured": _measured(held), **figure(_judged(held))}
                 for output, held in part.quality.items()}  # fmt: skip
    return {"name": name, "rows": part.rows, "requests": part.requests, "late": part.late, "quality": qualities}


def _quartiles(whole: Window) -> dict[str, float] | None:
    if not whole.confidence.weight:
        return None
    return dict(zip(("low", "median", "high"), whole.confidence.quantiles((0.05, 0.5, 0.95)).tolist(), strict=True))


def _most(counts: Any) -> list[dict[str, Any]]:
    total = sum(counts.values())
    ranked = sorted(counts, key=lambda name: (-counts[name], name))[:CLASSES]
    return [{"name": name, "rows": counts[name], "share": counts[name] / total} for name in ranked]
