"""Watching: a month's false alarms within their budget, changes of every size found at some length, learning what is usual."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from portside.sdk.core.drift.watch import Watch, WatchOptions
from portside.sdk.core.errors import InputError
from portside.sdk.core.profile import Profile
from portside.sdk.core.signature import Array


def windows(values: Array, rows: int = 50) -> list[Profile]:
    """Windows of two fields: the values, and a category that depends on nothing."""
    names = np.array(["a", "b"], object)[np.random.default_rng(len(values)).integers(0, 2, len(values))]
    return [Profile.of({"x": values[at : at + rows], "c": names[at : at + rows]}) for at in range(0, len(values), rows)]


def calm(rows: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=rows)


def first(watch: Watch, values: Array) -> int | None:
    """The row at which a watch first speaks of drift."""
    for place, window in enumerate(windows(values)):
        watch, looks = watch.see(window)
        if any(look.report.verdict == "drift" for look in looks):
            return (place + 1) * 50
    return None


OPTIONS = WatchOptions(rows=50, looks=20, rate=0.2, effect=0.0)


def test_months_of_calm_alarm_no_more_than_the_budget() -> None:
    watch = Watch(Profile.merge_all(windows(calm(3000, 0))), OPTIONS)
    assert np.mean([first(watch, calm(1000, seed)) is not None for seed in range(1, 26)]) <= 0.2


def test_large_changes_are_found_at_once_and_small_ones_in_longer_spans() -> None:
    watch = Watch(Profile.merge_all(windows(calm(4000, 0))), WatchOptions(rows=50, looks=200, effect=0.02))
    assert first(watch, calm(2000, 1) + 2.0) == 50
    small = first(watch, calm(4000, 2) + 0.4)
    assert small is not None
    assert 200 <= small <= 2000


def test_what_early_rows_did_is_tolerated() -> None:
    """A season of 400 rows: every short span lies far from the whole, spans of 400 and 800 rows do not."""
    season = np.sin(np.arange(4800) * 2 * np.pi / 400) * 2
    values = calm(4800, 3) * 0.3 + season
    ignorant = Watch(Profile.merge_all(windows(values[:3200])), WatchOptions(rows=50, looks=200))
    assert first(ignorant, values[3200:]) == 50
    learned = Watch.learn(windows(values[:3200]), WatchOptions(rows=50, looks=200))
    assert learned.tolerances[0]["x"] > 0.4 > (learned.tolerances[3] or {}).get("x", 0.0)  # type: ignore[index]
    assert "c" not in learned.tolerances[0]  # type: ignore[operator]
    assert first(learned, values[3200:]) is None
    assert first(learned, values[3200:] + 2.0) is not None


def test_lengths_that_early_rows_say_too_little_of_are_not_looked_at() -> None:
    watch = Watch.learn(windows(calm(800, 0)), OPTIONS)
    assert [held is not None for held in watch.tolerances] == [True, True, True, False, False]
    _, looks = watch.see_all(windows(calm(1600, 1)))
    assert {look.span for look in looks} == {0, 1, 2}


def test_looks_are_taken_at_every_length_when_rows_suffice() -> None:
    watch, looks = Watch(Profile.merge_all(windows(calm(3000, 0))), OPTIONS).see_all(windows(calm(800, 1), rows=20))
    assert watch.looks == (13, 6, 3, 1, 0), "windows of 20 rows make spans of 60"
    assert {look.rows for look in looks} == {60, 120, 240, 480}
    assert not watch.forget().gathering


def test_what_was_seen_and_accepted_is_no_alarm_again() -> None:
    watch = Watch(Profile.merge_all(windows(calm(3000, 0))), WatchOptions(rows=50, looks=100))
    watch, (look,) = watch.see(windows(calm(50, 1) + 2)[0])
    assert look.report.verdict == "drift"
    assert first(watch.accept(look).forget(), calm(400, 2) + 2) is None
    assert first(watch.forget(), calm(400, 2) + 2) == 50


def test_drift_comes_with_its_explanation() -> None:
    watch = Watch(Profile.merge_all([Profile.of({"in.x": calm(500, seed) + 9}) for seed in range(6)]), OPTIONS)
    _, (look,) = watch.see(Profile.of({"in.x": (calm(50, 9) + 9) * 1000}))
    assert [one.kind for one in look.suspicions] == ["unit"]


def test_a_state_survives_json() -> None:
    watch, _ = Watch.learn(windows(calm(1600, 0)), OPTIONS).see_all(windows(calm(330, 1), rows=30))
    data: Any = json.loads(json.dumps(watch.to_dict()))
    again = Watch.from_dict(data, watch.reference)
    assert again.to_dict() == watch.to_dict()
    rest = windows(calm(500, 2) + 1)
    assert [look.report for look in again.see_all(rest)[1]] == [look.report for look in watch.see_all(rest)[1]]


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"looks": 0}, {"rows": 0}, {"spans": 0}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        WatchOptions(**wrong)
