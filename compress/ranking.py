"""Which trials no other beats: latency, size and loss together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from .trials import Trial

OBJECTIVES = ("p50_ms", "size_mb")
"""Figures that a front is over, beside the loss. Not memory: most of it is the engine's own, and the rest goes with the size."""

COST = "cost_per_1k"
"""The figure of a thousand predictions' price. It is the median latency in money, so a front over latency is one over cost as well."""


def priced(trials: Iterable[Trial]) -> bool:
    """There is a price, and so a figure of cost."""
    return any(COST in trial.figures for trial in trials)


def objectives(trial: Trial) -> tuple[float, ...]:
    """What the front is over: latency, size, loss; infinite where there is no figure."""
    return (*(trial.figures.get(name, inf) for name in OBJECTIVES), trial.loss)


def non_dominated(rows: Sequence[tuple[float, ...]]) -> list[int]:
    """Places of the rows that no other row beats: at most as large everywhere, and smaller somewhere. Of equal rows, the first."""
    found: list[int] = []
    for place, row in enumerate(rows):
        beaten = (all(a <= b for a, b in zip(other, row, strict=True)) and (other != row or before < place)
                  for before, other in enumerate(rows) if before != place)  # fmt: skip
        if not any(beaten):
            found.append(place)
    return found
