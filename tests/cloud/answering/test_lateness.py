"""How many requests a late event loop lets in."""

from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.answering.lateness import ON_TIME, PATIENCE, UNLIMITED, Lateness, after

LIMIT_S = 0.5


def run(lags, let_in=100, held=ON_TIME):
    for lag in lags:
        held = after(held, lag, min(let_in, held.most), LIMIT_S)
    return held


def test_one_stall_changes_nothing_however_long():
    assert run([0.0, 60.0, 0.0]).most == UNLIMITED and run([60.0, 0.4, 60.0]).most == UNLIMITED


def test_a_loop_that_stays_late_lets_in_half_at_each_tick_and_always_one():
    assert [run([0.6] * count).most for count in range(2, 10)] == [50, 25, 12, 6, 3, 1, 1, 1]
    assert run([0.6] * 20, let_in=0).most == 1


def test_between_late_and_on_time_nothing_swings():
    held = run([0.6, 0.6, 0.6])
    assert run([0.3] * 100, held=held) == Lateness(held.most)


def test_on_time_again_everybody_is_let_in_within_three_seconds():
    held = run([0.6] * 20)
    counts = [held.most]
    while held.most < UNLIMITED:
        held = run([0.01], held=held)
        counts.append(held.most)
    assert counts == sorted(counts) and len(counts) <= 3 / 0.05 + 15


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10_000))))
def test_it_is_never_shut_and_grows_only_on_time(steps):
    held = ON_TIME
    for lag, let_in in steps:
        before, held = held, after(held, lag, let_in, LIMIT_S)
        assert 1 <= held.most <= UNLIMITED and 0 <= held.late <= PATIENCE
        assert lag < LIMIT_S / 2 if held.most > before.most else held.most == before.most or lag >= LIMIT_S
