"""The engine: who answers when the champion is slow, wedged, throwing, nonsensical, late or absent, and what the receipt says."""

import asyncio
import json
import time

import faulty
import httpx
import numpy as np
import pytest

from portside.cloud.answering.answers import NoAnswerError, Question
from portside.cloud.answering.cache import CacheEntry
from portside.cloud.answering.chain import ModelEntry, warm_inputs
from portside.cloud.answering.endpoint import EndpointEntry
from portside.cloud.answering.engine import Engine
from portside.cloud.deployment.file import Cache
from portside.cloud.records.store import RecordStore, records
from portside.runtimes.isolation import Lane
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.errors import InputError
from portside.sdk.core.failover import BreakerRules, Entry, Policy

RULES = BreakerRules(failures=3, open_ms=500, max_open_ms=500)
WIRE = {"x": [[1.0, 2.0], [3.0, 4.0]]}
DEFAULT = {"y": np.zeros((1, 2), np.float32), "label": np.array([1])}


def model(control, name="main", isolation="thread", factor=2.0, width=1):
    session = faulty.Faulty(control, factor=factor)
    lane = Lane(session, threads=0) if isolation == "inline" else Lane(session, width, replace=True)
    return ModelEntry(name, f"sha256:{name}", "fake", "sha256:artifact", "front", faulty.SIGNATURE, Codec(), lane)


@pytest.fixture
def control(tmp_path):
    return tmp_path / "control"


@pytest.fixture
def chain(control, tmp_path):
    """An engine over a faulty champion and whatever else."""
    made = []

    def build(*rest, deadline=5000, isolation="thread", store=None, width=1):
        kinds = {ModelEntry: "model", CacheEntry: "cache", EndpointEntry: "endpoint", dict: "default"}
        entries = (model(control, isolation=isolation, width=width), *rest)
        policy = Policy(tuple(Entry(kinds[type(entry)], 500 if type(entry) is EndpointEntry else None) for entry in entries),
                        deadline, deadline / 10, deadline, RULES)  # fmt: skip
        made.append(Engine(entries, policy, records=store, deployment="sha256:deployment"))
        return made[-1]

    yield build
    control.write_text("ok")
    for engine in made:
        engine.close()


def backup(tmp_path):
    return model(tmp_path / "no-control", "backup", factor=3.0)


def ask(engine, wire=WIRE, **rest):
    return asyncio.run(engine.answer(Question(wire, time.monotonic(), **rest)))


@pytest.mark.parametrize("isolation", ["inline", "thread"])
def test_the_champion_answers(chain, isolation):
    answer = ask(chain(isolation=isolation))
    assert answer.outputs["y"].tolist() == [[2, 4], [6, 8]]
    receipt = answer.receipt
    assert (receipt.model, receipt.version, receipt.target, receipt.entry, receipt.reason) == ("main", "sha256:main", "fake", 0, "primary")
    assert receipt.attempts == () and receipt.deadline_ms == 5000 and receipt.within_deadline and receipt.time_ms >= receipt.model_ms


@pytest.mark.parametrize(("fault", "reason", "deadline"), [
    ("throw", "failed", 5000), ("nan", "non-finite", 5000),
    ("slow", "deadline", 500), ("wedge", "deadline", 500), ("polite", "deadline", 500),
])  # fmt: skip
def test_the_backup_answers_and_the_receipt_says_why(chain, control, tmp_path, monkeypatch, fault, reason, deadline):
    monkeypatch.setattr(faulty, "SLOW_S", 2.0)
    engine = chain(backup(tmp_path), deadline=deadline)
    control.write_text(fault)
    answer = ask(engine)
    assert answer.outputs["y"].tolist() == [[3, 6], [9, 12]]
    assert (answer.receipt.model, answer.receipt.reason, answer.receipt.attempts) == ("backup", reason, (f"0:{reason}",))
    assert f'portside_failovers_total{{entry="0",reason="{reason}"}} 1' in engine.metrics.text()


def test_the_breaker_opens_and_one_good_probe_closes_it(chain, control, tmp_path):
    engine = chain(backup(tmp_path))
    control.write_text("throw")
    assert [ask(engine).receipt.reason for _ in range(5)] == ["failed"] * 3 + ["breaker-open"] * 2
    control.write_text("ok")
    assert ask(engine).receipt.reason == "breaker-open"
    time.sleep(0.55)
    assert [ask(engine).receipt.reason for _ in range(3)] == ["primary"] * 3


def test_time_in_the_queue_counts(chain, tmp_path, control):
    engine = chain(backup(tmp_path), deadline=500)

    async def late():
        return await engine.answer(Question(WIRE, time.monotonic() - 1.0))

    answer = asyncio.run(late())
    assert answer.receipt.reason == "deadline" and answer.receipt.model == "backup" and not answer.receipt.within_deadline


def test_many_callers_of_a_wedged_champion_are_all_answered(chain, tmp_path, control):
    engine = chain(backup(tmp_path), DEFAULT, width=2, deadline=500)
    control.write_text("wedge")

    async def crowd():
        return await asyncio.gather(*(engine.answer(Question(WIRE, time.monotonic())) for _ in range(40)))

    answers = asyncio.run(crowd())
    models = [answer.receipt.model for answer in answers]
    assert set(models) <= {"backup", "default"} and "backup" in models  # forty at once may be more than a slow machine's backup can take
    assert {answer.receipt.reason for answer in answers} <= {"deadline", "breaker-open", "down", "busy"}


def test_a_default_answers_for_every_row(chain, control):
    engine = chain(DEFAULT)
    control.write_text("throw")
    answer = ask(engine)
    assert answer.outputs["label"].tolist() == [1, 1] and answer.outputs["y"].shape == (2, 2)
    assert (answer.receipt.model, answer.receipt.target, answer.receipt.version) == ("default", "default", "")


def test_without_a_default_everything_failing_is_an_error_with_a_receipt(chain, control, tmp_path):
    engine = chain(store=RecordStore(tmp_path / "records.sqlite"))
    control.write_text("throw")
    with pytest.raises(NoAnswerError) as caught:
        ask(engine)
    body = caught.value.to_dict()
    assert engine.records.flush()
    (kept,) = records(tmp_path / "records.sqlite")
    assert (kept.id, kept.arm, kept.exposed, kept.outputs) == (caught.value.receipt.record, "none", False, {})
    assert body["error"] == "NoAnswer" and body["receipt"]["attempts"] == ["0:failed"]
    json.dumps(body)


def test_bad_input_is_refused_and_no_backup_is_asked(chain, tmp_path):
    engine = chain(backup(tmp_path), DEFAULT)
    with pytest.raises(InputError, match="'x'"):
        ask(engine, {"x": [[1.0]]})
    with pytest.raises(InputError, match="too many rows"):
        ask(engine, {"x": np.zeros((5000, 2), np.float32)})
    assert ask(engine).receipt.reason == "primary"


def test_a_cached_answer_is_the_champions_own_and_says_when_it_is_stale(chain, control):
    now = [0.0]
    engine = chain(CacheEntry(Cache(ttl_s=10.0, stale=True), clock=lambda: now[0]), DEFAULT)
    assert ask(engine).receipt.reason == "primary"
    control.write_text("throw")
    fresh = ask(engine)
    assert (fresh.receipt.model, fresh.receipt.stale) == ("cache", False) and fresh.outputs["y"].tolist() == [[2, 4], [6, 8]]
    now[0] = 11.0
    assert ask(engine).receipt.stale
    other = ask(engine, {"x": [[9.0, 9.0]]})
    assert other.receipt.model == "default" and other.receipt.attempts[-1] == "1:miss"


def test_a_cache_that_is_asked_first_spares_the_champion(chain, control):
    now = [0.0]
    engine = chain(CacheEntry(Cache(ttl_s=10.0, first=True, stale=True), clock=lambda: now[0]), DEFAULT)
    assert ask(engine).receipt.reason == "primary"
    control.write_text("throw")
    now[0] = 2.0
    second = ask(engine)
    assert (second.receipt.model, second.receipt.reason, second.receipt.attempts, second.receipt.entry) == ("cache", "cached", (), 1)
    assert second.receipt.age_ms == 2000.0 and second.outputs["y"].tolist() == [[2, 4], [6, 8]]
    now[0] = 11.0  # too old to be asked first, good enough when the champion fails
    third = ask(engine)
    assert (third.receipt.reason, third.receipt.stale, third.receipt.model) == ("failed", True, "cache")


def endpoint(reply):
    return EndpointEntry("http://elsewhere/predict", faulty.SIGNATURE, httpx.MockTransport(reply))


def test_an_endpoint_answers_in_the_signatures_dtypes(chain, control):
    seen = []

    def reply(request):
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"outputs": {"y": [[1, 2], [3, 4]], "label": [0, 1]}})

    engine = chain(endpoint(reply), DEFAULT)
    control.write_text("throw")
    answer = ask(engine)
    assert seen == [{"inputs": WIRE}]
    assert answer.receipt.target == "endpoint" and answer.outputs["y"].dtype == np.float32 and answer.outputs["label"].dtype == np.int64


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": [[1, 2]], "label": [0]}, {"y": [[1, 2], [3, 4]]}, {"y": [["a", 2], [3, 4]], "label": [0, 1]},
        {"y": [[1, None], [3, 4]], "label": [0, 1]}, [], None,
    ],
)  # fmt: skip
def test_an_endpoint_is_believed_no_more_than_a_model(chain, control, outputs):
    engine = chain(endpoint(lambda request: httpx.Response(200, json={"outputs": outputs})), DEFAULT)
    control.write_text("throw")
    assert ask(engine).receipt.model == "default"


@pytest.mark.parametrize(
    "broken", [httpx.Response(500), httpx.ConnectError("no"), httpx.ReadTimeout("slow"), httpx.Response(200, content=b"<html>")]
)
def test_an_endpoint_that_fails_is_passed_over(chain, control, broken):
    def reply(request):
        if isinstance(broken, Exception):
            raise broken
        return broken

    engine = chain(endpoint(reply), DEFAULT)
    control.write_text("throw")
    assert ask(engine).receipt.model == "default"


def test_every_answer_leaves_a_record(chain, control, tmp_path):
    store = RecordStore(tmp_path / "records.sqlite")
    engine = chain(DEFAULT, store=store)
    first = ask(engine, entity="cell-1", event_ms=123)
    control.write_text("throw")
    second = ask(engine)
    engine.close()
    found = {record.id: record for record in records(store.where)}
    assert set(found) == {first.receipt.record, second.receipt.record}
    one, two = found[first.receipt.record], found[second.receipt.record]
    assert (one.entity, one.event_ms, one.package, one.artifact) == ("cell-1", 123, "sha256:main", "sha256:artifact")
    assert one.deployment == "sha256:deployment"
    assert (one.arm, one.decided_by, two.arm, two.decided_by) == ("champion", "model", "fallback", "default")
    assert one.inputs == WIRE and one.outputs["label"] == [1, 1] and two.receipt["reason"] == "failed"


def test_warm_inputs_pass_the_door_of_every_kind_of_signature():
    from portside.sdk.core.door import Door
    from portside.sdk.core.signature import Signature, TensorSpec

    inputs = (
        TensorSpec("a", "f64", ("batch", "time", 3), range=(5, 9), on_range="reject"),
        TensorSpec("b", "i64", ("batch",), categories=("p", "q")),
        TensorSpec("c", "u8", ("batch", "h", "w", 3), canvas=(64, 64)),
        TensorSpec("d", "bool", (), batch_axis=None),
    )
    signature = Signature(inputs, ())
    checked = Door(signature).check(warm_inputs(signature))
    assert checked.arrays["a"].shape == (1, 8, 3) and checked.arrays["a"].min() == 5


def test_an_engine_of_borrowed_entries_ends_nothing_but_itself(chain):
    engine = chain(isolation="thread")
    trial = Engine((engine.champion,), Policy((Entry("model"),)), borrowed=True)
    assert ask(trial).outputs["y"].tolist() == [[2, 4], [6, 8]]
    trial.close(records=False)
    assert ask(engine).outputs["y"].tolist() == [[2, 4], [6, 8]]
