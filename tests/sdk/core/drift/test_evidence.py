"""Evidence: false alarms within the rate that is stated, at any time; real changes found soon."""

from __future__ import annotations

import numpy as np
import pytest

from portside.sdk.core.drift.evidence import Evidence
from portside.sdk.core.errors import InputError


def looked(state: Evidence, errors: list[int], rows: int) -> Evidence:
    for count in errors:
        state = state.update(count, rows)
    return state


@pytest.mark.parametrize(("rows", "share"), [(1, 0.2), (20, 0.1)])
def test_a_month_at_the_limit_rarely_alarms(rows: int, share: float) -> None:
    """The limit itself is the worst that is all right; 200 looks, stated rate 20%."""
    random = np.random.default_rng(0)
    months = [looked(Evidence(share, looks=200, rate=0.2), random.binomial(rows, share, 200).tolist(), rows).alarm for _ in range(80)]
    assert np.mean(months) <= 0.2


def test_a_rise_is_found_soon_however_long_all_was_well() -> None:
    random = np.random.default_rng(1)
    for calm in (0, 1000):
        state = looked(Evidence(0.12, looks=3000), random.binomial(10, 0.1, calm).tolist(), 10)
        assert not state.alarm
        state = looked(state, random.binomial(10, 0.3, 60).tolist(), 10)
        assert state.began is not None
        assert state.began - calm < 25


def test_fewer_errors_never_alarm_and_batches_are_the_same_as_singles_at_once() -> None:
    assert looked(Evidence(0.2), [0] * 500, 10).strength < 0.1
    one = Evidence(0.2, looks=10).update(3, 5)
    assert one.rows == 5
    assert one.sums == pytest.approx(Evidence(0.2, looks=10).update(3, 5).sums)
    assert max(one.sums) > max(Evidence(0.2, looks=10).update(1, 5).sums)


def test_the_limit_is_the_reference_and_a_margin() -> None:
    held = Evidence.against(100, 1000, margin=0.02)
    assert 0.12 < held.limit < 0.15
    assert held.reset() == held


def test_alarms_stay_until_they_are_reset() -> None:
    state = looked(Evidence(0.1, looks=100), [9] * 10, 10)
    began = state.began
    assert looked(state, [0] * 200, 10).began == began
    assert not state.reset().alarm
    assert state.strength > 1


@pytest.mark.parametrize("wrong", [{"limit": 0.0}, {"limit": 0.5, "rate": 1.0}, {"limit": 0.5, "looks": 0}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Evidence(**wrong)
    with pytest.raises(InputError, match="among rows"):
        Evidence(0.1).update(3, 2)
