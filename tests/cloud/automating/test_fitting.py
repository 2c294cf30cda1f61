"""The guarantee: over many draws of labelled rows the threshold's true error rate is above the target at most as often as delta says."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.automating.costs import Costs, price
from portside.cloud.automating.evidence import least_rows
from portside.cloud.automating.fitting import GRID, Point, fit
from portside.sdk.core.errors import InputError
from portside.sdk.core.statistics import lower_bound

DELTA = 0.1


def risk(threshold, power):
    """Error rate above a threshold where scores are uniform and a row of score s is wrong with probability (1 - s) ** power."""
    left = 1 - threshold
    return left**power / (power + 1)


def drawn(rows, seed, power):
    dice = np.random.default_rng(seed)
    scores = dice.random(rows)
    return scores, dice.random(rows) >= (1 - scores) ** power


def violations(found, true_risk, target):
    """Draws whose threshold is worse than promised; the lower end of their share must not be above delta."""
    wrong = sum(held.value is not None and true_risk(held.value) > target for held in found)
    assert lower_bound(wrong, len(found), 0.999) <= DELTA, f"{wrong} of {len(found)}"
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(("power", "target", "rows"), [(1.0, 0.15, 1500), (2.0, 0.05, 1500), (0.5, 0.3, 600)])
def test_the_bound_holds_over_draws_and_something_is_automated(power, target, rows):
    found = [fit(*drawn(rows, seed, power), target_error=target, delta=DELTA, curve=False) for seed in range(150)]
    wrong = violations(found, lambda threshold: risk(threshold, power), target)
    assert sum(held.value is not None for held in found) > 70 and wrong > 0  # it is no bound that is never reached


@settings(max_examples=6, deadline=None)
@given(st.floats(0.5, 3), st.floats(0.02, 0.15), st.integers(200, 900), st.integers(0, 10_000))
def test_the_bound_holds_whatever_the_world_is(power, target, rows, seed):
    found = [fit(*drawn(rows, seed + 1000 * place, power), target_error=target, delta=DELTA, curve=False) for place in range(40)]
    violations(found, lambda threshold: risk(threshold, power), target)


@pytest.mark.slow
def test_the_bound_holds_where_rows_were_drawn_with_different_chances():
    """Above 0.8 the model was automated before: three rows in ten were checked, below that all were labelled."""
    found = []
    for seed in range(80):
        scores, correct = drawn(5000, seed, 1.0)
        chance = np.where(scores >= 0.8, 0.3, 1.0)
        labelled = np.random.default_rng(seed + 10**6).random(5000) < chance
        weights = 1 / chance[labelled]
        found.append(fit(scores[labelled], correct[labelled], weights, target_error=0.15, delta=DELTA, curve=False))
    violations(found, lambda threshold: risk(threshold, 1.0), 0.15)
    assert sum(held.value is not None and held.value < 0.8 for held in found) > 30  # it reached below what was automated before
    unweighted = [fit(*drawn(5000, seed, 1.0), target_error=0.15, delta=DELTA, curve=False).value for seed in range(20)]
    assert np.median([held.value for held in found if held.value]) == pytest.approx(np.median(unweighted), abs=0.09)


def test_without_the_weights_the_rate_would_be_another():
    """What the weights are for: labels of unsure rows are many, so the plain share of wrong labels is far above the true rate."""
    scores, correct = drawn(8000, 3, 1.0)
    chance = np.where(scores >= 0.8, 0.05, 1.0)
    labelled = np.random.default_rng(4).random(8000) < chance
    weighted = fit(scores[labelled], correct[labelled], 1 / chance[labelled], target_error=0.2)
    plain = fit(scores[labelled], correct[labelled], target_error=0.2)
    point, biased = (min(held.curve, key=lambda one: abs(one.threshold - 0.6)) for held in (weighted, plain))
    assert point.error == pytest.approx(risk(point.threshold, 1.0), abs=0.02) and biased.error > risk(biased.threshold, 1.0) + 0.03
    assert point.share == pytest.approx(1 - point.threshold, abs=0.02) and biased.share < 1 - biased.threshold - 0.05


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 40), st.floats(0.02, 0.2))
def test_weights_that_are_alike_change_nothing(seed, weight, target):
    scores, correct = drawn(600, seed, 1.0)
    plain = fit(scores, correct, target_error=target, curve=False)
    weighted = fit(scores, correct, np.full(600, weight), target_error=target, curve=False)
    assert weighted.value == plain.value and weighted.verdict == plain.verdict


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 113))
def test_nothing_is_automated_below_not_enough_data(seed, rows):
    scores = np.random.default_rng(seed).random(rows)
    found = fit(scores, np.ones(rows, bool), target_error=0.02, delta=0.1)
    assert least_rows(0.02, 0.1) == 114 and found.value is None and found.verdict == "not enough data" and not found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.02, 0.3), st.floats(0, 1))
def test_a_model_that_is_right_more_often_is_never_automated_less(seed, target, mended):
    scores, correct = drawn(800, seed, 1.0)
    better = correct | (np.random.default_rng(seed + 1).random(800) < mended)
    before, after = (fit(scores, held, target_error=target, curve=False) for held in (correct, better))
    assert before.value is None or (after.value is not None and after.value <= before.value)


def test_a_model_that_is_always_right_is_automated_everywhere():
    scores = np.random.default_rng(0).random(500)
    found = fit(scores, np.ones(500, bool), target_error=0.05)
    assert found.verdict == "fitted" and found.at.share == 1.0 and found.value <= scores.min()


def test_a_model_that_is_wrong_too_often_is_out_of_reach():
    scores = np.random.default_rng(0).random(2000)
    found = fit(scores, np.random.default_rng(1).random(2000) < 0.7, target_error=0.02)
    assert found.verdict == "out of reach" and found.value is None and "wrong" in found.why


def test_scores_that_say_nothing_automate_all_or_nothing():
    dice = np.random.default_rng(2)
    scores, correct = dice.random(4000), dice.random(4000) < 0.96
    assert fit(scores, correct, target_error=0.05).at.share > 0.9
    assert fit(scores, correct, target_error=0.03).value is None


def test_people_who_err_are_allowed_for():
    """Labels flipped in 3% of the rows: without a word of it 2% cannot be shown, with it the truth is found."""
    dice = np.random.default_rng(3)
    scores, truth = dice.random(6000), dice.random(6000) >= 0.005
    said = truth ^ (dice.random(6000) < 0.03)
    assert fit(scores, said, target_error=0.02).verdict == "out of reach"
    found = fit(scores, said, target_error=0.02, people_error=0.03)
    assert found.verdict == "fitted" and found.at.error == pytest.approx(0.005, abs=0.006)


@pytest.mark.slow
def test_the_bound_holds_for_the_truth_where_people_err():
    found = []
    for seed in range(100):
        scores, correct = drawn(1500, seed, 1.0)
        said = correct ^ (np.random.default_rng(seed + 10**6).random(1500) < 0.03)
        found.append(fit(scores, said, target_error=0.15, people_error=0.03, delta=DELTA, curve=False))
    violations(found, lambda threshold: risk(threshold, 1.0), 0.15)
    assert sum(held.value is not None for held in found) > 50


def test_not_a_number_is_the_least_sure():
    scores = np.array([np.nan] * 100 + [0.9] * 300)
    found = fit(scores, np.arange(400) >= 100, target_error=0.05)
    assert found.value is not None and 0 < found.value <= 0.9 and found.at.rows == 300


def test_the_share_is_of_the_traffic_where_it_is_known():
    scores, correct = drawn(1500, 0, 1.0)
    found = fit(scores, correct, target_error=0.1, traffic=np.array([0.95] * 30 + [0.1] * 70))
    assert found.at.share == 0.3


def test_the_curve_is_in_order_and_its_bounds_are_above():
    scores, correct = drawn(1000, 1, 1.0)
    found = fit(scores, correct, target_error=0.15)
    assert [held.threshold for held in found.curve] == sorted((held.threshold for held in found.curve), reverse=True)
    assert [held.share for held in found.curve] == sorted(held.share for held in found.curve)
    assert all(held.error <= held.upper <= 1 for held in found.curve)
    assert found.at in found.curve and found.at.p <= DELTA


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_error": 0.0},
        {"target_error": 0.6},
        {"delta": 0.0},
        {"people_error": 0.5},
        {"grid": (0.5, 0.9)},
        {"weights": np.zeros(3)},
        {"weights": np.ones(2)},
        {"scores": np.array([0.1, 1.2, 0.3])},
    ],
    ids=lambda held: next(iter(held)),
)
def test_numbers_that_cannot_be(wrong):
    given_ = {"scores": np.array([0.1, 0.5, 0.9]), "correct": np.ones(3, bool), "target_error": 0.1, **wrong}
    with pytest.raises(InputError):
        fit(given_.pop("scores"), given_.pop("correct"), **given_)


def test_the_grid_is_fixed_falls_and_reaches_both_ends():
    assert GRID[0] > 0.9998 and GRID[-1] == 0.0 and all(one > other for one, other in pairwise(GRID))


def test_what_a_threshold_costs():
    point = Point(0.9, share=0.6, error=0.02, upper=0.03, rows=500, p=0.01)
    held = price(point, Costs(review_s=18, hour=50.0, error=2.0, people_error=0.03), check_share=0.05)
    assert held.person_rows == pytest.approx(430) and held.person_hours == pytest.approx(2.15)
    assert held.wrong == pytest.approx(1000 * (0.6 * 0.02 + 0.4 * 0.03))
    assert held.money == pytest.approx(2.15 * 50 + 24 * 2)
    nothing = Point(1.0, share=0.0, error=float("nan"), upper=1.0, rows=0, p=1.0)
    assert price(nothing, Costs(people_error=0.03)).wrong == pytest.approx(30)
