"""How far two summaries of one field are apart.

Numbers are compared by their sketches, whose largest error is carried along: `ks` is right within it, `wasserstein` within it times
the range of values. Sources: Kolmogorov-Smirnov; PSI after Siddiqi (2006), over tenths of the reference, every count half a row
larger; Wasserstein's first distance as the area between the distribution functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ..profile import OTHER, Summary
from ..signature import Array
from ..sketch import Sketch

TENTHS = tuple(tenth / 10 for tenth in range(1, 10))
NUMBERS = "(numbers)"
RARE_SHARE, RARE_ROWS = 0.01, 5
"""A category is rare that has a smaller share, or fewer rows. The rarest of a thousand that are named has a tenth of that at most."""


def ks(reference: Sketch, current: Sketch) -> float:
    """The largest distance of the distribution functions, in [0, 1]; 0 where one side has no values."""
    values, shares = reference.points
    others, other_shares = current.points
    if not len(values) or not len(others):
        return 0.0
    below = np.append(0.0, other_shares)[np.searchsorted(others, values, side="right")]
    other_below = np.append(0.0, shares)[np.searchsorted(values, others, side="right")]
    return float(max(np.abs(below - shares).max(), np.abs(other_below - other_shares).max()))


def wasserstein(reference: Sketch, current: Sketch) -> float:
    """The mean distance that values have to be moved, in their own unit."""
    values = np.union1d(reference.points[0], current.points[0])
    if len(values) < 2 or not len(reference.points[0]) or not len(current.points[0]):
        return 0.0
    gaps = np.abs(reference.shares(values[:-1]) - current.shares(values[:-1]))
    return float((gaps * np.diff(values)).sum())


def familiar(reference: Sketch, current: Sketch) -> float:
    """The share of current values that are, to the last digit, among those that the reference's sketch still holds.

    Measurements have few digits, so a column's own values are a fingerprint of it; 0 for values that never repeat.
    """
    values, shares = current.points
    if not len(values) or not len(reference.points[0]):
        return 0.0
    return float(np.diff(shares, prepend=0.0)[np.isin(values, reference.points[0])].sum())


def psi_numbers(reference: Summary, current: Summary) -> float:
    """PSI over tenths of the reference; fewer where many of its values are equal."""
    edges = np.unique(reference.sketch.quantiles(TENTHS))
    return psi(_between(reference.sketch, edges) * reference.finite, _between(current.sketch, edges) * current.finite)


def psi(reference: Array, current: Array) -> float:
    """PSI of two rows of counts."""
    one, two = (np.asarray(side, np.float64) + 0.5 for side in (reference, current))
    one, two = one / one.sum(), two / two.sum()
    return float(((two - one) * np.log(two / one)).sum())


def aligned(reference: Mapping[str, int], current: Mapping[str, int]) -> tuple[Array, Array]:
    """Counts of the same categories, in the same order.

    A side that has seen more categories than it counts apart does not say which ones its `OTHER` are: to compare it with those of the
    other side by name would make a change of every new text. So what is rare on both sides is one then.
    """
    if OTHER in reference or OTHER in current:
        often = _often(reference) | _often(current)
        reference, current = _gathered(reference, often), _gathered(current, often)
    names = sorted({*reference, *current})
    return np.array([reference.get(name, 0) for name in names], np.float64), np.array([current.get(name, 0) for name in names], np.float64)


def classes(summary: Summary) -> Mapping[str, int]:
    """Counts of categories; numbers are one category, so that a field that changed its kind is far away."""
    return {**summary.categories, NUMBERS: summary.finite} if summary.finite else summary.categories


def total_variation(reference: Array, current: Array) -> float:
    """The share of rows that lie in other categories, of two rows of counts; 1 where only one side has any."""
    rows, others = reference.sum(), current.sum()
    return float(np.abs(reference / rows - current / others).sum() / 2) if rows and others else float(rows != others)


def chi2(reference: Array, current: Array) -> tuple[float, int]:
    """(statistic, degrees of freedom) of "both rows of counts come from the same shares"."""
    rows, others = reference.sum(), current.sum()
    both = reference + current
    held = both > 0
    if held.sum() < 2 or not rows or not others:
        return 0.0, 0
    expected = both[held] * rows / (rows + others)
    expected_other = both[held] * others / (rows + others)
    statistic = ((reference[held] - expected) ** 2 / expected).sum() + ((current[held] - expected_other) ** 2 / expected_other).sum()
    return float(statistic), int(held.sum()) - 1


def _often(side: Mapping[str, int]) -> set[str]:
    least = max(RARE_ROWS, RARE_SHARE * sum(side.values()))
    return {name for name, count in side.items() if count >= least and name != OTHER}


def _gathered(side: Mapping[str, int], apart: Collection[str]) -> dict[str, int]:
    """The counts of some categories; all others are one."""
    named = {name: count for name, count in side.items() if name in apart}
    return {**named, OTHER: sum(side.values()) - sum(named.values())}


def _between(sketch: Sketch, edges: Array) -> Array:
    """The shares of values up to the first edge, between edges, and above the last."""
    return np.diff(np.concatenate([[0.0], sketch.shares(edges), [1.0]]))
