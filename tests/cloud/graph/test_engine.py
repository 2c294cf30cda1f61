"""The engine of a graph on real packages: who answers which rows, at what time, and what is said of it."""

import asyncio
import time

import graphs
import numpy as np
import pytest

from portside.cloud.answering.answers import NoAnswerError, OverloadedError, Question
from portside.cloud.records.store import records
from portside.sdk.core.errors import InputError

ROWS = [[5, 0, 0], [0.1, 0, 0], [-5, 0, 0], [0.3, 0, 0]]
"""Sure, unsure, sure, unsure."""


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


@pytest.fixture
def opened(tmp_path):
    made = []

    def build(**rest):
        made.append(graphs.Graph(graphs.funnel(tmp_path, **rest)))
        return made[-1]

    yield build
    for graph in made:
        for name in ("first", "second", "rank"):
            graph.fault(name)
        graph.engine.close()


def test_rows_that_the_first_step_is_sure_of_never_reach_the_second(opened):
    graph = opened()
    answer = graph.ask(x=ROWS)
    np.testing.assert_allclose(answer.outputs["score"], sigmoid([5, 0.3, -5, 0.9]), rtol=1e-5)
    assert answer.outputs["label"].tolist() == ["bad", "good", "good", "bad"]
    first, second = answer.receipt.steps
    assert (first.state, first.rows, second.state, second.rows, second.of) == ("answered", 4, "answered", 2, 2)
    assert answer.receipt.reason == "primary" and answer.receipt.target == "graph" and answer.receipt.attempts == ()
    assert [step["receipt"]["model"] for step in answer.receipt.to_dict()["steps"]] == ["first", "second"]
    sure = graph.ask(x=ROWS[:1])
    assert graph.steps(sure)["second"].state == "skipped" and graph.steps(sure)["second"].why == "condition"
    assert sure.receipt.reason == "primary" and len(sure.receipt.to_dict()["steps"]) == 2


def test_a_late_step_leaves_the_answer_to_the_one_before_and_says_so(opened):
    graph = opened(graph="deadline_ms = 300")
    graph.fault("second", "slow 5")
    answer = graph.ask(x=ROWS)
    np.testing.assert_allclose(answer.outputs["score"], sigmoid([5, 0.1, -5, 0.3]), rtol=1e-5)
    assert answer.receipt.reason == "deadline" and answer.receipt.attempts == ("second:deadline",)
    step = graph.steps(answer)["second"]
    assert (step.state, step.why, step.rows, step.of) == ("failed", "deadline", 0, 2)
    assert step.receipts[0].deadline_ms <= 300 * 0.95 and not step.receipts[0].model


def test_a_step_is_bounded_by_its_own_deadline_and_answered_by_its_fallback(opened):
    graph = opened(second='deadline_ms = 60\nfallback = [{ default = { label = "bad", score = 0.5 } }]', graph="deadline_ms = 5000")
    graph.fault("second", "slow 3")
    answer = graph.ask(x=ROWS)
    np.testing.assert_allclose(answer.outputs["score"], [sigmoid(5), 0.5, sigmoid(-5), 0.5], rtol=1e-5)
    assert answer.outputs["label"].tolist() == ["bad", "bad", "good", "bad"]
    step = graph.steps(answer)["second"]
    assert (step.state, step.why) == ("default", "deadline") and answer.receipt.reason == "deadline"
    assert answer.receipt.within_deadline


def test_a_failed_first_step_fails_the_request_unless_it_has_a_default(opened):
    graph = opened()
    graph.fault("first", "throw")
    with pytest.raises(NoAnswerError) as refused:
        graph.ask(x=ROWS)
    assert refused.value.receipt.attempts == ("first:failed",)
    assert [step.state for step in refused.value.receipt.steps] == ["failed", "skipped"]
    assert 'portside_requests_total{model="none",reason="failed"} 1' in graph.engine.metrics.text()
    assert refused.value.receipt.record == "", "no records are kept"


def test_a_request_that_no_step_answers_leaves_records_that_say_so(opened):
    graph = opened(records="true")
    graph.fault("first", "throw")
    with pytest.raises(NoAnswerError) as refused:
        graph.ask(x=ROWS[:1])
    assert graph.engine.records.flush()
    kept = {record.name: record for record in records(graph.engine.records.where)}
    whole, step = kept["funnel"], kept["funnel/first"]
    assert whole.id == refused.value.receipt.record == step.parent
    assert (whole.arm, whole.decided_by, whole.exposed, whole.outputs) == ("none", "none", False, {})
    assert (step.arm, step.exposed, step.outputs) == ("none", False, {}) and "failed" in step.receipt["attempts"][0]
    assert whole.receipt["attempts"] == ["first:failed"] and whole.receipt["steps"][0]["state"] == "failed"
    np.testing.assert_allclose(whole.inputs["x"], ROWS[:1])


def test_a_default_of_a_step_goes_on_through_the_graph(opened):
    graph = opened(first='fallback = [{ default = { label = "bad", score = 0.5 } }]')
    graph.fault("first", "throw")
    answer = graph.ask(x=ROWS)
    np.testing.assert_allclose(answer.outputs["score"], sigmoid(3 * np.float32([5, 0.1, -5, 0.3])), rtol=1e-5)
    assert answer.receipt.attempts == ("first:failed",) and graph.steps(answer)["second"].rows == 4


def test_the_caller_is_told_of_faulty_fields_in_the_terms_of_the_request(opened):
    text = graphs.FUNNEL.replace('name = "first"\n', 'name = "first"\ninputs = {{ x = "request.points" }}\n')
    text = text.replace('name = "second"\n', 'name = "second"\ninputs = {{ x = "request.points" }}\n')
    graph = opened(text=text)
    for wire, says in [({"points": [[1, 2, "a"]]}, "points"), ({"x": ROWS}, "no such field"), ({}, "missing"), ({"points": 5}, "points"),
                       ({"points": []}, "no rows"), ({"points": [[1, 2]]}, "points")]:  # fmt: skip
        with pytest.raises(InputError, match=says):
            graph.ask(**wire)
    answer = graph.ask(points=[[20.0, 0, 0]])
    assert [(flag.field, flag.row) for flag in answer.flags] == [("points", 0)]


def test_flags_and_refusals_of_a_later_step_name_the_rows_of_the_request(opened):
    graph = opened(text=graphs.FUNNEL.replace('name = "second"\n', 'name = "second"\ninputs = {{ x = "request.other" }}\n'))
    other = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [30, 0, 0]]
    assert [(flag.field, flag.row) for flag in graph.ask(x=ROWS, other=other).flags] == [("other", 3)]
    with pytest.raises(InputError) as refused:
        graph.ask(x=ROWS, other=[*other[:3], [0, 0, "a"]])
    assert (refused.value.field, refused.value.row) == ("other", 3)


def test_records_are_linked_by_parent_and_the_pages_hold_every_step(opened):
    graph = opened(records="true")
    answer = asyncio.run(graph.engine.answer(Question({"x": ROWS}, time.monotonic(), entity="m1")))
    assert graph.engine.records.flush()
    held = {record.id: record for record in records(graph.folder / "records.sqlite")}
    whole = held.pop(answer.receipt.record)
    assert whole.parent is None and whole.exposed and whole.outputs["label"] == [1, 0, 0, 1] and whole.entity == "m1"
    assert whole.receipt["steps"][1]["rows"] == 2 and len(whole.inputs["x"]) == 4
    assert {record.parent for record in held.values()} == {whole.id} and not any(record.exposed for record in held.values())
    assert sorted(len(record.outputs["score"]) for record in held.values()) == [2, 4]
    page = graph.engine.metrics.text()
    assert 'portside_steps_total{step="second",state="answered"} 1' in page
    assert 'portside_step_rows_total{step="second",kind="answered"} 2' in page
    assert 'portside_step_requests_total{step="second",model="second",reason="primary"} 1' in page
    assert 'portside_requests_total{model="funnel",reason="primary"} 1' in page


RANKED = """name = "search"
[records]
enabled = {records}
[[step]]
name = "find"
package = "first"
trust = true
{first}
[[step]]
name = "rank"
package = "rank"
trust = true
inputs = {{ prior = "find.score" }}
top_k = {{ by = "find.score", k = 3 }}
{second}
[graph]
top_k = {{ by = "rank.score ?? find.score", k = 2 }}
{graph}
[answer]
row = "request.row"
score = "rank.score ?? find.score"
found = "find.label"
second = "rank.pair[1] ?? 2.0"
most = "max(rank.pair) ?? 2.0"
"""


def test_candidates_are_cut_between_steps_and_the_answer_holds_the_best(opened):
    graph = opened(text=RANKED)
    x = np.float32([[0, 0, 0], [3, -2, 0.2], [2, 0, 0], [1, 0, 0], [-1, 5, -4]])
    prior = sigmoid(x.sum(axis=1))
    answer = graph.ask(x=x)
    chosen = np.argsort(-prior, kind="stable")[:3]
    final = (prior + x.max(axis=1))[chosen]
    best = chosen[np.argsort(-final, kind="stable")[:2]]
    assert answer.outputs["row"].tolist() == best.tolist()
    np.testing.assert_allclose(answer.outputs["score"], np.sort(final)[::-1][:2], rtol=1e-5)
    np.testing.assert_allclose(answer.outputs["second"], -prior[best], rtol=1e-5)
    np.testing.assert_allclose(answer.outputs["most"], prior[best], rtol=1e-5)
    assert answer.outputs["found"].tolist() == ["bad", "bad"] and graph.steps(answer)["rank"].of == 3
    graph.fault("rank", "throw")
    answer = graph.ask(x=x)
    assert answer.outputs["second"].tolist() == [2, 2]
    assert answer.outputs["row"].tolist() == chosen[:2].tolist() and answer.receipt.attempts == ("rank:failed",)


def test_independent_steps_run_at_once_and_the_first_source_alone_is_enough(opened):
    text = graphs.FUNNEL.replace('when = "first.score > 0.2 and first.score < 0.8"\n', "")
    graph = opened(text=text)
    graph.fault("first", "slow 2")
    answer = graph.ask(x=ROWS)
    np.testing.assert_allclose(answer.outputs["score"], sigmoid(3 * np.float32([5, 0.1, -5, 0.3])), rtol=1e-5)
    assert graph.steps(answer)["first"].why == "not-needed" and answer.receipt.reason == "primary"


def test_a_default_of_a_step_that_runs_beside_others_is_used_at_the_deadline(opened):
    text = graphs.FUNNEL.replace('when = "first.score > 0.2 and first.score < 0.8"\n', "")
    graph = opened(text=text, first='fallback = [{ default = { label = "bad", score = 0.5 } }]', graph="deadline_ms = 150")
    graph.fault("first", "slow 3")
    graph.fault("second", "slow 3")
    answer = graph.ask(x=ROWS)
    assert answer.outputs["score"].tolist() == [0.5] * 4 and graph.steps(answer)["first"].state == "default"


def test_a_large_candidate_set_is_split_and_what_is_ready_is_used(opened):
    split = "split = { rows = 4, ready = 0.5 }\nconcurrency = 4\n"
    text = RANKED.replace("k = 3", "k = 12")
    graph = opened(text=text, second=split + "deadline_ms = 2000")
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    whole = graph.ask(x=x)
    step = graph.steps(whole)["rank"]
    assert (step.ready, step.parts, step.rows, step.of) == (3, 3, 12, 12)
    prior = sigmoid(x.sum(axis=1))
    chosen = np.argsort(-prior, kind="stable")[:12]
    final = (prior + x.max(axis=1))[chosen]
    np.testing.assert_allclose(whole.outputs["score"], np.sort(final)[::-1][:2], rtol=1e-5)


PARTLY = """name = "partly"
[records]
enabled = {records}
[[step]]
name = "first"
package = "first"
trust = true
concurrency = 1
{first}
[graph]
{graph}
[answer]
score = "first.score ?? -1.0"
"""


@pytest.mark.parametrize(("more", "ready", "state"), [("", 0.2, "answered"), ("", 0.9, "failed"), ("default", 0.9, "answered")])
def test_at_the_deadline_the_parts_that_are_not_ready_are_dropped_or_defaulted(opened, more, ready, state):
    fallback = 'fallback = [{ default = { label = "bad", score = 0.25 } }]' if more else ""
    graph = opened(text=PARTLY, first=f"split = {{ rows = 2, ready = {ready} }}\ndeadline_ms = 1500\n{fallback}")
    graph.fault("first", "slow 0.5")  # one thread: two or three of the six parts are ready in time
    answer = graph.ask(x=[[0, 0, 0]] * 12)
    step = graph.steps(answer)["first"]
    assert step.state == state and step.parts == 6 and 0 < step.ready < 6 and step.of == 12
    missing = {"": -1.0, "default": 0.25}[more]
    scores = answer.outputs["score"].tolist()
    assert len(scores) == 12 and set(scores) <= {0.5, missing}
    assert scores.count(0.5) == (0 if state == "failed" else 2 * step.ready)
    assert answer.receipt.attempts == ("first:deadline",)
    data = answer.receipt.to_dict()["steps"][0]
    assert data["ready"] == step.ready and data["parts"] == 6


def test_a_busy_step_is_no_fault_but_an_overload(opened):
    graph = opened(first="limits = { max_inflight = 1 }")
    graph.fault("first", "slow 0.5")

    async def both():
        questions = [graph.engine.answer(Question({"x": ROWS[:1]}, time.monotonic())) for _ in range(2)]
        return await asyncio.gather(*questions, return_exceptions=True)

    good, refused = asyncio.run(both())
    assert good.outputs["label"].tolist() == ["bad"]
    assert isinstance(refused, OverloadedError) and refused.retry_after_s >= 1 and refused.receipt.attempts == ("first:busy",)
