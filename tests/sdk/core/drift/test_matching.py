"""The cheapest matching is SciPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from portside.sdk.core.drift.matching import cheapest, cycles


@given(st.integers(1, 12), st.integers(0, 9999), st.booleans())
def test_the_cheapest_matching_costs_what_scipys_does(size: int, seed: int, tied: bool) -> None:
    costs = np.random.default_rng(seed).normal(size=(size, size))
    costs = np.round(costs) if tied else costs
    found = cheapest(costs)
    assert sorted(found) == list(range(size))
    rows, columns = linear_sum_assignment(costs)
    assert (
        costs[range(size), found].sum() == float(costs[rows, columns].sum())
        or abs(costs[range(size), found].sum() - costs[rows, columns].sum()) < 1e-9
    )


def test_cycles_are_what_moves() -> None:
    assert cycles([0, 2, 1, 4, 5, 3, 6]) == [[1, 2], [3, 4, 5]]
    assert cycles([0, 1]) == []
    assert cheapest(np.zeros((0, 0))) == []
