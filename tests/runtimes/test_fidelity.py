"""Cases through a session: every way an answer can be wrong is found, counted and shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from portside.runtimes.base import SessionInfo
from portside.runtimes.fidelity import apart, check
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.errors import EngineError
from portside.sdk.core.signature import Signature, StatePair, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 2)),),
    (TensorSpec("label", "i64", ("batch",)), TensorSpec("score", "f32", ("batch",)), TensorSpec("mean", "f32", (), None)),
)
RULES = {"label": Rule("decision"), "score": Rule("score"), "mean": Rule("value")}
Outputs = dict[str, np.ndarray]


class Fake:
    """A session that answers with a function."""

    def __init__(self, answer: Callable[[Mapping[str, np.ndarray]], Outputs], signature: Signature = SIGNATURE) -> None:
        self.info = SessionInfo(signature, "fake", "sha256:0", True, True, True)
        self.answer = answer

    def run(self, inputs: Mapping[str, np.ndarray], cancel: object = None) -> Outputs:
        return self.answer(inputs)

    def predict(self, inputs: object, cancel: object = None) -> Outputs:
        raise NotImplementedError

    def close(self) -> None: ...


def truth(inputs: Mapping[str, np.ndarray]) -> Outputs:
    x = inputs["x"]
    return {"label": x.argmax(1), "score": np.abs(x[:, 0]) % 1, "mean": np.asarray(x.mean(), np.float32)}


def case(rows: int, why: str = "random", seed: int = 0, firm: np.ndarray | None = None) -> Case:
    x = np.random.default_rng(seed).normal(size=(rows, 2)).astype(np.float32)
    slices = {"site": tuple("ab"[row % 2] for row in range(rows))}
    return Case({"x": x}, truth({"x": x}), {} if firm is None else {"label": firm}, (why,) * rows, slices)


def altered(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Mapping[str, np.ndarray]], Outputs]:
    def answer(inputs: Mapping[str, np.ndarray]) -> Outputs:
        held = truth(inputs)
        return {**held, name: change(held[name])}

    return answer


def flip(rows: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    def change(label: np.ndarray) -> np.ndarray:
        held = label.copy()
        held[[row for row in rows if row < len(held)]] ^= 1
        return held

    return change


def test_a_true_session_passes() -> None:
    found = check(Fake(truth), [case(8), case(1, seed=1)], RULES)
    assert found
    assert (found.rows, [item.judgement.rows for item in found.checks]) == (9, [9, 9, 2])


def test_the_worst_example_is_named() -> None:
    found = check(Fake(altered("label", flip([3]))), [case(1), case(8, "margin", 1)], RULES)
    worst = found.checks[0].worst
    assert found.verdict == "failed"
    assert (worst.case, worst.row, worst.why, worst.reference != worst.got) == (1, 3, "margin", True)
    assert next(iter(found.checks[0].judgement.slices)) == "site=b"


def test_fragile_rows_may_flip() -> None:
    firm = np.array([True, True, False, True])
    assert check(Fake(altered("label", flip([2]))), [case(4, firm=firm)], RULES)
    assert not check(Fake(altered("label", flip([1]))), [case(4, firm=firm)], RULES)


@pytest.mark.parametrize("wrong", [
    altered("label", lambda held: held.astype(np.int32)),
    altered("label", lambda held: held[:-1]),
    altered("score", lambda held: np.full_like(held, np.nan)),
    altered("score", lambda held: held[:, None]),
    altered("mean", lambda held: np.asarray(held + 1)),
    lambda inputs: {name: held for name, held in truth(inputs).items() if name != "mean"},
])  # fmt: skip
def test_every_kind_of_wrong_answer_fails(wrong: Callable[[Mapping[str, np.ndarray]], Outputs]) -> None:
    assert check(Fake(wrong), [case(6), case(3, seed=2)], RULES).verdict == "failed"


def test_a_session_that_raises_fails_with_the_place() -> None:
    def answer(inputs: Mapping[str, np.ndarray]) -> Outputs:
        if len(inputs["x"]) == 1:
            raise EngineError("no batch of one")
        return truth(inputs)

    found = check(Fake(answer), [case(4), case(1, "dims:batch")], RULES)
    assert (found.verdict, found.fault) == ("failed", "case 1 (dims:batch): no batch of one.")


def test_lossy_decisions_leave_out_hard_rows_unless_sampled() -> None:
    session = Fake(altered("label", flip([0, 1, 2, 3])))
    assert check(session, [case(4, "margin")], {"label": Rule("decision")}, lossy=True).verdict == "not enough data"
    assert check(session, [case(4, "held out")], {"label": Rule("decision")}, lossy=True, sampled=True).verdict == "failed"
    assert check(Fake(truth), [case(300)], {"label": Rule("decision")}, lossy=True, sampled=True)


def test_lossy_decisions_are_counted_over_all_shapes() -> None:
    signature = Signature(SIGNATURE.inputs, (TensorSpec("label", "i64", ("batch", "steps")),))
    cases = [Case({"x": np.zeros((rows, 2))}, {"label": np.zeros((rows, rows % 7), np.int64)}, {}, ("r",) * rows) for rows in range(1, 30)]
    echo = Fake(lambda inputs: {"label": np.zeros((len(inputs["x"]), len(inputs["x"]) % 7), np.int64)}, signature)
    found = check(echo, cases, {"label": Rule("decision")}, lossy=True, sampled=True)
    assert (found.verdict, found.checks[0].judgement.rows) == ("passed", 435)


def test_state_goes_from_step_to_step_and_starts_anew() -> None:
    signature = Signature((TensorSpec("x", "f32", ("batch",)), TensorSpec("h", "f32", ("batch",))),
                          (TensorSpec("y", "f32", ("batch",)),), (StatePair("y", "h", ("batch",)),))  # fmt: skip

    def step(inputs: Mapping[str, np.ndarray]) -> Outputs:
        return {"y": inputs["x"] + inputs.get("h", np.zeros_like(inputs["x"]))}

    one = np.ones(1, np.float32)
    sums = [("a", 1), ("a", 2), ("b", 1), ("b", 2), (None, 1), (None, 1)]
    cases = [Case({"x": one}, {"y": one * total}, {}, ("sequence",), {}, name) for name, total in sums]
    assert check(Fake(step, signature), cases, {"y": Rule("value")})
    assert not check(Fake(lambda inputs: {"y": inputs["x"]}, signature), cases, {"y": Rule("value")})


def test_rows_follow_the_batch_axis() -> None:
    signature = Signature((), (TensorSpec("y", "i32", (3, "batch"), 1),))
    reference = np.arange(12, dtype=np.int32).reshape(3, 4)
    got = reference.copy()
    got[0, 2] += 1
    found = check(Fake(lambda _: {"y": got}, signature), [Case({}, {"y": reference}, {}, ("r",) * 4)], {"y": Rule("decision")})
    assert (found.checks[0].judgement.rows, found.checks[0].judgement.flips, found.checks[0].worst.row) == (4, 1, 2)


@pytest.mark.parametrize(("reference", "got", "text"), [
    (np.float32(1), np.float32(1.5), "off by 0.5"), (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "NaN on one side"),
    (np.array([np.inf, np.nan, 1.0]), np.array([np.inf, np.nan, 3.0]), "off by 2"), (np.zeros(0), np.zeros(0), "off by 0"),
    (3, 4, "another answer"), (3, 3, "the same"),
    (np.array([1, 2, 3]), np.array([1, 0, 0]), "2 of 3 differ"), (np.zeros(2), np.zeros(3), "shape (2,) became (3,)"),
])  # fmt: skip
def test_how_far_two_answers_are_apart(reference: Any, got: Any, text: str) -> None:
    assert apart(reference, got) == text
