"""Interleaving, summaries and ratios, on made-up durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.timing import LEAST_CALLS, Samples, interleave, ratio, table

DURATIONS = st.lists(st.lists(st.floats(1e-6, 10), min_size=1, max_size=9).map(tuple), min_size=1, max_size=5).map(tuple)


@given(DURATIONS)
def test_percentiles_lie_within_the_durations_and_in_order(repeats):
    samples = Samples(repeats)
    every = [seconds * 1000 for repeat in repeats for seconds in repeat]
    figures = [samples.percentile_ms(q) for q in (0, 50, 95, 100)]
    assert figures == sorted(figures)
    assert (figures[0], figures[-1]) == (pytest.approx(min(every)), pytest.approx(max(every)))
    low, high = samples.spread_ms()
    assert low <= high
    assert samples.calls == len(every)


@given(DURATIONS)
def test_a_call_beside_itself_has_ratio_one(repeats):
    assert ratio(Samples(repeats), Samples(repeats)) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))


def test_calls_take_turns_after_a_warm_up():
    order = []
    found = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2, seconds=0)
    turn = LEAST_CALLS
    assert "".join(order) == "ab" + "a" * turn + "b" * turn + "b" * turn + "a" * turn
    assert [samples.calls for samples in found.values()] == [2 * turn, 2 * turn]


def test_a_failing_call_leaves_the_garbage_collector_on():
    import gc

    with pytest.raises(ZeroDivisionError):
        interleave({"a": lambda: 1 / 0}, seconds=0)
    assert gc.isenabled()


def test_tables_are_aligned():
    assert table([["name", "ms"], ["a", "1.0"], ["longer", "10.0"]]).splitlines() == [
        "name      ms", "------------", "a        1.0", "longer  10.0",
    ]  # fmt: skip
