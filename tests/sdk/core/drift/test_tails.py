"""Tail probabilities against SciPy, bounds against simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import kolmogorov as reference_kolmogorov

from portside.sdk.core.drift.tails import apart, chi_square, holm, kolmogorov, proportions, reach, together


@given(st.floats(0, 6))
def test_kolmogorov_is_scipys(value: float) -> None:
    assert kolmogorov(value) == pytest.approx(float(reference_kolmogorov(value)), rel=1e-9, abs=1e-11)


@given(st.floats(0, 2000), st.integers(1, 999))
def test_chi_square_is_scipys(value: float, freedom: int) -> None:
    assert chi_square(value, freedom) == pytest.approx(float(stats.chi2.sf(value, freedom)), rel=1e-8, abs=1e-13)


@pytest.mark.parametrize("rows", [50, 300])
def test_two_samples_of_the_same_are_apart_as_rarely_as_the_bound_says(rows: int) -> None:
    random = np.random.default_rng(0)
    found = [stats.ks_2samp(random.random(rows), random.random(1000)).statistic for _ in range(600)]
    worth = together(rows, 1000)
    for probability in (0.2, 0.05, 0.01):
        beyond = float(np.mean([apart(distance, worth) <= probability for distance in found]))
        assert beyond <= probability + 3 * (probability * (1 - probability) / 600) ** 0.5
        assert apart(reach(probability, worth), worth) == pytest.approx(probability)


@pytest.mark.parametrize(
    ("rows", "others", "share", "tolerance"),
    [(2000, 100, 0.5, 0.0), (2000, 100, 0.02, 0.0), (2000, 50, 0.002, 0.0), (500, 60, 0.1, 0.05), (2000, 50, 0.005, 0.05)],
)
def test_proportions_keep_their_level_exactly_and_far_into_the_tail(rows: int, others: int, share: float, tolerance: float) -> None:
    """Summed over all pairs of counts, so down to one in a million; shares differ by just what is tolerated."""
    one, two = np.arange(rows + 1), np.arange(others + 1)
    likely, second = stats.binom.pmf(one, rows, share), stats.binom.pmf(two, others, share + tolerance)
    levels, reached = np.array([1e-2, 1e-3, 1e-4, 1e-6]), np.zeros(4)
    for count in one[likely > 1e-9].tolist():
        found = proportions(np.full(others + 1, count), rows, two, others, tolerance)
        reached += likely[count] * np.array([second[found <= level].sum() for level in levels])
    assert (reached / levels < 1.1).all()


def test_proportions_without_a_tolerance_are_the_likelihood_ratio_test() -> None:
    counts, others = np.array([30, 5, 400]), np.array([20, 30, 40])
    found = proportions(counts, 1000, others, 100)
    for place in range(3):
        table = [[counts[place], 1000 - counts[place]], [others[place], 100 - others[place]]]
        expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
        assert found[place] == pytest.approx(expected, rel=1e-4)


def test_equal_and_empty_samples_are_not_apart() -> None:
    assert proportions(np.array([5]), 10, np.array([50]), 100)[0] == 1
    assert proportions(np.array([0]), 0, np.array([5]), 10)[0] == 1
    assert (apart(0, 10), apart(-1, 10), together(0, 5), reach(0.05, 0)) == (1, 1, 0, float("inf"))
    assert (chi_square(0, 3), chi_square(5, 0), kolmogorov(0)) == (1, 1, 1)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_never_lowers(probabilities: list[float]) -> None:
    found = holm(probabilities)
    assert all(0 <= one <= two <= 1 for one, two in zip(probabilities, found, strict=True))
    order = np.argsort(probabilities, kind="stable")
    assert all(found[a] <= found[b] for a, b in pairwise(order))
    if probabilities:
        assert min(found) == min(1, len(probabilities) * min(probabilities))
