"""Error budgets and burn rates: the workbook's figures, little traffic, begin and end of a trouble."""

from __future__ import annotations

import pytest

from portside.cloud.alerts.slo import BURNS, HOUR_S, Burn, Counts, Objective, budget, burning, judge, span

OBJECTIVE = Objective("availability", 0.999)
FAST = BURNS[0]


def rates(**counts: tuple[int, int]):
    """counts of a window, by its name: "_1h" = (good, bad)."""
    return lambda seconds: Counts(*counts[f"_{span(seconds)}"])


def minutes(*bad_share: float, traffic: int = 600):
    """counts_of over minutes, the newest last."""
    def counts_of(seconds: float) -> Counts:
        held = bad_share[-max(round(seconds / 60), 1) :]
        bad = sum(round(share * traffic) for share in held)
        return Counts(len(held) * traffic - bad, bad)

    return counts_of


@pytest.mark.parametrize(("burn", "rate"), zip(BURNS, (14.4, 6.0, 1.0), strict=True), ids=("1h", "6h", "3d"))
def test_the_workbooks_burn_rates_follow_from_its_shares_of_the_budget(burn, rate):
    """Table 5-8: 2% in an hour, 5% in six, 10% in three days, of 30 days."""
    assert burn.rate(OBJECTIVE) == pytest.approx(rate)
    assert burn.long_s / burn.short_s == 12


def test_a_window_of_seven_days_burns_the_same_share_of_its_budget():
    assert FAST.rate(Objective("availability", 0.999, 7 * 24 * HOUR_S)) == pytest.approx(0.02 * 7 * 24)


def test_it_breaches_when_both_windows_burn_and_only_then():
    hot, calm = (9700, 300), (100_000, 1)
    assert burning(OBJECTIVE, rates(_1h=hot, _5m=(970, 30)), FAST).verdict == "breach"
    assert burning(OBJECTIVE, rates(_1h=hot, _5m=(1000, 0)), FAST).verdict == "ok", "it has ended"
    assert burning(OBJECTIVE, rates(_1h=calm, _5m=(970, 30)), FAST).verdict == "ok", "a few seconds of it"
    assert burning(OBJECTIVE, rates(_1h=(0, 0), _5m=(0, 0)), FAST).verdict == "not enough data"


def test_one_bad_answer_in_little_traffic_is_no_burn():
    """1 of 20 is a rate of 50, and says little."""
    assert burning(OBJECTIVE, rates(_1h=(19, 1), _5m=(1, 1)), FAST).verdict == "ok"
    assert burning(OBJECTIVE, rates(_1h=(10, 10), _5m=(1, 1)), FAST).verdict == "breach"


def test_a_trouble_is_found_soon_and_its_end_too():
    """2% of the budget: all requests failing are found within minutes; ten minutes after the end it is well."""
    during = next(count for count in range(1, 60) if burning(OBJECTIVE, minutes(*[0.0] * 600, *[1.0] * count), FAST).verdict == "breach")
    assert during <= 2
    after = next(count for count in range(60) if burning(OBJECTIVE, minutes(*[1.0] * 10, *[0.0] * count), FAST).verdict == "ok")
    assert after <= 6


def test_a_slow_burn_opens_a_ticket_and_wakes_nobody():
    found = {finding.subject: finding.verdict for finding in judge(OBJECTIVE, minutes(*[0.002] * 5000))}
    assert found["availability over 3d"] == "breach"
    assert found["availability over 1h"] == found["availability over 6h"] == "ok"


def test_the_budget_that_is_left():
    assert budget(OBJECTIVE, lambda _: Counts(99_950, 50)).value == pytest.approx(0.5)
    assert "50.00% of the error budget of 30d is left" in budget(OBJECTIVE, lambda _: Counts(99_950, 50)).what
    over = budget(OBJECTIVE, lambda _: Counts(99_800, 200))
    assert over.value == pytest.approx(-1.0) and over.what.endswith("the error budget of 30d is overspent by 100.00%")
    assert "0.00% of" in budget(OBJECTIVE, lambda _: Counts(99_900, 100)).what
    assert budget(OBJECTIVE, lambda _: Counts()).verdict == "not enough data"


def test_a_wide_budget_can_still_burn():
    """Half of the answers may be slow: 14.4 times that would be more than all."""
    assert burning(Objective("p50_ms", 0.5), lambda _: Counts(10, 990), Burn(0.02, HOUR_S, HOUR_S / 12, "critical")).verdict == "breach"


def test_large_counts_take_no_time_and_agree_with_small_ones():
    big = burning(OBJECTIVE, lambda _: Counts(97_000_000, 3_000_000), FAST)
    assert big.verdict == "breach" and big.value == pytest.approx(30.0)
