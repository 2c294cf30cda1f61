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

    >>> seen = [rate(2, 1000)]
    >>> round(lower(seen, 0.05), 5), round(upper(seen, 0.05), 5), bool(evidence_below(seen, 0.01) >= log(1 / 0.05))
    (5e-05, 0.00979, True)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np

from .signature import Array

STAKES = np.array([0.98, 0.8, 0.5, *(2.0 ** -np.arange(2, 10))])
"""Fractions of a pot: a large one settles rare faults quickly, a small one small differences of things that vary much."""
POTS = np.arange(1, len(STAKES) + 1) ** -0.5 / (np.arange(1, len(STAKES) + 1) ** -0.5).sum()
"""What is in each pot at first: somewhat more where the stake is large, for most limits are of rare things."""
_PARTS, _ROUNDS = 32, 5
_MOST, _LEAST = 1e6, 1e-12


class Counts(NamedTuple):
    """How often each value was seen, of units that were drawn alike.

    Attributes:
        values: (values,) all that a unit may have, the least and the largest among them.
        counts: (..., values) how often; leading axes are tallies that are judged beside each other.
    """

    values: Array
    counts: Array


def rate(hits: Any, rows: Any) -> Counts:
    """Of `rows` units so many were hits: the mean is their rate. Numbers, or arrays of one shape."""
    return _counted((0.0, 1.0), (np.subtract(rows, hits), hits))


def paired(only_first: Any, only_second: Any, rows: Any) -> Counts:
    """Of `rows` units so many were hits of the first alone, and of the second alone: the mean is the first's rate less the second's."""
    return _counted((-1.0, 0.0, 1.0), (only_second, np.subtract(np.subtract(rows, only_first), only_second), only_first))


def arms(share: float, hits: Any, rows: Any, other_hits: Any, other_rows: Any) -> Counts:
    """Units drawn with the chance `share` into an arm, else into the other: the mean is the arm's rate of hits less the other's.

    Args:
        share: in (0, 1).
        hits, rows: of the arm.
        other_hits, other_rows: of the other arm.
    """
    nothing = np.subtract(np.add(rows, other_rows), np.add(hits, other_hits))
    return _counted((-1 / (1 - share), 0.0, 1 / share), (other_hits, nothing, hits))


def evidence_below(tallies: Sequence[Counts], mean: float) -> Any:
    """Logarithm of the capital against "the mean is at least `mean`", over all tallies together: a number, or one per leading axis.

    At or above log(1 / alpha) the mean is below, but for a chance of alpha. Very large where no unit could have such a mean.
    """
    return _capital(tallies, np.array([mean]))[..., 0]


def evidence_above(tallies: Sequence[Counts], mean: float) -> Any:
    """As `evidence_below`, against "the mean is at most `mean`"."""
    return evidence_below(_mirrored(tallies), -mean)


def upper(tallies: Sequence[Counts], alpha: float) -> float:
    """The mean is below this, but for a chance of alpha over all looks; the largest mean there can be without units."""
    low, high = _range(tallies)
    for _ in range(_ROUNDS if tallies else 0):
        tried = np.linspace(low, high, _PARTS + 1)
        refuted = np.flatnonzero(_capital(tallies, tried[1:]) >= log(1 / alpha))
        if not len(refuted):
            return high
        low, high = float(tried[refuted[0]]), float(tried[refuted[0] + 1])
    return high


def lower(tallies: Sequence[Counts], alpha: float) -> float:
    """The mean is above this, but for a chance of alpha over all looks; the least mean there can be without units."""
    return -upper(_mirrored(tallies), alpha)


def _capital(tallies: Sequence[Counts], means: Array) -> Array:
    """(..., means): logarithm of what the pots hold together."""
    grown = np.asarray(sum(_grown(held, means) for held in tallies), np.float64)
    most = np.minimum(grown.max(axis=-1, keepdims=True), _MOST)
    return most[..., 0] + np.log((np.exp(np.minimum(grown, _MOST) - most) * POTS).sum(axis=-1))


def _grown(held: Counts, means: Array) -> Array:
    """(..., means, pots): logarithm of what one tally makes of 1 in each pot."""
    top = held.values.max()
    room = np.maximum(top - means, _LEAST)[:, None]  # no unit has a mean above the top: whatever was seen refutes it
    pays = (top - held.values) / room
    grows = np.log1p(STAKES[:, None] * (pays[:, None, :] - 1))  # (means, pots, values)
    return np.tensordot(held.counts, grows, axes=([-1], [-1])) + np.where(means > top, _MOST, 0.0)[:, None]


def _range(tallies: Sequence[Counts]) -> tuple[float, float]:
    """Between which a rate, or a difference of two, can be at all."""
    bottoms, tops = ([float(ends(held.values)) for held in tallies] for ends in (np.min, np.max))
    return max([-1.0, *bottoms]), min([1.0, *tops])


def _mirrored(tallies: Sequence[Counts]) -> list[Counts]:
    return [Counts(-held.values, held.counts) for held in tallies]


def _counted(values: Sequence[float], counts: Sequence[Any]) -> Counts:
    return Counts(np.array(values), np.stack([np.asarray(count, np.float64) for count in counts], axis=-1))
