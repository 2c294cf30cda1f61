"""Which waiting calls run next: earliest deadline first, within bounds, nothing lost and nothing twice."""

import math

from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.answering.batching import Bounds, Waiting, WaitingQueue

CALLS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 9), st.integers(0, 90), st.none() | st.floats(1, 20), st.booleans()), max_size=40
)
BOUNDS = st.builds(Bounds, st.integers(1, 12), st.integers(1, 120), st.integers(1, 6))


def filled(calls):
    queue, made = WaitingQueue(), []
    for number, (kind, rows, size, until, alone) in enumerate(calls):
        made.append(Waiting({}, kind, rows, size, until, number))
        made[-1].alone = alone
        queue.push(made[-1])
    return queue, made


@given(CALLS, BOUNDS, st.floats(0, 10))
def test_every_call_comes_out_once_and_bounds_hold(calls, bounds, now):
    queue, made = filled(calls)
    seen = []
    while queue.calls:
        batch, late = queue.take(bounds, now)
        assert all(call.until <= now for call in late) and all(call.until > now for call in batch)
        if len(batch) > 1:
            assert sum(call.rows for call in batch) <= bounds.max_rows and sum(call.size_bytes for call in batch) <= bounds.max_bytes
            assert len(batch) <= bounds.max_calls and len({call.kind for call in batch}) == 1 and not any(call.alone for call in batch)
        seen += batch + late
    assert sorted(call.number for call in seen) == [call.number for call in made]
    assert (queue.calls, queue.rows, queue.size_bytes) == (0, 0, 0) and queue.next_deadline() == math.inf


@given(CALLS, BOUNDS)
def test_the_earliest_deadline_goes_first_and_takes_the_next_of_its_kind(calls, bounds):
    queue, made = filled(calls)
    waiting = sorted(made)
    while waiting:
        batch, late = queue.take(bounds, 0.0)
        assert not late and batch[0] is waiting[0], "the most urgent call of all goes first"
        alike = [call for call in waiting if call.kind == batch[0].kind and call.alone == batch[0].alone]
        assert batch == (alike[: len(batch)] if not batch[0].alone else batch[:1])
        waiting = [call for call in waiting if call not in batch]


@given(CALLS, st.sets(st.integers(0, 39)), BOUNDS)
def test_forgotten_calls_never_run(calls, gone, bounds):
    queue, made = filled(calls)
    for number in gone:
        if number < len(made):
            queue.forget(made[number])
            queue.forget(made[number])
    kept = [call.number for call in made if call.number not in gone]
    assert queue.calls == len(kept) and queue.rows == sum(made[number].rows for number in kept)
    seen = []
    while queue.calls:
        seen += queue.take(bounds, 0.0)[0]
    assert sorted(call.number for call in seen) == kept and queue.take(bounds, 0.0) == ([], [])


def test_a_call_larger_than_a_batch_goes_alone():
    queue, _ = filled([("a", 100, 5, 1.0, False), ("a", 1, 5, 2.0, False)])
    assert [len(queue.take(Bounds(10, 10), 0.0)[0]) for _ in range(3)] == [1, 1, 0]
