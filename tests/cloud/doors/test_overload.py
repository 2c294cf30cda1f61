"""Overload at the doors: 429 with a time to come back, apart from faults; what is let in is answered in time."""

import asyncio
import threading
import time
from collections import Counter
from types import SimpleNamespace

import httpx
import pytest

from portside.cloud.answering.answers import NoAnswerError, OverloadedError, Question
from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.answering.room import Room
from portside.cloud.doors.admission import Admission
from portside.cloud.doors.hosts import Hosts
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.wire import Wire
from portside.runtimes.base import SessionInfo
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.failover import BreakerRules, Entry, Policy
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
ROW = {"row": {"x": [1, 2]}}


class Slow:
    """Takes `seconds` a call, or waits for the gate."""

    def __init__(self, seconds):
        self.info = SessionInfo(SIGNATURE, "fake", "sha256:" + "0" * 64, True, True, True)
        self.seconds, self.gate = seconds, threading.Event()
        self.gate.set()

    def run(self, inputs, cancel=None):
        time.sleep(self.seconds)
        self.gate.wait(10)
        return {"y": inputs["x"]}

    def close(self):
        self.gate.set()


@pytest.fixture
def served():
    made = []

    def make(session, room=None, deadline=None, admission=None, breaker=None):
        entry = ModelEntry("m", "d", "fake", "a", "f", SIGNATURE, Codec(), Lane(session, 1, replace=True), room or Room())
        engine = Engine((entry,), Policy((Entry("model"),), deadline, 0.0, deadline or 0.0, breaker or BreakerRules()))
        made.append(engine)
        host = SimpleNamespace(engine=engine, wire=Wire(Codec(), SIGNATURE), openapi={}, fault="", name="slow", version="1",
                               max_body_bytes=1 << 20, receipt="both")  # fmt: skip
        hosts = Hosts((host,))
        if admission:
            hosts.pages.append(admission.page)
        app = HttpApp(hosts, guards=(admission,) if admission else ())
        return engine, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", timeout=20)

    yield make
    for engine in made:
        engine.close()


async def under_way(engine, count):
    ends = time.monotonic() + 10
    while engine.champion.queue.inflight < count:
        assert time.monotonic() < ends
        await asyncio.sleep(0.001)


def test_a_full_queue_is_429_with_a_time_and_a_receipt_and_leaves_the_breaker_alone(served):
    session = Slow(0.0)
    engine, client = served(session, Room(merge=False, max_waiting=1))

    async def test():
        session.gate.clear()
        held = [asyncio.create_task(client.post("/predict", json=ROW)) for _ in range(2)]
        await under_way(engine, 2)
        refused = [await client.post("/predict", json=ROW) for _ in range(8)]
        session.gate.set()
        return refused, [await one for one in held], (await client.get("/metrics")).text

    refused, held, page = asyncio.run(test())
    assert {answer.status_code for answer in refused} == {429} and {answer.status_code for answer in held} == {200}
    said = refused[0].json()
    assert said["error"] == "Overloaded" and said["receipt"]["attempts"] == ["0:busy"] and int(refused[0].headers["retry-after"]) >= 1
    assert 'portside_shed_total{entry="0",why="full"} 8' in page and 'portside_refused_total{status="429"} 8' in page
    assert 'portside_breaker_open{entry="0"} 0' in page and 'status="503"' not in page


def test_admission_refuses_before_the_body_is_read_and_health_always_answers(served):
    session = Slow(0.0)
    engine, client = served(session, admission=Admission(1, 1 << 20, 1 << 20))

    async def test():
        session.gate.clear()
        held = asyncio.create_task(client.post("/predict", json=ROW))
        await under_way(engine, 1)
        refused = await client.post("/predict", content=b"not even JSON")
        health = [(await client.get(path)).status_code for path in ("/livez", "/readyz", "/metrics")]
        session.gate.set()
        return refused, health, await held, (await client.get("/metrics")).text

    refused, health, held, page = asyncio.run(test())
    assert refused.status_code == 429 and refused.headers["retry-after"] == "1" and health == [200] * 3 and held.status_code == 200
    assert "portside_turned_away_total 1" in page and "portside_inflight_requests 0" in page


@pytest.mark.load
def test_under_twice_the_load_what_is_let_in_is_answered_and_the_queue_stays_short(served):
    rules = BreakerRules(failures=1_000_000)  # three calls in a row are late where the machine stands still: that is not asked here
    engine, _ = served(Slow(0.004), Room(merge=False), deadline=80.0, breaker=rules)
    engine.warm(10)
    longest, seen = [0], Counter()

    async def one():
        try:
            await engine.answer(Question({"x": [[1.0, 2.0]]}, time.monotonic()))
            seen["answered"] += 1
        except OverloadedError:
            seen["busy"] += 1
        except NoAnswerError as error:
            seen[error.receipt.attempts] += 1

    async def test():
        tasks, began = [], time.monotonic()
        while (passed := time.monotonic() - began) < 4:
            tasks += [asyncio.create_task(one()) for _ in range(int(500 * passed) - len(tasks))]
            longest[0] = max(longest[0], engine.champion.queue.waiting.calls)
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)

    asyncio.run(test())
    assert seen["answered"] > 100 and seen["busy"] > seen["answered"] / 3, seen
    assert sum(seen.values()) - seen["answered"] - seen["busy"] <= 0.1 * sum(seen.values()), seen
    assert longest[0] <= 20, "no more wait than can be answered in time"
