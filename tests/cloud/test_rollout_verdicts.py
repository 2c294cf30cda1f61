"""What counts say of limits: by stage, by slice, over growing shares, and against what the champion had before."""

from __future__ import annotations

import json
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.rollout_evidence import EVERYONE, Cell, Observed, Tally
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollout_verdicts import judge
from portside.sdk.core.errors import FormatError

NEW = "sha256:ab"
POLICY = Policy((NEW,), limits={"errors": 0.01, "late": 0.02, "disagreement": 0.1, "accuracy": 0.02}, slices=("line",))


def told(stage, measure, *tallies, name=EVERYONE, policy=POLICY, before=None):
    cells = {Cell(stage, number, NEW, measure, name): held for number, held in enumerate(tallies)}
    if before:
        cells[Cell("before", 0, "", measure, name)] = before
    slices = () if name == EVERYONE else (name,)
    return next(one for one in judge(policy, stage, slices, NEW, Observed(0, cells)) if (one.measure, one.slice) == (measure, name))


def test_in_shadow_errors_are_held_against_the_champions_on_the_same_rows():
    both = told("shadow", "errors", Tally(1000, 100, 1000, 100, 100))
    assert (both.estimate, both.told) == (0.0, "within")
    worse = told("shadow", "errors", Tally(1000, 100, 1000, 20, 20))
    assert worse.estimate == pytest.approx(0.08) and worse.told == "beyond" and worse.low > 0.01
    assert told("shadow", "errors", Tally(1000, 50, 1000, 50, 0)).told == "not enough data"  # as many, but others


def test_in_shadow_late_and_other_answers_are_rates_of_its_own():
    assert told("shadow", "late", Tally(1000, 100, 1000, 100, 100)).told == "beyond"
    assert told("shadow", "disagreement", Tally(1000, 30)).told == "within"
    assert {one.measure for one in judge(POLICY, "canary", (), NEW, Observed(0))} == {"errors", "late", "accuracy"}


def test_in_a_canary_the_arms_are_held_against_each_other():
    assert told("canary", "late", Tally(3000, 300, 3000, 300, share=0.5)).told == "not enough data"
    assert told("canary", "late", Tally(40_000, 4000, 40_000, 4000, share=0.5)).told == "within"
    assert told("canary", "late", Tally(3000, 540, 3000, 300, share=0.5)).told == "beyond"
    assert told("canary", "errors", Tally(500, 0, 49_500, 50, share=0.01)).told == "within"
    assert told("canary", "errors", Tally(10, 9, 990, 0, share=0.01)).told == "beyond"


def test_a_growing_share_of_bad_days_does_not_accuse_the_challenger():
    """Two quiet steps and a bad one: 1% and 20% of either arm. A mean over all of them would see 12 points between equal arms."""
    steps = [Tally(100, 1, 9900, 99, share=0.01), Tally(5000, 1000, 5000, 1000, share=0.5)]
    verdict = told("canary", "errors", *steps)
    pooled = sum(one.bad for one in steps) / 5100 - sum(one.champion_bad for one in steps) / 14_900
    assert pooled > 0.12
    assert verdict.estimate == pytest.approx(0) and verdict.told != "beyond"


def test_once_switched_it_is_held_against_what_the_champion_had():
    before = Tally(champion_rows=20_000, champion_bad=1000)
    assert told("switched", "accuracy", Tally(5000, 260), before=before).told == "within"
    assert told("switched", "accuracy", Tally(5000, 600), before=before).told == "beyond"
    assert told("switched", "accuracy", Tally(5000, 600)).told == "not enough data"  # nothing is known of the champion
    assert told("switched", "errors", Tally(5000, 600)).told == "beyond"  # errors are rare, or should be


def test_the_champions_units_of_shadow_and_canary_count_before_the_switch():
    seen = Observed(0, {Cell("shadow", 0, NEW, "errors"): Tally(100, 1, 100, 2, 0),
                        Cell("canary", 1, NEW, "errors"): Tally(5, 0, 95, 3, share=0.05),
                        Cell("before", 0, "", "errors"): Tally(champion_rows=10, champion_bad=1),
                        Cell("canary", 1, NEW, "errors", "line=a"): Tally(1, 0, 9, 1, share=0.05),
                        Cell("shadow", 0, "sha256:other", "errors"): Tally(7, 7, 7, 7, 7)})  # fmt: skip
    assert seen.champion(NEW, "errors", EVERYONE) == (205, 6)
    assert seen.slices() == ["line=a"]


def test_a_slice_has_a_wider_limit_and_is_never_asked_for():
    held = told("canary", "errors", Tally(500, 8, 500, 0, share=0.5), name="line=test")
    assert (held.limit, held.asked, held.told) == (0.02, False, "not enough data")
    assert not held.suspect and told("canary", "errors", Tally(500, 15, 500, 0, share=0.5), name="line=test").suspect
    assert not told("canary", "errors", Tally(100, 3, 100, 0, share=0.5), name="line=test").suspect  # too few to be suspected
    assert told("canary", "errors", Tally(500, 60, 500, 0, share=0.5), name="line=test").told == "beyond"


def test_without_units_nothing_is_known_and_everything_is_json():
    for stage in ("shadow", "canary", "switched"):
        for one in judge(POLICY, stage, ("line=test",), NEW, Observed(0)):
            assert one.told == "not enough data" and isnan(one.estimate) and one.rows == 0 and not one.suspect
            assert json.loads(json.dumps(one.to_dict()))["estimate"] is None


def test_units_of_different_chances_are_not_added():
    assert Tally(1, 1, 2, 1, 0, 0.5).plus(Tally(2, 0, 3, 1, 0, 0.5)) == Tally(3, 1, 5, 2, 0, 0.5)
    with pytest.raises(FormatError, match="different chances"):
        Tally(share=0.5).plus(Tally(share=0.2))


counts = st.integers(0, 3000)


@given(counts, counts, counts, counts, st.sampled_from([0.01, 0.2, 0.5]))
def test_steps_kept_apart_say_what_they_say_together(bad, good, other_bad, other_good, share):
    """The same units in one step of a canary, or halved over two of one share."""
    half = Tally((bad + good) // 2, bad // 2, (other_bad + other_good) // 2, other_bad // 2, share=share)
    rest = Tally(-(-(bad + good) // 2), -(-bad // 2), -(-(other_bad + other_good) // 2), -(-other_bad // 2), share=share)
    one, two = told("canary", "errors", half.plus(rest)), told("canary", "errors", half, rest)
    assert (one.rows, one.low, one.high) == (two.rows, pytest.approx(two.low, abs=1e-5), pytest.approx(two.high, abs=1e-5))
