"""Gates: the upper end decides, too few rows never pass, a looser limit never makes a verdict worse."""

from __future__ import annotations

import json
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.gates import Gate, judge, rows_needed, unjudged
from portside.sdk.core.statistics import lower_bound, upper_bound

RANK = {"failed": 0, "not enough data": 1, "passed": 2}


def flips(count: int, rows: int, limit: float):
    return judge("max_flips", limit, lower_bound(count, rows), upper_bound(count, rows), rows)


@pytest.mark.parametrize(
    ("count", "rows", "limit", "verdict"),
    [
        (0, 300, 0.01, "passed"), (0, 299, 0.01, "not enough data"), (0, 3000, 0.001, "passed"), (1, 300, 0.01, "failed"),
        (3, 3000, 0.01, "passed"), (40, 100, 0.01, "failed"), (0, 31, 0.5, "not enough data"), (0, 1_000_000, 0.0, "not enough data"),
        (1, 3, 0.01, "failed"),
    ],
)  # fmt: skip
def test_verdicts(count: int, rows: int, limit: float, verdict: str) -> None:
    assert flips(count, rows, limit).verdict == verdict


def test_a_limit_of_nothing_is_never_proven_and_says_so() -> None:
    found = judge("max_drop", 0.0, 0.0, 0.0, rows=3000)
    assert (found.verdict, bool(found), rows_needed(0.0)) == ("not enough data", False, None)
    assert "no number of rows" in found.note
    assert "0.001" in found.note


def test_a_metric_with_a_unit_needs_rows_for_an_interval_only() -> None:
    assert judge("max_drop", 0.001, -0.1, 0.0005, rows=40, rate=False).verdict == "passed"
    assert judge("max_drop", 0.001, -0.1, 0.0005, rows=31, rate=False).verdict == "not enough data"


@pytest.mark.parametrize(("low", "high", "verdict"), [(inf, inf, "failed"), (-inf, inf, "failed"), (nan, nan, "failed")])
def test_what_is_no_number_does_not_pass(low: float, high: float, verdict: str) -> None:
    found = judge("max_drop", 0.1, low, high, rows=1000)
    assert found.verdict == verdict
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_gate_without_a_figure_names_what_is_missing() -> None:
    assert unjudged("max_drop", 0.1, "labels are needed").to_dict()["measured"] is None


@given(st.integers(0, 400), st.integers(1, 4000), st.floats(0, 1), st.floats(0, 1))
def test_a_looser_limit_is_no_worse(count: int, rows: int, one: float, two: float) -> None:
    tight, loose = sorted((one, two))
    count = min(count, rows)
    assert RANK[flips(count, rows, tight).verdict] <= RANK[flips(count, rows, loose).verdict] or flips(count, rows, tight).rows < (
        rows_needed(tight) or inf
    )


@given(st.integers(0, 50), st.integers(1, 4000), st.floats(0, 1))
def test_passing_means_bounded(count: int, rows: int, limit: float) -> None:
    if flips(min(count, rows), rows, limit):
        assert upper_bound(min(count, rows), rows) <= limit
        assert rows >= 3 / limit - 1e-6


@given(st.floats(0, 1), st.none() | st.floats(allow_nan=False), st.integers(0, 9), st.text(max_size=5))
def test_a_gate_survives_a_file(limit: float, measured: float | None, rows: int, text: str) -> None:
    gate = Gate("max_drop", limit, "failed", measured, rows, text, text)
    assert Gate.from_dict(json.loads(json.dumps(gate.to_dict(), allow_nan=False))) == gate


def test_a_gate_says_its_measure_beside_its_limit() -> None:
    said = "max_flips: not enough data, 0.03 against 0.01; 100 rows, 300 are needed to prove 0.01"
    assert str(judge("max_flips", 0.01, 0.0, 0.03, 100)) == said
    assert str(unjudged("max_drop", 0.1, "no labels")) == "max_drop: not enough data, nothing measured against 0.1; no labels"
