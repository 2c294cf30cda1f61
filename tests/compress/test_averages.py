"""Means of channels: the same in any division into batches, and none where they cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.compress.averages import Average


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.sampled_from([1, -1]), st.integers(0, 99))
def test_batches_of_any_size_have_the_mean_of_all(sizes, axis, seed) -> None:
    whole = np.random.default_rng(seed).normal(3, 2, (sum(sizes), 4, 3, 4)).astype(np.float32)
    held = Average(axis)
    for part in np.split(whole, np.cumsum(sizes)[:-1]):
        held.add(part)
    np.testing.assert_allclose(held.mean, whole.mean(axis=(0, 2, 3) if axis == 1 else (0, 1, 2), dtype=np.float64), rtol=1 / 256)


@pytest.mark.parametrize("other", [np.full((1, 3), np.nan, np.float32), np.ones((1, 4), np.float32), np.ones(3, np.float32)[:, None][0]])
def test_a_value_without_one_number_of_finite_channels_has_no_mean(other) -> None:
    held = Average(1)
    held.add(np.ones((2, 3), np.float32))
    held.add(other)
    assert held.mean == () and Average(1).mean == ()


def test_an_empty_batch_says_nothing() -> None:
    held = Average(-1)
    held.add(np.ones((0, 3), np.float32))
    held.add(np.full((2, 3), 2, np.float32))
    assert held.mean == (2.0, 2.0, 2.0)
