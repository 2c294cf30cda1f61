"""The consistency window: one answer per entity and content, whoever gave it, within bounds."""

import asyncio
import time

import faulty
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from portside.cloud.answering.answers import Question
from portside.cloud.answering.cache import CacheEntry
from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.consistency import Author, ConsistencyWindow
from portside.cloud.answering.engine import Engine
from portside.cloud.deployment.failover import Cache, Consistency
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.failover import Entry, Policy

ONE, OTHER = [[1.0, 2.0]], [[-5.0, 2.0]]


def author(place=0):
    return Author(place, f"m{place}", "", "t", "", "", "champion", "model")


class Factor(faulty.Faulty):
    """A model whose factor changes when a test says so: its answers are told apart by it."""

    def run(self, inputs, cancel=None):
        outputs = super().run(inputs, cancel)
        return {**outputs, "label": (inputs["x"].sum(axis=1) * self.factor > 0).astype(np.int64)}


@pytest.fixture
def engine(tmp_path):
    made = []

    def build(strict=False, isolation="inline", now=None, **limits):
        clock = (lambda: now[0]) if now is not None else time.monotonic
        sessions = [Factor(tmp_path / "control", factor=2.0), Factor(tmp_path / "none", factor=3.0)]
        entries = tuple(
            ModelEntry(name, f"sha256:{name}", "fake", "sha256:a", "front", faulty.SIGNATURE, Codec(),
                       Lane(session, threads=0) if isolation == "inline" else Lane(session, 1, replace=True))
            for name, session in zip(("main", "backup"), sessions, strict=True)
        )  # fmt: skip
        window = ConsistencyWindow(Consistency(window_s=10.0, strict=strict, **limits), faulty.SIGNATURE, clock)
        made.append(Engine(entries, Policy((Entry("model"), Entry("model"))), consistency=window))
        return made[-1], sessions[0]

    yield build
    for one in made:
        one.close()


def ask(engine, x=ONE, entity="ann"):
    return asyncio.run(engine.answer(Question({"x": x}, time.monotonic(), entity)))


def test_the_same_entity_and_content_get_the_same_answer_and_the_receipt_says_whose(engine):
    now = [0.0]
    served, main = engine(now=now)
    first = ask(served)
    main.factor, now[0] = 7.0, 4.0
    again = ask(served)
    assert again.outputs["y"].tolist() == first.outputs["y"].tolist() == [[2, 4]]
    assert (again.receipt.reason, again.receipt.model, again.receipt.version) == ("consistent", "main", "sha256:main")
    assert again.receipt.age_ms == 4000.0 and first.receipt.reason == "primary" and first.receipt.age_ms is None
    assert ask(served, OTHER).outputs["y"].tolist() == [[-35, 14]], "other content is another question"
    assert ask(served, entity="bob").outputs["y"].tolist() == [[7, 14]]
    assert ask(served, entity=None).receipt.reason == "primary"
    now[0] = 10.0
    assert ask(served).outputs["y"].tolist() == [[7, 14]], "the window does not slide"


def test_whoever_answered_first_is_repeated_also_when_the_champion_is_back(engine, tmp_path):
    served, _ = engine()
    (tmp_path / "control").write_text("throw")
    first = ask(served)
    assert (first.receipt.model, first.receipt.reason) == ("backup", "failed")
    (tmp_path / "control").write_text("ok")
    again = ask(served)
    assert (again.receipt.model, again.receipt.entry, again.receipt.reason, again.receipt.attempts) == ("backup", 1, "consistent", ())
    assert again.outputs["y"].tolist() == first.outputs["y"].tolist() == [[3, 6]]


def test_of_two_at_once_the_first_to_end_is_the_answer_of_both(engine, tmp_path):
    served, _ = engine(isolation="thread")
    (tmp_path / "control").write_text("wedge")

    async def race():
        slow = asyncio.ensure_future(served.answer(Question({"x": ONE}, time.monotonic(), "ann")))
        await asyncio.sleep(0.05)  # the champion has read its orders
        served.consistency.settle("ann", next(iter(keys(served))), {"y": np.array([[9, 9]], np.float32), "label": np.array([0])}, author())
        (tmp_path / "control").write_text("ok")
        return await slow

    answer = asyncio.run(race())
    assert answer.receipt.reason == "consistent" and answer.outputs["y"].tolist() == [[9, 9]]


def keys(served):
    from portside.cloud.answering.content import content_key

    yield content_key(served.champion.encode({"x": ONE}).arrays)


def test_strict_keeps_the_decision_and_gives_the_new_scores(engine):
    now = [0.0]
    served, _ = engine(strict=True, now=now)
    assert ask(served).outputs["label"].tolist() == [1]
    now[0] = 3.0
    other = ask(served, OTHER)
    assert other.outputs["label"].tolist() == [1] and other.outputs["y"].tolist() == [[-10, 4]]
    assert (other.receipt.reason, other.receipt.age_ms) == ("consistent", 3000.0)
    assert ask(served, OTHER).outputs["label"].tolist() == [1]
    two = ask(served, [[-5.0, 2.0], [-5.0, 2.0]])
    assert two.outputs["label"].tolist() == [0, 0] and two.receipt.reason == "primary", "about other rows"
    now[0] = 10.0
    assert ask(served, OTHER).outputs["label"].tolist() == [0], "the window of the entity has ended, and with it that of its answers"


def test_without_a_window_nothing_is_kept_and_a_cache_still_works(tmp_path):
    entry = ModelEntry("main", "sha256:m", "fake", "sha256:a", "front", faulty.SIGNATURE, Codec(),
                       Lane(Factor(tmp_path / "control"), threads=0))  # fmt: skip
    engine = Engine((entry, CacheEntry(Cache(ttl_s=10.0))), Policy((Entry("model"), Entry("cache"))))
    assert [ask(engine).receipt.reason for _ in range(2)] == ["primary"] * 2
    engine.close()


class Windows(RuleBasedStateMachine):
    """Any order of questions and time: within a window one answer per entity and content, and never more kept than allowed."""

    strict = False
    most = 5

    def __init__(self):
        super().__init__()
        self.now, self.number = 0.0, 0
        self.window = ConsistencyWindow(Consistency(window_s=10.0, strict=self.strict, max_entries=self.most), faulty.SIGNATURE,
                                        lambda: self.now)  # fmt: skip
        self.said, self.decided = {}, {}

    @rule(wait=st.sampled_from([0.0, 1.0, 4.0, 9.0, 11.0]))
    def time_passes(self, wait):
        self.now += wait

    @rule(entity=st.sampled_from("ab"), key=st.sampled_from([b"1", b"2", b"3"]), label=st.integers(0, 1))
    def asked(self, entity, key, label):
        self.number += 1
        evicted = self.window.evicted
        held = self.window.held(entity, key)
        if held is None:
            new = {"y": np.array([[self.number, 0]], np.float32), "label": np.array([label])}
            held = self.window.settle(entity, key, new, author())
        y, decision = held.outputs["y"][0, 0], held.outputs["label"][0]
        before = self.said.get((entity, key))
        if before is not None and self.now - before[1] < 10.0 and not evicted:
            assert (y, decision) == before[0]
        else:
            whole = self.strict and entity in self.decided and self.now - self.decided[entity][1] < 10.0
            self.said[entity, key] = ((y, decision), self.decided[entity][1] if whole else self.now)  # strict: one window per entity
        kept = self.decided.get(entity)
        if self.strict and kept is not None and self.now - kept[1] < 10.0 and not evicted:
            assert decision == kept[0]
        elif kept is None or self.now - kept[1] >= 10.0:
            self.decided[entity] = (decision, self.now)

    @invariant()
    def bounded(self):
        assert len(self.window) <= self.most
        assert (self.window.size_bytes > 0) == (len(self.window) > 0)


class StrictWindows(Windows):
    strict = True
    most = 100


class RoomyWindows(Windows):
    most = 100


TestWindows, TestStrictWindows, TestRoomyWindows = Windows.TestCase, StrictWindows.TestCase, RoomyWindows.TestCase
TestWindows.settings = TestStrictWindows.settings = TestRoomyWindows.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None
)
