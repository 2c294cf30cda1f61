"""Expectations run on both: shares with intervals, judged on the subject, over the rows that the change reaches."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.audit import audit
from portside.sdk.core.data import Data
from portside.sdk.core.errors import InputError
from portside.sdk.core.expectations import Direction, Invariance, Perturbation

ROWS = 600


@pytest.fixture
def data(mixed) -> Data:
    """Far from every boundary but where the first number is small."""
    inputs = mixed[0].inputs(ROWS)
    inputs["x"] = np.random.default_rng(0).normal(0, 3, (ROWS, 4)).astype(np.float32)
    return Data(inputs)


def outcome(package, data, expectation):
    found = audit(package, package, data, expectations=[expectation])
    (held,) = found.expectations
    assert str(held.subject) == str(held.ancestor), "both are the same model"
    assert found.verdict == held.gate.verdict
    return held


@pytest.mark.parametrize(
    ("expectation", "verdict"),
    [
        (Perturbation(1e-6, fields=("x",)), "passed"), (Perturbation(3, fields="x"), "failed"),
        (Perturbation(1e-6, at_most=0.001), "not enough data"),
        (Invariance("x", add=1e-6), "passed"), (Invariance("x", scale=-1), "failed"), (Invariance("x", noise=1e-6), "passed"),
        (Invariance("on", swap=(True, False), at_most=0.3), "passed"), (Invariance("x", replace={123.5: 0}), "not enough data"),
        (Invariance(change=lambda inputs: {**inputs, "x": inputs["x"] + np.float32(1e-6)}), "passed"),
        (Direction("x", "first"), "passed"), (Direction("x", "first", falls=True), "failed"),
        (Direction("ids", "scores", column=1, by=50, at_most=0.02), "failed"), (Perturbation(0.0), "not enough data"),
    ],
    ids=str,
)  # fmt: skip
def test_each_is_judged(expectation, verdict: str, mixed, data) -> None:
    held = outcome(mixed[1], data, expectation)
    assert held.gate.verdict == verdict, held
    assert held.name == str(expectation)


def test_only_rows_that_the_change_reaches_count(mixed, data) -> None:
    data.inputs["ids"][:] = np.arange(ROWS) % 3
    held = outcome(mixed[1], data, Invariance("ids", replace={0: 500}, at_most=0.9))
    assert held.subject.rows == ROWS // 3
    assert outcome(mixed[1], data, Invariance("ids", replace={7: 500})).gate.note == "it changes no row of the data"


def test_nan_that_a_change_brings_is_against_it(mixed, data) -> None:
    held = outcome(mixed[1], data, Invariance(change=lambda inputs: {**inputs, "x": np.full_like(inputs["x"], np.nan)}))
    assert held.subject.value == 1


def test_without_decisions_an_output_may_move_as_far_as_lossy_artifacts_may(tmp_path) -> None:
    sample = samples.scalar()
    package = sample.write(tmp_path / "scalar")
    data = Data({"x": np.random.default_rng(0).random((400, 4))})
    assert outcome(package, data, Perturbation(1e-4)).gate.verdict == "passed"
    assert outcome(package, data, Perturbation(1.0)).gate.verdict == "failed"


@pytest.mark.parametrize(
    "expectation",
    [Direction("x", "scores"), Direction("x", "scores", column=3), Direction("x", "absent"), Direction("absent", "first")],
    ids=str,
)
def test_what_is_not_there_is_named(expectation, mixed, data) -> None:
    with pytest.raises(InputError):
        audit(mixed[1], mixed[1], data, expectations=[expectation])


def test_a_failing_expectation_fails_the_audit(mixed, data) -> None:
    found = audit(mixed[1], mixed[1], data, expectations=[Invariance("x", scale=-1), Direction("x", "first")])
    assert (found.verdict, bool(found)) == ("failed", False)
    assert "invariance: scale -1 in x" in str(found)
