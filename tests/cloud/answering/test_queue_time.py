"""Time in a queue is part of the budget: what cannot be begun in time moves on, and the model never runs for it."""

import asyncio
import time

import faulty
import numpy as np
import pytest

from portside.cloud.answering.answers import Question
from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.answering.room import Room
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.failover import BreakerRules, Entry, Policy

DEFAULT = {"y": np.zeros((1, 2), np.float32), "label": np.array([1])}
DEADLINE_MS = 150.0


class Watched(faulty.Faulty):
    """Keeps the first value of every row it has run for."""

    def __init__(self, control):
        super().__init__(control)
        self.ran = []

    def run(self, inputs, cancel=None):
        self.ran.extend(inputs["x"][:, 0].tolist())
        return super().run(inputs, cancel)


@pytest.fixture
def engine(tmp_path):
    made = []

    def build(merge, isolation="thread", failures=50, deadline_ms=DEADLINE_MS):
        session = Watched(tmp_path / "control")
        lane = Lane(session, threads=0) if isolation == "inline" else Lane(session, 1, replace=True)
        entry = ModelEntry("main", "sha256:main", "fake", "sha256:a", "front", faulty.SIGNATURE, Codec(), lane, Room(merge=merge))
        policy = Policy((Entry("model"), Entry("default")), deadline_ms, 15.0, deadline_ms, BreakerRules(failures=failures))
        made.append(Engine((entry, DEFAULT), policy))
        return made[-1], session

    yield build
    (tmp_path / "control").write_text("ok")
    for one in made:
        one.close()


def question(value, late_s=0.0):
    return Question({"x": [[float(value), 0.0]]}, time.monotonic() - late_s)


@pytest.mark.parametrize("merge", [False, True])
def test_calls_behind_a_wedged_one_move_on_without_running(engine, tmp_path, merge):
    served, session = engine(merge)
    (tmp_path / "control").write_text("wedge")

    async def crowd():
        first = asyncio.ensure_future(served.answer(question(1)))
        while not session.ran:
            await asyncio.sleep(0.001)
        rest = [asyncio.ensure_future(served.answer(question(value, late_s=0.1))) for value in range(2, 8)]  # 35 ms are left of theirs
        return await asyncio.gather(first, *rest)

    answers = asyncio.run(crowd())
    assert {answer.receipt.model for answer in answers} == {"default"}
    assert {answer.receipt.reason for answer in answers} <= {"deadline", "busy"}
    (tmp_path / "control").write_text("ok")
    time.sleep(0.05)
    assert session.ran == [1.0], "the model ran for a caller who had left"


@pytest.mark.parametrize("isolation", ["inline", "thread"])
def test_a_request_whose_time_is_up_is_never_begun_and_no_fault_of_the_model(engine, isolation):
    served, session = engine(False, isolation, failures=1, deadline_ms=5000.0)
    for _ in range(3):
        late = asyncio.run(served.answer(question(1, late_s=6.0)))
        assert (late.receipt.model, late.receipt.reason) == ("default", "deadline") and not late.receipt.within_deadline
    assert session.ran == []
    assert asyncio.run(served.answer(question(2))).receipt.reason == "primary", "the breaker heard of what was never begun"


def test_the_budget_starts_at_arrival_not_when_the_engine_looks(engine, tmp_path):
    served, session = engine(False, deadline_ms=5000.0)
    (tmp_path / "control").write_text("wedge")
    answer = asyncio.run(served.answer(question(1, late_s=4.5)))
    assert (answer.receipt.model, answer.receipt.reason) == ("default", "deadline") and answer.receipt.time_ms >= 4500
    assert session.ran == [1.0]
