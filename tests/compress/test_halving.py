"""Successive halving: who goes on, decided by what the budget asks and what precision will still save."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.compress.halving import LEAST, going_on, order, saved
from portside.compress.settings import Settings
from portside.compress.structures import UNCHANGED, Structure
from portside.compress.trials import Trial
from portside.sdk.core.budget import Budget
from portside.sdk.core.gates import judge


def trial(size: float, ms: float, loss: float, structure: Structure = UNCHANGED, precision: str = "float32", limit: float = 0.01) -> Trial:
    gate = judge("max_drop", limit, loss, loss, 5000, "accuracy", rate=True)
    figures = {"size_mb": size, "p50_ms": ms, "p95_ms": ms, "size_ratio": size / 10, "ratio": ms / 10}
    return Trial(Settings(precision).of(structure), gate.verdict, figures, loss, (gate,))


def pruned(ratio: float) -> Structure:
    return Structure(({"kind": "prune", "ratio": ratio, "epochs": 3},))


PLAIN = [trial(10, 10, 0), trial(2.5, 5, 0.001, precision="int8-static"), trial(5, 9, 0, precision="float16")]


def test_what_precision_saves_is_that_of_the_smallest_trial_of_each_structure():
    small = [trial(1, 1, 0, pruned(0.1).at(1 / 9)), trial(0.5, 2, 0, pruned(0.1).at(1 / 9), "int8-static")]
    found = saved([*PLAIN, *small, trial(4, 4, 0, pruned(0.4))])
    assert found == {
        UNCHANGED: {"size_mb": 0.25, "size_ratio": 0.25, "p50_ms": 0.5, "p95_ms": 0.5, "p99_ms": 0.5, "ratio": 0.5},
        pruned(0.1): {"size_mb": 0.5, "size_ratio": 0.5, "p50_ms": 2, "p95_ms": 2, "p99_ms": 2, "ratio": 2},
    }
    assert saved([]) == {}


def test_a_structure_is_taken_at_what_it_saves_itself():
    large, small = trial(5, 6, 0.02, pruned(0.5)), trial(2, 2, 0.03, pruned(0.2))
    own = trial(1.5, 4, 0, pruned(0.2), "int8-static")
    budget = Budget(p95_ms=3, max_drop=0.01)
    assert order([large, small], budget, saved(PLAIN)) == [0, 1], "6 ms become 3"
    every = [*PLAIN, trial(5, 6, 0, pruned(0.5)), trial(2, 6, 0, pruned(0.5), "int8-static"), small, own]
    assert order([large, small], budget, saved(every)) == [1, 0]


def test_the_tail_of_one_trial_is_the_machines():
    held = [trial(4, 3, 0.02, pruned(ratio)) for ratio in (0.5, 0.4, 0.3)]
    slow, hiccup = trial(4, 5, 0.011, pruned(0.2)), trial(3, 3, 0.012, pruned(0.1))
    hiccup = replace(hiccup, figures={**hiccup.figures, "p95_ms": 9.0})
    trials = [*held, slow, hiccup]
    assert order(trials, Budget(p95_ms=4, max_drop=0.01), {})[0] == 4, "its median is that of the others"


def test_a_cost_that_stays_weighs_more_than_a_loss_that_training_makes_smaller():
    slow, bad = trial(4, 6, 0.011, pruned(0.5)), trial(3, 4, 0.08, pruned(0.1))
    assert order([slow, bad], Budget(p95_ms=5, max_drop=0.01), {}) == [1, 0]
    assert order([slow, bad], Budget(p95_ms=5.8, max_drop=0.01), {}) == [1, 0], "3.4% over stays over"
    assert order([slow, bad], Budget(p95_ms=5.9, max_drop=0.01), {}) == [0, 1], "1.7% over is what timings differ by"


def test_costs_are_taken_as_if_precision_had_saved_already():
    half, tenth = trial(5, 6, 0.02, pruned(0.5)), trial(1, 2, 0.045, pruned(0.1))
    budget = Budget(size_mb=1.3, max_drop=0.01)
    assert order([half, tenth], budget, {}) == [1, 0], "5 MB in float against 1.3 is further off than 4.5 points against 1"
    assert order([half, tenth], budget, saved(PLAIN)) == [0, 1], "5 MB become 1.25"


def test_of_those_within_the_budget_the_faster_comes_first_and_what_is_beaten_last():
    slow, fast, beaten = trial(4, 6, 0.002, pruned(0.5)), trial(3, 4, 0.005, pruned(0.3)), trial(4, 6, 0.006, pruned(0.4))
    assert order([slow, beaten, fast], Budget(max_drop=0.01), {}) == [2, 0, 1]


def test_trials_that_failed_do_not_go_on():
    failed = Trial(Settings("float32").of(pruned(0.01)), "failed", fault="no")
    assert order([failed, trial(4, 6, 0.5, pruned(0.5))], Budget(max_drop=0.01), {}) == [1]
    assert going_on([failed], Budget(max_drop=0.01), {}) == []


@given(st.lists(st.tuples(*[st.floats(0.1, 9)] * 3), min_size=1, max_size=12))
def test_a_third_goes_on_and_two_at_least(rows):
    trials = [trial(*row, pruned(0.5)) for row in rows]
    places = going_on(trials, Budget(max_drop=0.01), {})
    assert len(places) == len(set(places)) == min(len(rows), max(LEAST, -(-len(rows) // 3)))
    best = min(range(len(rows)), key=lambda place: rows[place][::-1])
    assert set(order(trials, Budget(), {})) == set(range(len(rows))) and best in order(trials, Budget(), {})


@pytest.mark.parametrize("share", [1 / 9, 1.0])
def test_a_structure_that_learned_longer_has_the_same_passes(share):
    assert pruned(0.5).at(share).at(1.0) == pruned(0.5)
