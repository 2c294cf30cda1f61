"""Judging: the vectors that every language runs, and what must hold for any answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portside.sdk.core.contract import Rule
from portside.sdk.core.decisions import combine, judge, rows_needed
from portside.sdk.core.measures import LIMITS
from portside.sdk.core.signature import KINDS

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "decisions.json").read_text())["vectors"]
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def array(data: dict[str, Any]) -> np.ndarray:
    return np.array(data["data"], dtype=object if data["dtype"] == "string" else data["dtype"])


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vectors(vector: dict[str, Any]) -> None:
    firm = None if vector["firm"] is None else np.array(vector["firm"])
    found = judge(Rule.from_dict(vector["rule"]), array(vector["reference"]), array(vector["got"]), firm, vector["lossy"]).to_dict()
    for key, expected in vector["expect"].items():
        assert found[key] == (pytest.approx(expected, abs=1e-6) if isinstance(expected, float) else expected), (key, found)


def test_every_kind_has_vectors_and_limits() -> None:
    assert {vector["rule"]["kind"] for vector in VECTORS} == set(KINDS) == set(LIMITS)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Rule, np.ndarray]:
    kind = draw(st.sampled_from(KINDS))
    rows = draw(st.integers(1, 6))
    if kind == "detections":
        return Rule(kind), draw(hnp.arrays(np.float32, (rows, draw(st.integers(0, 4)), 6), elements=FLOATS))
    if kind == "ranking":
        shape = (rows, draw(st.integers(1, 5)))
        return Rule(kind, top_k=draw(st.none() | st.integers(1, 6))), draw(hnp.arrays(np.float32, shape, elements=FLOATS))
    if kind == "decision" or (kind == "sequence" and draw(st.booleans())):
        return Rule(kind), draw(hnp.arrays(np.int64, (rows, draw(st.integers(0, 3)))))
    return Rule(kind), draw(hnp.arrays(np.float32, (rows, *draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=4))), elements=FLOATS))


@given(answers())
def test_an_answer_agrees_with_itself(answer: tuple[Rule, np.ndarray]) -> None:
    rule, held = answer
    found = judge(rule, held, held.copy())
    assert found.verdict == "passed", found
    assert (found.flips, found.max_abs) == (0, 0.0)
    assert judge(rule, held, held.copy(), lossy=True).verdict != "failed"


@given(answers(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(answer: tuple[Rule, np.ndarray], random: Any) -> None:
    rule, held = answer
    got = held[::-1].copy()
    firm = np.array([random.random() < 0.5 for _ in held])
    order = np.array(random.sample(range(len(held)), len(held)))
    one, two = judge(rule, held, got, firm), judge(rule, held[order], got[order], firm[order])
    same = ("verdict", "rows", "flips", "firm_flips", "fragile_rows", "max_abs")
    assert [getattr(one, name) for name in same] == [getattr(two, name) for name in same]


@given(answers(), st.booleans())
def test_judgements_are_json(answer: tuple[Rule, np.ndarray], lossy: bool) -> None:
    rule, held = answer
    found = judge(rule, held, held[::-1].copy(), lossy=lossy, slices={"half": np.arange(len(held)) % 2})
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["rows"] == len(held)


def test_a_user_may_change_every_limit() -> None:
    off = np.array([0.5], np.float32)
    assert not judge(Rule("score"), off, off + 0.01)
    assert judge(Rule("score", limits={"atol": 0.1}), off, off + 0.01)


def test_slices_are_worst_first() -> None:
    reference, got = np.zeros(6, np.int64), np.array([0, 0, 0, 0, 1, 1])
    found = judge(Rule("decision"), reference, got, slices={"cell": np.array(["a", "a", "a", "b", "b", "b"])})
    assert list(found.slices) == ["cell=b", "cell=a"]
    assert found.slices["cell=b"].value == pytest.approx(2 / 3)


def test_no_rows_is_not_enough_data() -> None:
    assert judge(Rule("decision"), np.zeros(0, np.int64), np.zeros(0, np.int64)).verdict == "not enough data"


def test_rows_needed_is_three_over_the_budget() -> None:
    assert rows_needed(Rule("decision")) == 300
    assert rows_needed(Rule("decision", limits={"max_flips": 0.001})) == 3000
    assert rows_needed(Rule("score")) == 32


def test_combining_fails_closed() -> None:
    assert combine(["passed", "passed"]) == "passed"
    assert combine(["passed", "not enough data"]) == "not enough data"
    assert combine(["failed", "not enough data"]) == "failed"
    assert combine([]) == "not enough data"


def test_only_passed_is_truthy() -> None:
    assert judge(Rule("decision"), np.zeros(3, np.int64), np.zeros(3, np.int64))
    assert not judge(Rule("decision"), np.zeros(3, np.int64), np.zeros(3, np.int64), lossy=True)
    assert not judge(Rule("decision"), np.zeros(3, np.int64), np.ones(3, np.int64))
