"""Verdicts on trials: every reason to refuse one, and tests of a rate that stay true however often they are asked."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

from portside.edge import sequential
from portside.edge.health import Evidence, Limits, comparable, differ, verdict
from portside.edge.sequential import ABOVE, ALPHA, BELOW, Count, alternatives, capital, judge_rate
from portside.sdk.core.contract import Rule

PASSED = Evidence("passed", live=400, calls=Count(0, 400), outputs={"label": Count(2, 400)})
LIMITS = Limits(p95_ms=10.0)


def test_a_trial_is_healthy_when_contract_latency_and_agreement_are():
    found = verdict(PASSED, LIMITS)
    assert found.verdict == "healthy"
    assert found.why == "the contract holds; 0 of 400 calls took more than 10 ms, 5% may; 'label' differs on 2 of 400 rows, 5% may"
    assert verdict(replace(PASSED, contract="not enough data", proven=True), LIMITS).verdict == "healthy"
    assert verdict(Evidence("passed", compared=False), Limits()).why == "the contract holds"


@pytest.mark.parametrize(("evidence", "why"), [
    (replace(PASSED, contract="failed", why="label: 3 flips"), "the contract failed on this device: label: 3 flips"),
    (replace(PASSED, contract="not enough data"), "the contract has too few rows"),
    (replace(PASSED, missing=("label",)), "it does not give 'label', which"),
    (replace(PASSED, calls=Count(60, 400)), "60 of 400 calls took more than 10 ms, 5% may"),
    (replace(PASSED, outputs={"label": Count(60, 400)}), "'label' differs on 60 of 400 rows, 5% may"),
    (replace(PASSED, outputs={"label": Count(0, 400), "score": Count(400, 400)}), "'score' differs on 400 of 400 rows"),
    (replace(PASSED, outputs={}), "no answer has the shape"),
    (replace(PASSED, live=10_000, outputs={"label": Count(500, 10_000)}), "after 10000 rows it could not be shown that it is healthy"),
])  # fmt: skip
def test_every_reason_to_refuse(evidence, why):
    found = verdict(evidence, LIMITS)
    assert found.verdict == "unhealthy"
    assert found.why.startswith(why)


def test_only_outputs_that_have_to_agree_are_held_against_the_limit():
    anew = replace(PASSED, outputs={"label": Count(2, 400), "score": Count(390, 400)})
    assert verdict(anew, LIMITS).why == "'score' differs on 390 of 400 rows, 5% may"
    assert verdict(anew, replace(LIMITS, agree=("label",))).verdict == "healthy"
    assert verdict(anew, replace(LIMITS, agree=("score",))).verdict == "unhealthy"
    assert verdict(anew, replace(LIMITS, agree=("box",))).why.startswith("no answer has the shape")  # a wrong name is no way round


def test_not_enough_data_says_of_what():
    assert verdict(replace(PASSED, live=0, outputs={}), LIMITS).why == "no live row was seen"
    few = replace(PASSED, live=20, calls=Count(0, 20), outputs={"label": Count(0, 20)})
    assert verdict(few, LIMITS) == (
        "not enough data",
        "0 of 20 calls took more than 10 ms, 5% may; 'label' differs on 0 of 20 rows, 5% may",
    )
    assert verdict(replace(few, missing=("label",)), replace(LIMITS, same_outputs=False)).verdict == "not enough data"


def test_evidence_adds_up():
    seen = Evidence("passed").with_call(9.0, 10.0).with_call(11.0, 10.0).with_call(99.0, None)
    seen = seen.with_rows(2, {"label": np.array([True, False])}).with_rows(1, {"label": np.array([True]), "score": np.array([False])})
    assert (seen.calls, seen.live, seen.outputs) == (Count(1, 3), 3, {"label": Count(2, 3), "score": Count(0, 1)})
    assert seen.to_dict()["outputs"] == {"label": {"off": 2, "rows": 3}, "score": {"off": 0, "rows": 1}}


def test_two_releases_differ_by_more_than_precision():
    one, other = np.array([[0.2, 0.8], [0.5, 0.5]], np.float32), np.array([[0.23, 0.77], [0.4, 0.6]], np.float32)
    assert differ(Rule("score"), one, other).tolist() == [False, True]
    assert differ(Rule("value", scale=10.0), one, other).tolist() == [False, False]
    assert differ(Rule("decision"), np.array(["a", "b"]), np.array(["a", "c"])).tolist() == [False, True]
    assert differ(Rule("score"), one, np.full((2, 2), np.nan, np.float32)).tolist() == [True, True]
    assert differ(Rule("sequence"), np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]])).tolist() == [False, True]
    for rule, before, after in ((Rule("embedding"), one, other), (Rule("score"), one, other[:, :1]), (Rule("sequence"), one, other),
                                (Rule("ranking"), one, other)):  # fmt: skip
        assert differ(rule, before, after) is None
    assert comparable(Rule("sequence", element="decision"), np.dtype(np.float32))
    assert not comparable(Rule("detections"), np.dtype(np.float32))


def test_examples_in_the_text_are_true():
    assert doctest.testmod(sequential).failed == 0


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.3, 0.9])
def test_a_settled_rate_is_a_question_of_rows(limit):
    assert judge_rate(Count(0, 0), limit) == "not enough data"
    needed = next(rows for rows in range(1, 2000) if judge_rate(Count(0, rows), limit) == "passed")
    assert needed <= max(32, np.log(len(BELOW) / ALPHA) / -np.log1p(-limit) + 1)  # one bet of the mean on a rate of 0
    assert judge_rate(Count(31, 31), limit) == judge_rate(Count(0, 31), limit) == "not enough data"
    assert judge_rate(Count(40, 40), limit) == "failed" or limit == 0.9
    assert judge_rate(Count(114, 147), 0.9) == "passed", "a loose limit is settled by rates near it, too"
    assert judge_rate(Count(145, 147), 0.9) == "failed"
    assert judge_rate(Count(10**6 // 2, 10**6), limit) == ("passed" if limit > 0.5 else "failed")


@pytest.mark.parametrize(("rate", "bets"), [(0.05, ABOVE), (0.02, ABOVE), (0.05, BELOW), (0.2, BELOW)])
def test_whoever_looks_after_every_row_is_misled_no_more_often_than_it_says(rate, bets):
    """1,000 streams whose rate is on the other side of the limit: the share that ever reaches 1 / alpha, with four standard errors."""
    dice, limit, streams, rows = np.random.default_rng(1), 0.05, 1000, 400
    off = np.cumsum(dice.random((streams, rows)) < rate, axis=1)
    table = np.array([[capital(Count(held, row + 1), limit, alternatives(limit, bets)) if held <= row + 1 else 0.0
                       for held in range(off.max() + 1)] for row in range(rows)])  # fmt: skip
    ever = (table[np.arange(rows)[None, :], off] >= 1 / ALPHA).any(axis=1).mean()
    assert ever <= ALPHA + 4 * np.sqrt(ALPHA * (1 - ALPHA) / streams)
