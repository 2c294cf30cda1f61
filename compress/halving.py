"""Successive halving: which structures are trained longer, after all were trained short. Decisions alone: trials in, places out.

Source: Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016; a third goes
on, each with three times as much, as in Li et al., "Hyperband", JMLR 18 (2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from statistics import median
from typing import TypeAlias

from ..sdk.core.budget import Budget
from .excess import costs, total
from .ranking import non_dominated, objectives
from .structures import UNCHANGED, Structure
from .trials import Trial

FEWER = 3
"""One of so many goes on, and is trained so many times as long."""
LEAST = 2
"""So many go on in any case: one alone could be the wrong one."""
SHARES = (1 / FEWER**2, 1 / FEWER, 1.0)
"""Of a structure's training, rung by rung."""
COSTS = ("size_mb", "p50_ms", "p95_ms", "p99_ms", "size_ratio", "ratio")
TAILS = ("p95_ms", "p99_ms")
"""Figures that are taken as the median times what is usual, see `_tails`."""
NEAR = 0.03
"""Part over a limit of cost that counts as within it: medians differ by as much. Training makes a loss smaller and a cost not, so what
is further over goes behind what only loses too much as yet."""
Saves: TypeAlias = Mapping[Structure, Mapping[str, float]]
"""Structure, trained in full -> figure -> factor that lower precision brings."""


def order(trials: Sequence[Trial], budget: Budget, saves: Saves) -> list[int]:
    """Places of the trials that have figures, the most promising first.

    What others beat in latency, size and loss comes last, and before it what costs more than the budget allows: training makes a loss
    smaller, a cost stays. Of the rest the one that is least over the budget comes first, and the faster where that is alike. Precision
    comes later, so costs are taken as if it had saved already.

    Args:
        trials: of structures, in float.
        budget: what is asked for.
        saves: see `saved`; structures that are not in it save what the package as it was does.
    """
    places = [place for place, trial in enumerate(trials) if trial.figures]
    tails = _tails([trials[place] for place in places])
    lowered = {place: _lowered(trials[place], saves, tails) for place in places}
    unbeaten = {places[place] for place in non_dominated([objectives(trials[place]) for place in places])}
    return sorted(places, key=lambda place: (place not in unbeaten, *_over(lowered[place], budget), objectives(lowered[place])))


def going_on(trials: Sequence[Trial], budget: Budget, saves: Saves) -> list[int]:
    """Places of those that are trained longer: the best third."""
    found = order(trials, budget, saves)
    return found[: max(LEAST, -(-len(found) // FEWER))]


def smallest(trials: Iterable[Trial]) -> dict[Structure, Trial]:
    """Of every structure, and of the package as it was, the trial below float that saves most bytes."""
    found: dict[Structure, Trial] = {}
    for trial in trials:
        own = trial.settings.structure.at(1.0)
        size = trial.figures.get("size_mb", inf)
        if trial.settings.precision != "float32" and size < (found[own].figures["size_mb"] if own in found else inf):
            found[own] = trial
    return found


def saved(trials: Iterable[Trial]) -> Saves:
    """What the smallest file of a structure saves against the same structure in float."""
    held = list(trials)
    floats = {trial.settings.structure.at(1.0): trial for trial in held if trial.settings.precision == "float32" and trial.figures}
    factors: dict[Structure, Mapping[str, float]] = {}
    for structure, trial in smallest(held).items():
        if structure in floats:
            size, latency = (trial.figures[name] / floats[structure].figures[name] for name in ("size_mb", "p50_ms"))
            factors[structure] = {name: size if name.startswith("size") else latency for name in COSTS}
    return factors


def _over(trial: Trial, budget: Budget) -> tuple[float, float]:
    """(parts over the limits of cost, parts over all limits)."""
    cost = sum(held.relative for held in costs(trial, budget))
    return (cost if cost > NEAR else 0.0, total(trial, budget))


def _tails(trials: Sequence[Trial]) -> dict[str, float]:
    """Percentile -> its ratio to the median, in the middle of all trials: in a second of calls the tail of one is the machine's."""
    ratios = {name: [trial.figures[name] / trial.figures["p50_ms"] for trial in trials if name in trial.figures] for name in TAILS}
    return {name: median(held) for name, held in ratios.items() if held}


def _lowered(trial: Trial, saves: Saves, tails: Mapping[str, float]) -> Trial:
    factors = saves.get(trial.settings.structure.at(1.0), saves.get(UNCHANGED, {}))
    figures = {**trial.figures, **{name: trial.figures["p50_ms"] * tail for name, tail in tails.items()}}
    return replace(trial, figures={name: held * factors.get(name, 1.0) for name, held in figures.items()})
