"""Thresholds for a deployment and its slices, and whether those in force still hold. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from .evidence import p_value, upper
from .fitting import Threshold, fit
from .gathering import Gathered, Row
from .thresholds import REST

Holding: TypeAlias = Literal["holds", "breached", "not enough data"]


@dataclass(frozen=True)
class Promise:
    """What is asked: see `fit`."""

    target_error: float
    delta: float
    people_error: float = 0.0

    @property
    def limit(self) -> float:
        """Of labels that differ from the model's answer."""
        return self.target_error + self.people_error - 2 * self.target_error * self.people_error


@dataclass(frozen=True)
class Watch:
    """What checks say of the rows that the model has decided since the threshold was fitted.

    Attributes:
        verdict: "holds": shown to be within the target; "breached": shown to be beyond it; each at the promise's delta.
        error: weighted rate among them; None without a check.
        upper: upper end of its one-sided interval.
        checks: rows that were looked at.
    """

    verdict: Holding
    error: float | None
    upper: float
    checks: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


def fit_all(found: Gathered, names: tuple[str, ...], promise: Promise) -> dict[str, Threshold]:
    """A threshold for every slice and for the rest. They hold together: the chance to fail is shared out among them."""
    groups = (REST, *names)
    each = promise.delta / len(groups)
    return {name: _fit(found, name, promise, each) for name in groups}


def _fit(found: Gathered, name: str, promise: Promise, delta: float) -> Threshold:
    scores, correct, weights = found.columns(name)
    traffic = np.array(found.traffic.get(name, []))
    return fit(scores, correct, weights, target_error=promise.target_error, delta=delta, people_error=promise.people_error,
               traffic=traffic if len(traffic) else None)  # fmt: skip


def watch(rows: list[Row], promise: Promise, since_ms: int) -> Watch:
    """Judge what the model decided alone since then."""
    held = [row for row in rows if row.automated and row.server_ms >= since_ms]
    if not held:
        return Watch("not enough data", None, 1.0, 0)
    wrong, weights = ~np.array([row.correct for row in held], bool), np.array([row.weight for row in held])
    rate, eta = float(np.average(wrong, weights=weights)), promise.people_error
    verdict: Holding = "not enough data"
    if p_value(wrong, weights, promise.limit, promise.delta) <= promise.delta:
        verdict = "holds"
    elif _beyond(wrong, weights, promise):
        verdict = "breached"
    return Watch(verdict, _truth(rate, eta), _truth(upper(wrong, weights, promise.delta), eta), len(held))


def _beyond(wrong: Any, weights: Any, promise: Promise) -> bool:
    """The right answers are shown to be too few: the same evidence, turned round."""
    return p_value(~wrong, weights, 1 - promise.limit, promise.delta) <= promise.delta


def _truth(disagreement: float, people_error: float) -> float:
    return max(0.0, (disagreement - people_error) / (1 - 2 * people_error))
