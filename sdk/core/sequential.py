"""Is a mean below a limit, or above it? Asked as often as one likes: the answer is never wrong more often than it says.

One family for everything that is a mean of a variable with few values: a rate (0, 1), a paired difference (-1, 0, 1), and the difference
of two arms, each unit weighted by one over the chance of its arm (Horvitz and Thompson 1952). It needs counts of values alone, so that
counts may come in any order, be added up from several places, and be read again after a restart.

Somebody who holds that the mean is at least m is given a bet that pays (top - x) / (top - m) for a value x. Under that claim it pays at
most 1 on average. A player who stakes the same fraction f of a fortune every time has prod (1 - f + f pay(x)) of what there was, and a
player who begins with one pot for each of several fractions has the mean of the pots. Under the claim, whatever one looks at and
whenever one stops, this ever exceeds 1 / alpha with a probability of at most alpha (Ville 1939; Waudby-Smith and Ramdas 2024). Each pot
grows with m, so that the means that are not refuted are an interval, found by bisection. The claim that the mean is at most m is the
mirror image.

    >>> from math import log
    >>> seen = [rate(2, 1000)]
    >>> round(lower(seen, 0.05), 5), round(upper(seen, 0.05), 5), bool(evidence_below(seen, 0.01) >= log(1 / 0.05))
    (5e-05, 0.00979, True)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .signature import Array

STAKES = np.array([0.98, 0.8, 0.5, *(2.0 ** -np.arange(2, 10))])
"""Fractions of a pot: a large one settles rare faults quickly, a small one small differences of things that vary much."""
POTS = np.arange(1, len(STAKES) + 1) ** -0.5 / (np.arange(1, len(STAKES) + 1) ** -0.5).sum()
"""What is in each pot at first: somewhat more where the stake is large, for most limits are of rare things."""
_MOST, _LEAST, _HALVINGS = 1e6, 1e-12, 18


class Counts(NamedTuple):
    """How often each value was seen, of units that were drawn alike.

    Attributes:
        values: (values,) all that a unit may have, growing: the least first, the largest last.
        counts: (..., values) how often; leading axes are tallies that are judged beside each other.
    """

    values: Array
    counts: Array


def rate(hits: Any, rows: Any) -> Counts:
    """Of `rows` units so many were hits: the mean is their rate. Numbers, or arrays of one shape."""
    return _counted((0.0, 1.0), (rows - hits, hits))


def paired(only_first: Any, only_second: Any, rows: Any) -> Counts:
    """Of `rows` units so many were hits of the first alone, and of the second alone: the mean is the first's rate less the second's."""
    return _counted((-1.0, 0.0, 1.0), (only_second, rows - only_first - only_second, only_first))


def arms(share: float, hits: Any, rows: Any, other_hits: Any, other_rows: Any) -> Counts:
    """Units drawn with the chance `share` into an arm, else into the other: the mean is the arm's rate of hits less the other's.

    Args:
        share: in (0, 1).
        hits, rows: of the arm.
        other_hits, other_rows: of the other arm.
    """
    nothing = (rows + other_rows) - (hits + other_hits)
    return _counted((-1 / (1 - share), 0.0, 1 / share), (other_hits, nothing, hits))


def evidence_below(tallies: Sequence[Counts], mean: float) -> Any:
    """Logarithm of the capital against "the mean is at least `mean`", over all tallies together: a number, or one per leading axis.

    At or above log(1 / alpha) the mean is below, but for a chance of alpha. Very large where no unit could have such a mean.
    """
    return _capital(tallies, mean)


def evidence_above(tallies: Sequence[Counts], mean: float) -> Any:
    """As `evidence_below`, against "the mean is at most `mean`"."""
    return evidence_below(_mirrored(tallies), -mean)


def evidences_below(cases: Sequence[Sequence[Counts]], means: Sequence[float]) -> Array:
    """(cases,) `evidence_below` of many cases, each against a mean of its own, for little more than one costs."""
    found = _held(*_stacked(cases), np.asarray(means, np.float64)) if cases else np.zeros(0)
    return np.where(np.asarray(means) > [_range(tallies)[1] for tallies in cases], _MOST, found)


def evidences_above(cases: Sequence[Sequence[Counts]], means: Sequence[float]) -> Array:
    """As `evidences_below`, against "the mean is at most that"."""
    return evidences_below([_mirrored(tallies) for tallies in cases], [-mean for mean in means])


def uppers(cases: Sequence[Sequence[Counts]], alphas: Sequence[float]) -> list[float]:
    """For each case (tallies without leading axes): the mean is below this, but for a chance of its alpha over all looks.

    The largest mean there can be where there are no units. Rounded upwards, by less than 1e-5. Many at once cost little more than one.
    """
    if not cases:
        return []
    below, counts, tops = _stacked(cases)
    low, high = (np.array(ends) for ends in zip(*map(_range, cases), strict=True))
    enough = np.log(1 / np.asarray(alphas, np.float64))
    refuted = _held(below, counts, tops, high) >= enough
    found = high.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = _held(below, counts, tops, middle) >= enough
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.where(refuted, high, found).tolist()


def lowers(cases: Sequence[Sequence[Counts]], alphas: Sequence[float]) -> list[float]:
    """As `uppers`: the mean is above this."""
    return [-bound for bound in uppers([_mirrored(tallies) for tallies in cases], alphas)]


def upper(tallies: Sequence[Counts], alpha: float) -> float:
    """`uppers` of one case."""
    return uppers([tallies], [alpha])[0]


def lower(tallies: Sequence[Counts], alpha: float) -> float:
    """`lowers` of one case."""
    return lowers([tallies], [alpha])[0]


def _capital(tallies: Sequence[Counts], mean: float) -> Any:
    """Logarithm of what the pots hold together, per leading axis."""
    grown: Any = np.log(POTS)
    for held in tallies:
        top = float(held.values[-1])
        pays = (top - held.values) / max(top - mean, _LEAST)  # no unit has a mean above the top: whatever was seen refutes it
        grown = grown + held.counts @ np.log1p(np.outer(pays - 1, STAKES)) + (_MOST if mean > top else 0.0)
    return _together(np.minimum(grown, _MOST))


def _held(below: Array, counts: Array, tops: Array, means: Array) -> Array:
    """(cases,) as `_capital`, of many cases that are stacked, each against its own mean."""
    pays = below / np.maximum(tops - means[:, None], _LEAST)[..., None]  # (cases, tallies, values)
    grows = np.log1p((pays - 1)[..., None] * STAKES)
    return _together(np.log(POTS) + np.einsum("ctv,ctvp->cp", counts, grows))


def _stacked(cases: Sequence[Sequence[Counts]]) -> tuple[Array, Array, Array]:
    """(cases, tallies, values) tops less values, (cases, tallies, values) counts, (cases, tallies) tops; no counts where there is none."""
    most = max(1, *map(len, cases))
    below, counts, tops = np.zeros((len(cases), most, 3)), np.zeros((len(cases), most, 3)), np.ones((len(cases), most))
    for case, tallies in enumerate(cases):
        for place, held in enumerate(tallies):
            tops[case, place] = top = held.values[-1]
            below[case, place, : len(held.values)] = top - held.values
            counts[case, place, : len(held.values)] = held.counts
    return below, counts, tops


def _together(grown: Array) -> Array:
    """Logarithm of the sum of pots, the last axis, from their logarithms."""
    most = grown.max(axis=-1, keepdims=True)
    return most[..., 0] + np.log(np.exp(grown - most).sum(axis=-1))


def _range(tallies: Sequence[Counts]) -> tuple[float, float]:
    """Between which a rate, or a difference of two, can be at all."""
    return max([-1.0, *(float(held.values[0]) for held in tallies)]), min([1.0, *(float(held.values[-1]) for held in tallies)])


def _mirrored(tallies: Sequence[Counts]) -> list[Counts]:
    return [Counts(-held.values[::-1], held.counts[..., ::-1]) for held in tallies]


def _counted(values: Sequence[float], counts: Sequence[Any]) -> Counts:
    held = np.array(counts, np.float64)
    return Counts(np.array(values), held if held.ndim == 1 else np.moveaxis(held, 0, -1))
