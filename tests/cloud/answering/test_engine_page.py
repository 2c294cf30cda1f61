"""What the metrics page shows of an engine: failovers, openings, states of breakers, caches, stages; a Prometheus parser reads it all."""

import asyncio
import time

import faulty
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portside.cloud.answering.answers import Question
from portside.cloud.answering.cache import CacheEntry
from portside.cloud.answering.chain import ModelEntry
from portside.cloud.answering.consistency import ConsistencyWindow
from portside.cloud.answering.engine import Engine
from portside.cloud.deployment.failover import Cache, Consistency
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.failover import BreakerRules, Entry, Policy

DEFAULT = {"y": np.zeros((1, 2), np.float32), "label": np.array([1])}


@pytest.fixture
def served(tmp_path):
    now = [0.0]
    lane = Lane(faulty.Faulty(tmp_path / "control"), 1, replace=True)
    entry = ModelEntry("main", "sha256:m", "fake", "sha256:a", "front", faulty.SIGNATURE, Codec(), lane)
    chain = (entry, CacheEntry(Cache(ttl_s=5.0, stale=True), clock=lambda: now[0]), DEFAULT)
    rules = BreakerRules(failures=2, open_ms=60_000, max_open_ms=60_000)
    policy = Policy((Entry("model"), Entry("cache"), Entry("default")), breaker=rules)
    engine = Engine(chain, policy, consistency=ConsistencyWindow(Consistency(window_s=60.0), faulty.SIGNATURE))
    yield engine, now
    engine.close()


def ask(engine, x=1.0, entity=None):
    return asyncio.run(engine.answer(Question({"x": [[x, 0.0]]}, time.monotonic(), entity)))


def page(engine):
    found = {}
    for family in text_string_to_metric_families(engine.metrics.text()):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(engine, name, **labels):
    return page(engine).get((name, tuple(sorted(labels.items()))))


def test_a_story_of_failures_is_told_by_the_page(served, tmp_path):
    engine, now = served
    ask(engine)
    assert value(engine, "portside_breaker_state", entry="0", state="closed") == 1
    (tmp_path / "control").write_text("throw")
    now[0] = 9.0
    assert ask(engine).receipt.stale
    ask(engine, 2.0)
    assert ask(engine, 3.0).receipt.reason == "breaker-open"
    assert value(engine, "portside_breaker_state", entry="0", state="open") == 1
    assert value(engine, "portside_breaker_state", entry="0", state="closed") == 0
    assert value(engine, "portside_breaker_openings_total", entry="0") == 1
    assert value(engine, "portside_failovers_total", entry="0", reason="failed") == 2
    assert value(engine, "portside_failovers_total", entry="1", reason="miss") == 2
    assert value(engine, "portside_cache_hits_total", entry="1") == 1
    assert value(engine, "portside_cache_misses_total", entry="1") == 2
    assert value(engine, "portside_stale_answers_total", entry="1") == 1
    assert value(engine, "portside_cache_answers", entry="1") == 1
    assert value(engine, "portside_cache_bytes", entry="1") > 0


def test_entities_that_hold_are_counted(served):
    engine, _ = served
    for _ in range(3):
        ask(engine, 1.0, "ann")
    assert value(engine, "portside_requests_total", model="main", reason="consistent") == 2
    assert value(engine, "portside_consistency_answers") == 1
    assert value(engine, "portside_consistency_evicted_total") == 0


def test_time_is_told_by_stage(served, tmp_path):
    engine, _ = served
    (tmp_path / "control").write_text("slow")  # 200 ms

    async def two():
        await asyncio.gather(*(engine.answer(Question({"x": [[x, 0.0]]}, time.monotonic())) for x in (1.0, 2.0)))

    asyncio.run(two())
    seconds = {stage: value(engine, "portside_stage_seconds_sum", stage=stage) for stage in ("encode", "queue", "model", "decode")}
    assert value(engine, "portside_stage_seconds_count", stage="model") == 2
    assert seconds["queue"] >= 0.15, "the second waited for the first"
    assert seconds["model"] >= 0.35 and seconds["encode"] > 0
    assert value(engine, "portside_stage_seconds_bucket", stage="model", le="+Inf") == 2
