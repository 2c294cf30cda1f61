"""Whether a confidence means what it says: the expected calibration error (Guo et al., 2017), less what chance alone makes.

With few labels the error of a perfect model is far from zero: each bin's share of right answers wanders by about its standard error.
What is held against the limit is what remains beyond that.
"""

from __future__ import annotations

from math import pi, sqrt

from ...sdk.core.quality import Quality
from ..monitor import Finding, Verdict


def noise(held: Quality) -> float:
    """The calibration error that a calibrated model shows on average with as many labels."""
    weight = sum(part for _, _, part in held.bins)
    worth = held.weight**2 / held.weight_squares if held.weight_squares else 0.0
    if not weight or not worth:
        return 0.0
    total = 0.0
    for sure, _, part in held.bins:
        if part:
            mean, rows = sure / part, worth * part / weight
            total += part / weight * sqrt(2 * mean * (1 - mean) / (pi * rows))
    return total


def calibrated(subject: str, held: Quality, limit: float | None, least: int) -> Finding | None:
    """The finding about one output; None where nothing says how sure answers are."""
    value = held.calibration_error()
    if value != value:
        return None
    chance = noise(held)
    beyond = max(value - 2 * chance, 0.0)
    verdict: Verdict = "not enough data" if held.rows < least else "breach" if limit is not None and beyond > limit else "ok"
    what = f"{subject}: confidence is off by {value:.1%} on average ({chance:.1%} is chance) on {held.rows} labelled rows"
    plot = {"kind": "reliability", "bins": [list(row) for row in held.bins]}
    return Finding("calibration", subject, value, verdict, what, "warning", beyond, None, limit,
                   {"plot": plot, "chance": chance, "labelled": held.rows})  # fmt: skip
