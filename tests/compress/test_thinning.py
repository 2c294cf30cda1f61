"""A stride takes about as many as it may, and every row and column of a map in turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from portside.compress.thinning import stride


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64))
def test_no_column_is_passed_over(pictures, height, width) -> None:
    size = pictures * height * width
    step = stride(size, max(1, size // 5))
    taken = np.arange(0, size, step)
    assert len(taken) <= max(1, size // 5) + 1
    if len(taken) >= 4 * width:
        assert set(taken % width) == set(range(width))


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_few_are_all_taken(size, spare) -> None:
    assert stride(size, size + spare) == 1
