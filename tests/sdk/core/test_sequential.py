"""Bets on a mean: what they are worth on average under the claim is enumerated, not trusted; and counts are all that matters."""

from __future__ import annotations

import doctest
from itertools import pairwise, product
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core import sequential
from portside.sdk.core.sequential import POTS, STAKES, Counts, arms, evidence_above, evidence_below, lower, paired, rate, upper
from portside.sdk.core.statistics import binomial_cdf, clopper_pearson

rows = st.integers(0, 400)
levels = st.sampled_from([0.2, 0.05, 0.001])


@st.composite
def tallies(draw) -> list[Counts]:
    """A rate, a paired difference, or arms of one to three shares."""
    kind = draw(st.sampled_from(["rate", "paired", "arms"]))
    if kind == "rate":
        held = draw(rows)
        return [rate(draw(st.integers(0, held)), held)]
    if kind == "paired":
        first, second, rest = draw(rows), draw(rows), draw(rows)
        return [paired(first, second, first + second + rest)]
    found = []
    for share in draw(st.lists(st.sampled_from([0.01, 0.05, 0.2, 0.5]), min_size=1, max_size=3, unique=True)):
        some, other = draw(rows), draw(rows)
        found.append(arms(share, draw(st.integers(0, some)), some, draw(st.integers(0, other)), other))
    return found


def test_the_example_holds():
    assert doctest.testmod(sequential).failed == 0


def test_the_pots_are_one_fortune_and_no_bet_ends_the_game():
    assert pytest.approx(1) == POTS.sum()
    assert (STAKES > 0).all() and (STAKES < 1).all()


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), max_size=40), st.floats(-0.9, 0.9), st.randoms())
def test_a_walk_in_any_order_ends_where_the_counts_say(seen, mean, order):
    order.shuffle(seen)
    pots = POTS.copy()
    for value in seen:
        pots *= 1 - STAKES + STAKES * (1 - value) / (1 - mean)
    held = paired(seen.count(1.0), seen.count(-1.0), len(seen))
    assert evidence_below([held], mean) == pytest.approx(log(pots.sum()), abs=1e-9)


@given(tallies(), st.integers(0, 100), levels)
def test_counts_may_be_kept_apart_and_added_up(held, percent, alpha):
    halves = [Counts(one.values, np.floor(one.counts * percent / 100)) for one in held]
    rest = [Counts(one.values, one.counts - half.counts) for one, half in zip(held, halves, strict=True)]
    for judged in (evidence_below, evidence_above):
        assert judged([*halves, *rest], 0.02) == pytest.approx(judged(held, 0.02), rel=1e-9, abs=1e-9)
    assert upper([*rest, *halves], alpha) == pytest.approx(upper(held, alpha), abs=1e-5)


@given(tallies(), levels)
def test_bounds_are_where_the_evidence_suffices(held, alpha):
    low, high = lower(held, alpha), upper(held, alpha)
    least, most = max(-1.0, held[0].values.min()), 1.0
    assert least <= low <= most and least <= high <= most
    if least + 1e-5 < high < most:
        assert evidence_below(held, high) >= log(1 / alpha) > evidence_below(held, high - 1e-5)
    if least < low < most - 1e-5:
        assert evidence_above(held, low) >= log(1 / alpha) > evidence_above(held, low + 1e-5)


@given(tallies(), st.lists(st.floats(-0.99, 0.99), min_size=2, max_size=8))
def test_evidence_grows_with_the_claim(held, means):
    found = [float(evidence_below(held, mean)) for mean in sorted(means)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(found))


@given(rows, rows, levels)
def test_a_smaller_alpha_and_a_hit_more_never_lower_the_upper_bound(hits, misses, alpha):
    held = upper([rate(hits, hits + misses)], alpha)
    assert upper([rate(hits, hits + misses)], alpha / 2) >= held - 1e-5
    assert upper([rate(hits + 1, hits + misses + 1)], alpha) >= held - 1e-5
    assert lower([rate(hits, hits + misses)], alpha) == pytest.approx(1 - upper([rate(misses, hits + misses)], alpha), abs=1e-5)


@pytest.mark.parametrize("mean", [0.01, 0.3, 0.9])
def test_the_capital_against_a_rate_is_worth_one_on_average(mean):
    chances = np.diff([0.0, *(binomial_cdf(hits, 40, mean) for hits in range(41))])
    worth = np.exp(evidence_below([rate(np.arange(41), np.full(41, 40))], mean)) @ chances
    assert worth == pytest.approx(1, rel=1e-5)
    more = np.diff([0.0, *(binomial_cdf(hits, 40, min(mean + 0.05, 1.0)) for hits in range(41))])
    assert np.exp(evidence_below([rate(np.arange(41), np.full(41, 40))], mean)) @ more < 1


@pytest.mark.parametrize(("share", "here", "there"), [(0.5, 0.3, 0.1), (0.05, 0.22, 0.02), (0.2, 0.0, 0.1)])
def test_the_capital_against_a_difference_of_arms_is_worth_one_on_average(share, here, there):
    """Every outcome of five units, each a hit or not of either arm, by its chance."""
    cells = {(1, 1): share * here, (1, 0): share * (1 - here), (0, 1): (1 - share) * there, (0, 0): (1 - share) * (1 - there)}
    below = above = 0.0
    for seen in product(cells, repeat=5):
        chance = np.prod([cells[one] for one in seen])
        held = [arms(share, seen.count((1, 1)), sum(arm for arm, _ in seen), seen.count((0, 1)), sum(1 - arm for arm, _ in seen))]
        below += chance * exp(evidence_below(held, here - there))
        above += chance * exp(evidence_above(held, here - there))
    assert (below, above) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize(("limit", "alpha"), [(0.02, 0.05), (0.2, 0.2)])
def test_looking_after_every_row_refutes_a_true_claim_as_seldom_as_promised(limit, alpha):
    """Exactly, for 1,000 rows: the chance that the capital ever reached 1 / alpha, by the distribution over counts of hits."""
    most = int(1000 * limit + 12 * (1000 * limit) ** 0.5)
    hits = np.arange(most)
    alive, refuted = np.zeros(most), {"below": 0.0, "above": 0.0}
    for side, judged in (("below", evidence_below), ("above", evidence_above)):
        alive[:] = 0
        alive[0] = 1
        for seen in range(1, 1001):
            alive[1:] = alive[1:] * (1 - limit) + alive[:-1] * limit
            alive[0] *= 1 - limit
            over = (judged([rate(np.minimum(hits, seen), np.full(most, seen))], limit) >= log(1 / alpha)) & (hits <= seen)
            refuted[side] += alive[over].sum()
            alive[over] = 0
    assert 0.1 * alpha < refuted["below"] <= alpha
    assert 0.1 * alpha < refuted["above"] <= alpha


def test_looking_costs_rows_but_not_the_conclusion():
    """The interval for one look at a number of rows that was fixed before lies within."""
    for hits, held in ((0, 500), (10, 1000), (300, 1000)):
        fixed = clopper_pearson(hits, held, 0.9)
        assert lower([rate(hits, held)], 0.05) <= fixed.low and upper([rate(hits, held)], 0.05) >= fixed.high
    assert upper([rate(0, 450)], 0.05) < 0.01


def test_without_units_everything_is_possible_and_what_cannot_be_is_refuted():
    assert (lower([], 0.05), upper([], 0.05)) == (-1.0, 1.0)
    assert (lower([rate(0, 0)], 0.05), upper([rate(0, 0)], 0.05)) == (0.0, 1.0)
    assert (lower([arms(0.01, 0, 0, 0, 0)], 0.05), upper([arms(0.01, 0, 0, 0, 0)], 0.05)) == (-1.0, 1.0)
    assert evidence_below([rate(0, 0)], 1.5) > log(1e9)
    assert evidence_below([rate(10, 10)], 1.0) < 0 < evidence_below([rate(9, 10)], 1.0)


@given(st.lists(st.tuples(tallies(), st.floats(0.001, 0.9)), max_size=5))
def test_many_cases_at_once_are_as_each_alone(cases):
    held, means = [one for one, _ in cases], [mean for _, mean in cases]
    for together, alone in ((sequential.evidences_below, evidence_below), (sequential.evidences_above, evidence_above)):
        assert together(held, means).tolist() == pytest.approx([float(alone(*one)) for one in cases], rel=1e-9, abs=1e-9)
    assert sequential.uppers(held, [0.05] * len(held)) == pytest.approx([upper(one, 0.05) for one in held])


def test_tallies_are_judged_beside_each_other():
    together = evidence_below([arms(0.2, np.array([1, 5]), np.array([200, 300]), np.array([2, 9]), np.array([800, 1200]))], 0.02)
    apart = [float(evidence_below([arms(0.2, 1, 200, 2, 800)], 0.02)), float(evidence_below([arms(0.2, 5, 300, 9, 1200)], 0.02))]
    assert together.tolist() == pytest.approx(apart)
