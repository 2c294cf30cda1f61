"""Percentiles from counts are those of the values within half a percent, however the values were divided."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.load.histogram import Histogram

VALUES = st.lists(st.floats(2e-3, 1e6), min_size=1, max_size=200)


@given(VALUES, st.floats(0.1, 100))
def test_percentiles_are_those_of_the_values(values, percent):
    exact = np.percentile(values, percent, method="inverted_cdf")
    assert abs(Histogram.of(values).percentile(percent) / exact - 1) < 0.0101


@given(VALUES, st.integers(0, 200))
def test_parts_add_up_to_the_whole(values, cut):
    whole, parts = Histogram.of(values), Histogram.of(values[:cut]) + Histogram.of(values[cut:])
    assert (whole.counts == parts.counts).all() and whole.most == parts.most and len(parts) == len(values)


@given(VALUES, st.floats(2e-3, 1e6))
def test_within_is_the_count_give_or_take_a_bucket(values, limit):
    held = Histogram.of(values).within(limit)
    assert sum(value <= limit / 1.011 for value in values) <= held <= sum(value <= limit * 1.011 for value in values)


def test_what_is_outside_counts_as_the_nearest():
    held = Histogram.of([0.0, -1.0, 1e12])
    assert len(held) == 3 and held.most == 1e12 and held.percentile(100) > 1e5
    assert np.isnan(Histogram().percentile(50))
