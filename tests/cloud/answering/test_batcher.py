"""The queue in front of a lane: lone calls at once, batches under load, deadlines, bounds, and nobody harmed by a stranger."""

import asyncio
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.cloud.answering.batcher import Batcher
from portside.cloud.answering.batching import Bounds
from portside.cloud.answering.pace import Pace
from portside.cloud.answering.room import Room
from portside.runtimes.base import SessionInfo
from portside.runtimes.isolation import Lane
from portside.sdk.core.errors import EngineError, InputError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
SHARED = Signature((TensorSpec("x", "f32", (1, 2), batch_axis=None),), SIGNATURE.outputs)
INFO = SessionInfo(SIGNATURE, "fake", "sha256:" + "0" * 64, True, True, True)
MERGE = Room(merge=True)


class Gated:
    """Doubles x. Calls end when the gate is open and none of their rows is held; NaN raises; `batches` keeps the rows of each."""

    def __init__(self, info=INFO):
        self.info, self.gate, self.batches, self.began = info, threading.Event(), [], threading.Event()
        self.gate.set()
        self.holding, self.deaf = set(), False

    def run(self, inputs, cancel=None):
        self.batches.append(inputs["x"][:, 0].tolist())
        self.began.set()
        while not self.gate.wait(0.002) or self.holding & set(self.batches[-1]):
            if cancel is not None and cancel.cancelled and not self.deaf:
                raise EngineError("stopped", reason="cancelled")
        if np.isnan(inputs["x"]).any():
            raise ValueError("a row that breaks the model")
        if (inputs["x"] < 0).any():
            raise InputError("a row that is refused", field="x")
        return {"y": inputs["x"] * 2}

    def close(self):
        self.gate.set()


def x(value, rows=1):
    return {"x": np.full((rows, 2), value, np.float32)}


def soon(seconds):
    return time.monotonic() + seconds


@pytest.fixture
def batcher_of():
    made = []

    def make(room=MERGE, info=INFO, width=1, replaces=True):
        session = Gated(info)
        lane = Lane(session, width, replace=replaces)
        made.append(Batcher(lane, info.signature, room))
        return session, made[-1]

    yield make
    for batcher in made:
        batcher.close()
        batcher._lane.close()


async def held(session, batcher, value=0.0):
    """A call that keeps the lane busy until the gate opens."""
    session.gate.clear()
    session.began.clear()
    task = asyncio.create_task(batcher.ask(x(value), None))
    await asyncio.sleep(0)
    assert await asyncio.to_thread(session.began.wait, 5)
    return task


def run(test):
    return asyncio.run(asyncio.wait_for(test(), 20))


def test_calls_gather_while_the_lane_is_busy_and_each_gets_its_own_answer(batcher_of):
    session, batcher = batcher_of()

    async def test():
        first = await held(session, batcher)
        rest = [asyncio.create_task(batcher.ask(x(value, rows=value), None)) for value in (1, 2, 3)]
        await asyncio.sleep(0)
        assert batcher.waiting.calls == 3 and batcher.waiting.rows == 6 and batcher.waiting.size_bytes == 6 * 8 and batcher.inflight == 4
        session.gate.set()
        return await asyncio.gather(first, *rest)

    answers = run(test)
    assert [answer["y"].tolist() for answer in answers] == [[[value * 2] * 2] * max(value, 1) for value in (0, 1, 2, 3)]
    assert session.batches == [[0], [1, 2, 2, 3, 3, 3]] and batcher.tally.batches == 2 and batcher.tally.rows == 7


def test_a_lone_call_is_not_a_batch_and_goes_at_once(batcher_of):
    session, batcher = batcher_of(replace(MERGE, max_wait_s=30.0))

    async def test():
        return [(await batcher.ask(x(value), soon(10)))["y"][0, 0] for value in (1, 2, 3)]

    assert run(test) == [2, 4, 6] and session.batches == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("room", "info", "why"),
    [
        (MERGE, replace(INFO, batch_invariant=False), "depends on its batch"),
        (Room(merge=False), INFO, "switched off"),
        (MERGE, replace(INFO, signature=SHARED), "no batch axis"),
    ],
)
def test_what_must_not_share_never_does_and_says_why(batcher_of, room, info, why):
    session, batcher = batcher_of(room, info)
    batcher.settle(Pace(0.001, 0.0), worth=True)

    async def test():
        first = await held(session, batcher)
        rest = [asyncio.create_task(batcher.ask(x(value), None)) for value in (1, 2)]
        await asyncio.sleep(0)
        session.gate.set()
        await asyncio.gather(first, *rest)

    run(test)
    assert session.batches == [[0], [1], [2]] and why in batcher.obstacle and not batcher.merges


def test_unset_it_is_what_was_measured(batcher_of):
    for worth in (True, False):
        _, batcher = batcher_of(Room())
        assert not batcher.merges
        batcher.settle(Pace(0.001, 0.0), worth)
        assert batcher.merges is worth and batcher.obstacle == ("" if worth else "batches are not faster")


def test_the_most_urgent_go_first_within_the_bounds(batcher_of):
    session, batcher = batcher_of(replace(MERGE, bounds=Bounds(max_rows=2)))

    async def test():
        first = await held(session, batcher)
        deadlines = ((1, None), (2, soon(50)), (3, soon(40)), (4, soon(60)))
        rest = [asyncio.create_task(batcher.ask(x(value), until)) for value, until in deadlines]
        await asyncio.sleep(0)
        session.gate.set()
        await asyncio.gather(first, *rest)

    run(test)
    assert session.batches == [[0], [3, 2], [4, 1]]


def test_calls_whose_deadline_passes_are_never_run(batcher_of):
    session, batcher = batcher_of()

    async def test():
        first = await held(session, batcher)
        late = asyncio.create_task(batcher.ask(x(1), soon(0.03)))
        kept = asyncio.create_task(batcher.ask(x(2), soon(30)))
        with pytest.raises(EngineError) as caught:
            await late
        assert caught.value.reason == "deadline" and batcher.waiting.calls == 1
        session.gate.set()
        await asyncio.gather(first, kept)

    run(test)
    assert session.batches == [[0], [2]] and batcher.tally.late == 1


def test_a_deadline_that_passes_in_a_queue_that_moves_is_an_overload(batcher_of):
    session, batcher = batcher_of(Room(merge=False), replaces=False)

    async def test():
        first = await held(session, batcher)
        late = asyncio.create_task(batcher.ask(x(1), soon(0.3)))
        second = asyncio.create_task(batcher.ask(x(2), soon(0.2)))
        await asyncio.sleep(0)
        session.holding.add(2.0)
        session.deaf = True
        session.gate.set()
        await first
        with pytest.raises(EngineError) as caught:
            await late
        session.holding.clear()
        with pytest.raises(EngineError) as stuck:
            await second
        return caught.value.reason, stuck.value.reason

    assert run(test) == ("busy", "deadline")


def test_one_deadline_in_a_batch_gives_up_one_call_and_the_last_one_stops_the_engine(batcher_of):
    session, batcher = batcher_of()

    async def test():
        first = await held(session, batcher)
        tasks = [asyncio.create_task(batcher.ask(x(value), soon(seconds))) for value, seconds in ((1, 0.2), (2, 30))]
        await asyncio.sleep(0)
        session.holding.add(1.0)
        session.gate.set()
        await first
        with pytest.raises(EngineError):
            await tasks[0]
        assert batcher._lane.abandoned_total == 0
        session.holding.clear()
        assert (await tasks[1])["y"].tolist() == [[4, 4]]

    run(test)


def test_a_wedged_call_is_abandoned_and_the_lane_goes_on(batcher_of):
    session, batcher = batcher_of()

    async def test():
        session.gate.clear()
        with pytest.raises(EngineError) as caught:
            await batcher.ask(x(1), soon(0.5))  # time enough to be begun
        assert caught.value.reason == "deadline" and batcher._lane.abandoned_total == 1
        session.gate.set()
        return await batcher.ask(x(2), soon(10))

    assert run(test)["y"].tolist() == [[4, 4]]


@pytest.mark.parametrize(("bad", "error"), [(np.nan, EngineError), (-1.0, InputError)])
def test_a_strangers_bad_row_harms_nobody(batcher_of, bad, error):
    session, batcher = batcher_of()

    async def test():
        first = await held(session, batcher)
        rest = [asyncio.create_task(batcher.ask(x(value), None)) for value in (1, bad, 3)]
        await asyncio.sleep(0)
        session.gate.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    _, one, spoilt, three = run(test)
    assert one["y"].tolist() == [[2, 2]] and three["y"].tolist() == [[6, 6]] and isinstance(spoilt, error)
    assert len(session.batches) == 5 and batcher.tally.again == 3


def test_full_queues_refuse_by_calls_bytes_and_calls_under_way(batcher_of):
    rooms = {"full": Room(max_waiting=2), "bytes": Room(max_waiting_bytes=20), "inflight": Room(max_inflight=3)}
    for name, room in rooms.items():
        session, batcher = batcher_of(room)

        async def test(session=session, batcher=batcher):
            first = await held(session, batcher)
            rest = [asyncio.create_task(batcher.ask(x(value), None)) for value in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(EngineError) as caught:
                await batcher.ask(x(3), None)
            session.gate.set()
            await asyncio.gather(first, *rest)
            return caught.value.reason

        assert run(test) == "busy" and sum(batcher.tally.shed.values()) == 1, name


def test_a_call_that_would_be_late_is_refused_at_once(batcher_of):
    session, batcher = batcher_of(Room(merge=False))
    batcher.settle(Pace(5.0, 0.0), worth=False)

    async def test():
        first = await held(session, batcher)
        assert batcher.wait_s() > 5.0
        with pytest.raises(EngineError) as caught:
            await batcher.ask(x(1), soon(1))
        session.gate.set()
        await first
        await batcher.ask(x(2), soon(1))  # an idle lane takes every call
        return caught.value.reason

    assert run(test) == "busy" and batcher.tally.shed == {"late": 1}


def test_a_session_that_holds_its_thread_gets_no_more_calls_until_it_is_free(batcher_of):
    session, batcher = batcher_of(replaces=False)

    async def test():
        session.gate.clear()
        session.run, real = lambda inputs, cancel: (session.gate.wait(10), {"y": inputs["x"] * 2})[1], session.run
        with pytest.raises(EngineError):
            await batcher.ask(x(1), soon(0.5))
        assert batcher._lane.capacity == 0
        waiting = asyncio.create_task(batcher.ask(x(2), soon(10)))
        await asyncio.sleep(0.02)
        assert batcher.waiting.calls == 1
        session.run = real
        session.gate.set()
        return await waiting

    assert run(test)["y"].tolist() == [[4, 4]]


FATES = st.sampled_from(["stay", "cancel", "short", "bad"])
STEPS = st.lists(st.tuples(st.integers(1, 3), FATES, st.integers(0, 2)), min_size=1, max_size=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(STEPS, st.integers(1, 2), st.integers(1, 8))
def test_no_call_is_lost_or_answered_twice(batcher_of, steps, width, max_rows):
    _, batcher = batcher_of(replace(MERGE, bounds=Bounds(max_rows=max_rows)), width=width)

    async def test():
        tasks = []
        for number, (rows, fate, pause) in enumerate(steps):
            value = np.nan if fate == "bad" else number + 1.0
            until = soon(0.001) if fate == "short" else soon(15)
            tasks.append(asyncio.create_task(batcher.ask(x(value, rows), until)))
            if pause:
                await asyncio.sleep(0.0004 * pause)
            if fate == "cancel":
                tasks[-1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    for number, ((rows, fate, _), got) in enumerate(zip(steps, asyncio.run(test()), strict=True)):
        if isinstance(got, dict):
            assert got["y"].tolist() == [[(number + 1) * 2.0] * 2] * rows
        else:
            kinds = {"cancel": asyncio.CancelledError, "short": EngineError, "bad": EngineError}
            assert fate in kinds and isinstance(got, kinds[fate]), (fate, got)
    assert batcher.inflight == 0
