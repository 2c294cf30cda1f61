"""Histograms: batch by batch is the same as at once, nothing is lost when they widen, and ranges lie inside what was seen."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from portside.compress import histogram as module
from portside.compress.histogram import BINS, METHODS, Histogram
from portside.sdk.core.errors import InputError

FINITE = arrays(np.float32, st.integers(1, 60), elements=st.floats(-(2.0**60), 2.0**60, width=32))
ANY = arrays(np.float32, st.integers(1, 60), elements=st.floats(width=32))


def filled(*batches):
    held = Histogram()
    for batch in batches:
        held.add(batch)
    return held


def counts(held):
    return held._counts


@given(st.lists(FINITE, min_size=1, max_size=4), st.floats(50, 100, exclude_min=True))
def test_batches_in_any_number_say_the_same_as_the_whole(batches, percentile):
    largest = max(batches, key=lambda held: float(np.abs(held).max()))  # first, so that both start at one reach
    whole = filled(largest, np.concatenate(batches))
    parts = filled(largest, *batches)
    np.testing.assert_array_equal(counts(parts), counts(whole))
    assert (parts.low, parts.high, parts.seen) == (whole.low, whole.high, whole.seen)
    assert parts.range("percentile", percentile) == whole.range("percentile", percentile)


@given(st.lists(FINITE, min_size=1, max_size=5))
def test_widening_keeps_every_count_and_memory_stays_what_it_is(batches):
    held = Histogram()
    for number, batch in enumerate(batches):
        held.add(batch)
        assert counts(held).sum() == held.seen == sum(map(len, batches[: number + 1]))
        assert counts(held).shape == (BINS,)
        assert held.edges[0] <= held.low
        assert held.high <= held.edges[-1]


@given(st.integers(1, 10**7))
def test_of_many_numbers_few_are_counted_and_no_place_is_passed_over(size):
    step = module.stride(size, module.COUNTED)
    assert step == 1 or size / step <= module.COUNTED
    assert gcd(step, size) == 1 or step == 1
    assert size <= module.COUNTED or size / step > module.COUNTED / 16


def test_a_sample_says_nearly_what_the_whole_says_and_extremes_are_exact(monkeypatch):
    values = np.random.default_rng(0).standard_normal((4, 32, 56, 56)).astype(np.float32)
    values[:, 7] *= 5  # one channel of 32 is wider
    values[2, 3, 4, 5] = 60.0
    sample = filled(values)
    monkeypatch.setattr(module, "COUNTED", values.size)
    whole = filled(values)
    assert (sample.low, sample.high, sample.seen) == (whole.low, whole.high, whole.seen) == (values.min(), 60.0, values.size)
    assert abs(counts(sample).sum() - values.size) < 100
    for percentile in (99.0, 99.9):
        np.testing.assert_allclose(sample.range("percentile", percentile), whole.range("percentile", percentile), rtol=0.1)


@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_widened_bins_are_the_bins_of_what_was_seen_from_the_start(doublings, seed):
    first = np.random.default_rng(seed).normal(size=500).astype(np.float32)
    first[0] = reach = np.abs(first).max()
    outlier = np.float32(reach) * np.float32(2.0**doublings)
    widened, known = filled(first, outlier), filled(outlier, first)
    np.testing.assert_array_equal(widened.edges, known.edges)
    apart = np.abs(np.cumsum(counts(widened)) - np.cumsum(counts(known))).max()
    assert apart <= 1 + 0.01 * first.size  # a value on a border between bins rounds either way


@given(st.lists(ANY, min_size=1, max_size=4), st.sampled_from(METHODS), st.floats(50, 100, exclude_min=True))
@example([np.array([-1.1754944e-38], np.float32)], "percentile", 99.0)
def test_ranges_lie_inside_the_extremes(batches, method, percentile):
    held = filled(*batches)
    low, high = held.range(method, percentile)
    if not held.seen:
        assert (low, high) == (0, 0)
        return
    assert held.low <= low <= high <= held.high


def test_nan_and_infinities_are_counted_apart():
    held = filled(np.array([np.nan, np.inf, -np.inf, 1, 2], np.float32), np.full(3, np.nan, np.float32))
    assert (held.odd, held.seen, held.low, held.high) == (6, 2, 1, 2)
    nothing = filled(np.full(4, np.nan, np.float32))
    assert (nothing.odd, nothing.seen, nothing.range()) == (4, 0, (0.0, 0.0))


def test_a_batch_without_elements_changes_nothing():
    held = filled(np.zeros((0, 3), np.float32))
    assert (held.seen, held.odd, held.range("entropy")) == (0, 0, (0.0, 0.0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-20, -1e20])
def test_a_constant_is_its_own_range(method, value):
    held = filled(np.full(1000, value, np.float32))
    low, high = held.range(method, 99.9)
    assert low == high == np.float32(value)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
@pytest.mark.parametrize("factor", [1, 1e-3, 1e3])
def test_one_outlier_does_not_set_the_range_of_a_normal_value(method, factor):
    values = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    held = filled(values * np.float32(factor), np.float32(100 * factor))
    low, high = held.range(method, 99.9)
    assert held.range() == (pytest.approx(float(values.min()) * factor), pytest.approx(100 * factor))
    assert high < 20 * factor  # 256 codes need as many bins, 0.07 wide after widening
    assert high > 2.5 * factor
    assert low < -2.5 * factor


def test_a_percentile_is_the_quantile_of_what_was_seen():
    values = np.random.default_rng(0).uniform(-1, 3, 400_000).astype(np.float32)
    low, high = filled(*np.split(values, 8)).range("percentile", 90)
    assert low == pytest.approx(np.quantile(values, 0.05), abs=4 / BINS * 2)
    assert high == pytest.approx(np.quantile(values, 0.95), abs=4 / BINS * 2)


def test_entropy_of_a_relu_starts_at_zero_however_many_zeros_there_are():
    values = np.maximum(np.random.default_rng(0).normal(size=100_000) - 1, 0).astype(np.float32)
    low, high = filled(values).range("entropy")
    assert low == 0
    assert 1 < high <= values.max()


def test_entropy_keeps_all_of_a_uniform_value():
    values = np.random.default_rng(0).uniform(-1, 1, 200_000).astype(np.float32)
    low, high = filled(values).range("entropy")
    assert low == pytest.approx(-1, abs=0.02)
    assert high == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("method", "percentile"), [("best", 99), ("percentile", 50), ("percentile", 100.5), ("percentile", float("nan"))])
def test_a_method_that_does_not_exist_is_refused(method, percentile):
    with pytest.raises(InputError):
        Histogram().range(method, percentile)
