"""A front as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ..runtimes.report import table
from .ranking import COST, priced
from .trials import Trial

HEAD = ("", "precision", "p50 ms", "p95 ms", "of float", "size MB", "memory MB", "cost per 1k", "loss", "")
_FIGURES = ("p50_ms", "p95_ms", "ratio", "size_mb", "memory_mb", COST)


def lines(trials: Sequence[Trial], unbeaten: Sequence[Trial], chosen: Trial | None) -> list[str]:
    """One line per trial; what no other beats and what was chosen is marked. Without a price there is no column of costs."""
    front = {id(trial) for trial in unbeaten}
    rows = [(">" if trial is chosen else "", *cells(trial), "front" if id(trial) in front else trial.verdict) for trial in trials]
    left_out = set[str]() if priced(trials) else {"cost per 1k"}
    kept = [place for place, name in enumerate(HEAD) if name not in left_out]
    head, *body = [tuple(row[place] for place in kept) for row in (HEAD, *rows)]
    return table(head, body)


def cells(trial: Trial) -> tuple[str, ...]:
    """Settings, latencies, ratio to float, size, memory, cost and loss, as text; "-" where nothing was measured."""
    figures, loss = trial.figures, "-" if trial.loss == inf else f"{trial.loss:.4g}"
    found = [f"{figures[name]:.3g}" if name in figures else "-" for name in _FIGURES]
    return (str(trial.settings), *found[:2], f"{found[2]}x" if figures else "-", *found[3:], loss)
