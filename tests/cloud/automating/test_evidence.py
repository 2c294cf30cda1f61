"""P-values: exact where they can be, valid where rows weigh differently, and of more power than what is often taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.automating.evidence import alike, betting, binomial, hoeffding_bentkus, least_rows, p_value, spread_of, upper
from portside.sdk.core.statistics import upper_bound

CHECKS, REST = 0.05, 1.0


def world(rows, seed, sure_error, other_error, checks=CHECKS):
    """Labelled rows of a deployment: sure ones drawn with probability `checks`, all others looked at: (wrong, weights)."""
    dice = np.random.default_rng(seed)
    sure = dice.random(rows) < 0.75
    wrong = dice.random(rows) < np.where(sure, sure_error, other_error)
    chosen = ~sure | (dice.random(rows) < checks)
    return wrong[chosen], np.where(sure, 1 / checks, 1.0)[chosen]


@given(st.integers(0, 40), st.integers(1, 400), st.floats(0.005, 0.4))
def test_equal_weights_are_the_exact_binomial(errors, rows, limit):
    errors = min(errors, rows)
    wrong = np.arange(rows) < errors
    for weight in (1.0, 20.0):
        assert p_value(wrong, np.full(rows, weight), limit, 0.1) == binomial(errors, rows, limit)


def test_the_binomial_is_that_of_the_book():
    assert binomial(0, 10, 0.5) == pytest.approx(2**-10)
    assert binomial(10, 10, 0.3) == pytest.approx(1.0)
    assert binomial(1, 2, 0.25) == pytest.approx(1 - 0.0625)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 10_000), st.floats(0.01, 0.4))
def test_an_error_more_is_never_more_evidence_of_few(flags, seed, limit):
    wrong = np.array(flags)
    weights = np.random.default_rng(seed).choice([1.0, 20.0], len(wrong))
    p = p_value(wrong, weights, limit, 0.1)
    assert 0 <= p <= 1
    if alike(weights) and not wrong.all():
        more = wrong.copy()
        more[np.flatnonzero(~wrong)[0]] = True
        assert p_value(more, weights, limit, 0.1) >= p


def test_a_bet_is_wrong_as_rarely_as_it_says():
    """On the edge of the null: sure rows at 1%, others at 5%, three quarters sure, so 2% in all."""
    found = [betting(*world(4000, seed, 0.01, 0.05), limit=0.02, delta=0.1) <= 0.1 for seed in range(300)]
    assert sum(found) <= 300 * 0.1


def test_a_bet_shows_what_hoeffding_and_bentkus_cannot():
    found = [world(20_000, seed, 0.005, 0.02) for seed in range(20)]
    bets = sum(betting(*rows, limit=0.02, delta=0.1) <= 0.1 for rows in found)
    bounds = sum(hoeffding_bentkus(*rows, limit=0.02) <= 0.1 for rows in found)
    assert bets >= 14 and bounds == 0


def test_hoeffding_and_bentkus_of_equal_weights_is_near_the_binomial():
    wrong = np.arange(1000) < 10
    exact, bound = binomial(10, 1000, 0.02), hoeffding_bentkus(wrong, np.ones(1000), 0.02)
    assert exact <= bound <= 3 * exact


def test_nothing_is_no_evidence():
    assert p_value(np.zeros(0, bool), np.zeros(0), 0.1, 0.1) == 1.0 and upper(np.zeros(0, bool), np.zeros(0), 0.1) == 1.0


@pytest.mark.parametrize(("limit", "delta"), [(0.02, 0.1), (0.05, 0.05), (0.2, 0.01)])
def test_fewer_rows_than_the_least_prove_nothing(limit, delta):
    rows = least_rows(limit, delta)
    assert binomial(0, rows, limit) <= delta < binomial(0, rows - 1, limit)


def test_the_upper_end_is_that_of_clopper_and_pearson_where_rows_are_alike():
    wrong = np.arange(300) < 7
    assert upper(wrong, np.ones(300), 0.1) == pytest.approx(upper_bound(7, 300, 0.9), abs=1e-6)
    weighted = upper(*world(8000, 1, 0.005, 0.02), delta=0.1)
    assert 0.00875 < weighted < 0.03


def test_the_spread_of_a_rate():
    assert spread_of(np.arange(100) < 10, np.ones(100)) == pytest.approx(0.03)
