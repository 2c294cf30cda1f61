"""Is it up, and who answered: requests, latency, lateness and reasons over time. From windows to JSON-ready data; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...sdk.core.sketch import Sketch
from ...sdk.core.window import Window
from .spans import Cut

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def up(whole: Window, steps: Sequence[Window], cut: Cut) -> dict[str, Any]:
    """Totals of the span, and the same step by step.

    Args:
        whole: all of the span.
        steps: one window per step of `cut`.
    """
    points = [{"t": start, **_counts(window), **times(window.latency)} for start, window in zip(cut.starts, steps, strict=True)]
    return {**_counts(whole), "latency": times(whole.latency), "model_latency": times(whole.model_latency), "points": points,
            "attempts": _attempts(whole)}  # fmt: skip


def times(sketch: Sketch) -> dict[str, float | None]:
    """Percentiles in milliseconds; None without an answer."""
    if not sketch.weight:
        return dict.fromkeys(SHARES)
    return dict(zip(SHARES, sketch.quantiles(tuple(SHARES.values())).tolist(), strict=True))


def _counts(window: Window) -> dict[str, Any]:
    return {"requests": window.requests, "rows": window.rows, "late": window.late, "fallback": window.arms.get("fallback", 0),
            "flagged": sum(window.flags.values())}  # fmt: skip


def _attempts(window: Window) -> list[dict[str, Any]]:
    """Entries of the chain that were asked and did not answer: why, how often."""
    found = [(key.partition(":")[0], key.partition(":")[2], count) for key, count in window.errors.items()]
    return [{"entry": int(entry) if entry.isdigit() else entry, "reason": why, "count": count}
            for entry, why, count in sorted(found, key=lambda part: -part[2])]  # fmt: skip


def who(whole: Window, steps: Sequence[Window], cut: Cut) -> dict[str, Any]:
    """Who answered and why, over the span and step by step; the most frequent first."""
    ranked = sorted(whole.answers, key=lambda key: (-whole.answers[key], key))
    answers = [{"key": key, "model": key.partition("|")[0], "reason": key.partition("|")[2], "requests": whole.answers[key],
                "share": whole.answers[key] / whole.requests} for key in ranked]  # fmt: skip
    points = [{"t": start, "requests": window.requests, "answers": dict(window.answers)}
              for start, window in zip(cut.starts, steps, strict=True)]  # fmt: skip
    return {"answers": answers, "arms": dict(whole.arms), "points": points}
