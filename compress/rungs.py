"""A rung of the ladder, and what its figures mean: whether it holds, pays, or costs too much; what must be said beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..runtimes.costs import LARGER, SLOWER
from .trials import Trial

SMALLER, FASTER = 0.98, 0.95
"""Ratios below which there is a gain."""
DEARER = 1.05
"""Ratio above which one rung costs more than another."""


@dataclass(frozen=True)
class Rung:
    """One attempt and why it was made."""

    why: str
    trial: Trial

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"why": self.why, **self.trial.to_dict()}

    def __str__(self) -> str:
        held = self.trial
        figures = f"{held.figures['ratio']:.2f}x latency, {held.figures['size_ratio']:.2f}x bytes" if held.figures else "no figures"
        return f"{held.settings}: {held.verdict}; {figures}" + (f"; {'; '.join(held.reasons)}" if held.reasons else "")


def holds(trial: Trial) -> bool:
    """It may be shipped and is worth it; float32 always is."""
    return trial.passed and (pays(trial) or trial.settings.precision == "float32")


def dearer(trial: Trial, below: Trial) -> bool:
    """It costs so much more than what did not hold that something between the two is worth a trial."""
    return trial.figures["ratio"] > DEARER * below.figures["ratio"] or trial.figures["size_ratio"] > DEARER * below.figures["size_ratio"]


def pays(trial: Trial) -> bool:
    """Smaller or faster than float, and neither larger nor slower."""
    return gains(trial) and not costs_more(trial)


def gains(trial: Trial) -> bool:
    """Smaller or faster than float, whatever it costs of the other."""
    figures = trial.figures
    return figures.get("size_ratio", 1.0) < SMALLER or figures.get("ratio", 1.0) < FASTER


def costs_more(trial: Trial) -> bool:
    """Slower or larger than float, beyond what repeats differ by."""
    figures = trial.figures
    return not trial.settings.as_it_was and (figures.get("ratio", 0) > SLOWER or figures.get("size_ratio", 0) > LARGER)


def remarks(trial: Trial) -> Iterator[str]:
    """What must be said beside an artifact of these settings."""
    figures = trial.figures
    if trial.settings.as_it_was:
        yield "nothing lower than float32 holds: this is the package as it was"
    if figures.get("ratio", 0) > SLOWER and not trial.settings.as_it_was:
        yield f"slower than float: {figures['ratio']:.2f}x ({figures['ratio_low']:.2f}-{figures['ratio_high']:.2f}) of its latency"
    if figures.get("size_ratio", 0) > LARGER:
        yield f"larger than float: {figures['size_ratio']:.2f}x of its bytes"
    yield from trial.comparison.get("artifact", ())
    for name, why in trial.kept.items():
        yield f"{name} stayed float32: {why}"
