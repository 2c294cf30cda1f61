"""Successive halving: which structures are trained longer, after all were trained short. Decisions alone: trials in, places out.

Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016; a third goes
on, each with three times as much, as in Li et al., "Hyperband", JMLR 18 (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..sdk.core.budget import Budget
from .excess import total
from .ranking import non_dominated, objectives
from .trials import Trial

FEWER = 3
"""One of so many goes on, and is trained so many times as long."""
LEAST = 2
"""So many go on in any case: one alone could be the wrong one."""
SHARES = (1 / FEWER**2, 1 / FEWER, 1.0)
"""Of a structure's training, rung by rung."""
COSTS = ("size_mb", "p50_ms", "p95_ms", "p99_ms", "size_ratio", "ratio")


def order(trials: Sequence[Trial], budget: Budget, saves: Mapping[str, float]) -> list[int]:
    """Places of the trials that have figures, the most promising first.

    What others beat in latency, size and loss comes last. Of the rest the one that is least over the budget comes first, and the faster
    where that is alike. Precision comes later, so costs are taken as if it had saved already.

    Args:
        trials: of structures, in float.
        budget: what is asked for.
        saves: figure -> factor that lower precision brings, see `saved`.
    """
    places = [place for place, trial in enumerate(trials) if trial.figures]
    lowered = {place: _lowered(trials[place], saves) for place in places}
    unbeaten = {places[place] for place in non_dominated([objectives(trials[place]) for place in places])}
    return sorted(places, key=lambda place: (place not in unbeaten, total(lowered[place], budget), objectives(lowered[place])))


def going_on(trials: Sequence[Trial], budget: Budget, saves: Mapping[str, float]) -> list[int]:
    """Places of those that are trained longer: the best third."""
    found = order(trials, budget, saves)
    return found[: max(LEAST, -(-len(found) // FEWER))]


def saved(trials: Iterable[Trial]) -> dict[str, float]:
    """What precision alone saves: figure -> ratio to float, of the trial of the package as it was that saves most bytes."""
    able = [trial for trial in trials if not trial.settings.structure and "size_ratio" in trial.figures]
    best = min(able, key=lambda trial: trial.figures["size_ratio"], default=None)
    if best is None:
        return {}
    size, latency = best.figures["size_ratio"], best.figures["ratio"]
    return {name: size if name.startswith("size") else latency for name in COSTS}


def _lowered(trial: Trial, saves: Mapping[str, float]) -> Trial:
    return replace(trial, figures={name: held * saves.get(name, 1.0) for name, held in trial.figures.items()})
