"""Intervals cover what they say, on simulated data with fixed seeds, and agree with textbook figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core import statistics as stats

COUNTS = st.integers(1, 400).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows)))


def test_known_bounds() -> None:
    assert stats.upper_bound(0, 299) == pytest.approx(0.00997, abs=1e-5)
    assert stats.upper_bound(0, 2995) == pytest.approx(0.001, abs=1e-5)
    two = stats.clopper_pearson(10, 100)  # R: binom.test(10, 100)
    assert (two.low, two.high) == pytest.approx((0.04900469, 0.17622260), abs=1e-6)
    wilson = stats.wilson(10, 100)  # R: prop.test(10, 100, correct = FALSE)
    assert (wilson.low, wilson.high) == pytest.approx((0.05522914, 0.17436566), abs=1e-6)


@given(COUNTS)
def test_intervals_hold_the_rate_and_are_ordered(counts: tuple[int, int]) -> None:
    hits, rows = counts
    for interval in (stats.wilson(hits, rows), stats.clopper_pearson(hits, rows)):
        assert 0 <= interval.low <= hits / rows <= interval.high <= 1
    assert stats.lower_bound(hits, rows) <= hits / rows <= stats.upper_bound(hits, rows)


@given(COUNTS)
def test_one_more_hit_never_lowers_the_bound(counts: tuple[int, int]) -> None:
    hits, rows = counts
    assert stats.upper_bound(min(hits + 1, rows), rows) >= stats.upper_bound(hits, rows)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_coverage_of_rates(rate: float) -> None:
    hits, times = np.unique(np.random.default_rng(0).binomial(200, rate, 1000), return_counts=True)
    exact, wilson = ([of(int(k), 200) for k in hits] for of in (stats.clopper_pearson, stats.wilson))
    assert np.average([one.low <= rate <= one.high for one in exact], weights=times) >= 0.95
    assert np.average([stats.upper_bound(int(k), 200) >= rate for k in hits], weights=times) >= 0.94
    assert 0.92 <= np.average([one.low <= rate <= one.high for one in wilson], weights=times) <= 0.99


def test_coverage_of_auc_and_its_value() -> None:
    random, true = np.random.default_rng(1), 0.76025  # P(N(1,1) > N(0,1)) = Phi(1 / sqrt 2)
    truth = np.arange(120) % 2
    found = [stats.auc(truth, random.normal(size=120) + truth) for _ in range(400)]
    assert 0.92 <= np.mean([one.low <= true <= one.high for one in found]) <= 0.98
    assert stats.auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.5, 0.5])).value == pytest.approx(0.875)
    assert np.isnan(stats.auc(np.zeros(4), np.arange(4)).value)


def test_coverage_of_paired_differences() -> None:
    random = np.random.default_rng(2)
    covered = []
    for seed in range(150):
        first = random.normal(0.3, 1, 80)
        found = stats.paired_difference(first, random.normal(0, 0.1, 80), seed=seed, draws=300)
        covered.append(found.low <= 0.3 <= found.high)
    assert np.mean(covered) >= 0.88


def test_the_bootstrap_is_deterministic() -> None:
    values = np.random.default_rng(3).normal(size=50)
    assert stats.paired_difference(values, values / 2, seed=4) == stats.paired_difference(values, values / 2, seed=4)


def test_balanced_accuracy_counts_classes_alike() -> None:
    truth = np.array([0] * 90 + [1] * 10)
    found = stats.balanced_accuracy(truth, np.zeros(100, int))
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high


def test_calibration_error() -> None:
    assert stats.calibration_error(np.array([True, False]), np.array([1.0, 1.0])) == pytest.approx(0.5)
    random = np.random.default_rng(5)
    sure = random.random(20000)
    assert stats.calibration_error(random.random(20000) < sure, sure) < 0.02


def test_ranking_metrics() -> None:
    assert stats.ndcg(np.array([3, 2, 0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(1.0)
    assert stats.ndcg(np.array([0, 1]), np.array([2.0, 1.0])) == pytest.approx(1 / np.log2(3))
    assert stats.reciprocal_rank(np.array([0, 0, 1]), np.array([3.0, 2.0, 1.0])) == pytest.approx(1 / 3)
    assert stats.spearman(np.arange(10), np.arange(10) ** 3) == pytest.approx(1.0)


def test_no_rows_give_no_figure() -> None:
    nothing = np.zeros(0)
    for empty in (stats.wilson(0, 0), stats.clopper_pearson(0, 0), stats.mean(nothing), stats.paired_difference(nothing, nothing)):
        assert np.isnan(empty.value)
        assert empty.to_dict()["value"] is None
