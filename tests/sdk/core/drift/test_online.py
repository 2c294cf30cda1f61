"""ADWIN and Page-Hinkley against river's, and the laws of their states."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from river.drift import ADWIN
from river.drift import PageHinkley as RiversPageHinkley

from portside.sdk.core.drift.online import Adwin, PageHinkley
from portside.sdk.core.signature import Array


def stream(seed: int) -> Array:
    random = np.random.default_rng(seed)
    return np.concatenate([random.random(1500), 0.35 + 0.65 * random.random(1500), 0.4 * random.random(1000)])


def found(detector: Adwin | PageHinkley, values: Array) -> list[int]:
    places: list[int] = []
    for place, value in enumerate(values.tolist()):
        detector = detector.update(value)
        places += [place] if detector.drift else []
    assert detector.drifts == len(places)
    return places


@pytest.mark.parametrize("seed", range(4))
def test_adwin_finds_changes_when_rivers_does(seed: int) -> None:
    values, theirs, rivers = stream(seed), ADWIN(), []
    for place, value in enumerate(values.tolist()):
        theirs.update(value)
        rivers += [place] if theirs.drift_detected else []
    ours = found(Adwin(), values)
    for change in (1500, 3000):
        first = min((place for place in ours if place >= change), default=10**9)
        assert abs(first - min(place for place in rivers if place >= change)) <= 64
        assert first < change + 200


@pytest.mark.parametrize("seed", range(4))
def test_page_hinkley_is_rivers(seed: int) -> None:
    values, theirs, rivers = stream(seed), RiversPageHinkley(threshold=20), []
    for place, value in enumerate(values.tolist()):
        theirs.update(value)
        rivers += [place] if theirs.drift_detected else []
    assert found(PageHinkley(threshold=20), values) == rivers


def test_adwin_is_calm_where_nothing_changes_and_keeps_the_whole_window() -> None:
    random = np.random.default_rng(0)
    held = reduce(Adwin.update, random.random(4000).tolist(), Adwin())
    assert held.drifts <= 1
    assert held.mean == pytest.approx(0.5, abs=0.03)
    values = random.random(500)
    held = reduce(Adwin.update, values.tolist(), Adwin(delta=1e-9))
    assert held.whole.rows == sum(bucket.rows for row in held.rows for bucket in row) == 500
    assert held.whole.total == pytest.approx(values.sum())
    assert held.whole.spread == pytest.approx(values.var() * 500)


def test_states_do_not_change() -> None:
    for start in (Adwin(), PageHinkley()):
        before = start.update(1.0)
        kept = repr(before)
        before.update(5.0).update(-5.0)
        assert repr(before) == kept
        assert start.update(1.0) == before
