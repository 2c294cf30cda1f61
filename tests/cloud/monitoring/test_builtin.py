"""Explanations of drift from span to span: one that more rows contradict gives way to theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from watched import about

from portside.cloud.monitoring import builtin
from portside.cloud.monitoring.drifting import Seen
from portside.sdk.core.drift.report import DriftReport
from portside.sdk.core.drift.suspicions import Suspicion
from portside.sdk.core.drift.watch import Look
from portside.sdk.core.window import Window

UNIT = Suspicion("unit", ("in.dew",), "unit of in.dew changed")
SWAPPED = Suspicion("swapped", ("in.wind", "in.dew"), "swapped columns: in.wind, in.dew")
DRIFTS = {"in.dew": 0, "in.wind": 0}


def spans(monkeypatch: pytest.MonkeyPatch, *seen: tuple[tuple[Suspicion, ...], dict[str, int]]) -> list[dict[str, str]]:
    """Subject -> verdict of the explanations after each span: what it suggests, and the fields that drift."""
    told, state = list[dict[str, str]](), dict[str, Any]()
    for suspected, drifting in seen:

        def see(data: Mapping[str, Any], *_: object, suspected: Any = suspected, drifting: Any = drifting) -> tuple[Seen, dict[str, Any]]:
            return Seen((Look(0, 100, DriftReport(()), suspected),)), {**data, "drifting": drifting}

        monkeypatch.setattr(builtin, "see", see)
        findings, state = builtin.judged(state, Window(), None, about())
        told.append({one.subject: one.verdict for one in findings if one.name == "suspicion"})
    return told


def test_an_explanation_stands_as_long_as_its_field_drifts(monkeypatch: pytest.MonkeyPatch) -> None:
    said = spans(monkeypatch, ((UNIT,), DRIFTS), ((), DRIFTS), ((), {}), ((), {}))
    assert said == [{"in.dew": "breach"}, {"in.dew": "not enough data"}, {"in.dew": "ok"}, {}]


def test_one_that_explains_more_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    said = spans(monkeypatch, ((UNIT,), DRIFTS), ((SWAPPED,), DRIFTS), ((), DRIFTS))
    assert said == [{"in.dew": "breach"}, {"in.wind, in.dew": "breach", "in.dew": "ok"}, {"in.wind, in.dew": "not enough data"}]


def test_one_that_explains_less_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    said = spans(monkeypatch, ((SWAPPED,), DRIFTS), ((UNIT,), DRIFTS))
    assert said == [{"in.wind, in.dew": "breach"}, {"in.wind, in.dew": "not enough data", "in.dew": "breach"}]
