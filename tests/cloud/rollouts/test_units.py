"""What one record, a pair of answers or a label says of a rollout."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rolled import CHALLENGER, CHAMPION, OTHER, receipt, record

from portside.cloud.rollout_evidence import Cell, Tally
from portside.cloud.rollout_policy import Policy
from portside.cloud.rollouts.units import About, answered, before, judged, paired, placed
from portside.sdk.core.labels import Label

POLICY = Policy((CHALLENGER,), limits={"errors": 0.01, "late": 0.01, "disagreement": 0.05, "accuracy": 0.02}, slices=("line",))
ABOUT = About("r1", POLICY, late_ms=50.0, output="label", categories=("good", "bad"))


def given_arm(arm, share=0.05, place=1, **more):
    chance = share if arm == "challenger" else 1 - share
    noted = {"id": "r1", "assigned": arm, **({"slices": more.pop("slices")} if "slices" in more else {})}
    return record(place, propensity=chance, arm=arm, **{"entity": "ana", "features": {"rollout": noted}, **more})


def shadow(given, agrees=(True,), place=2, **more):
    noted = {"id": "r1", "assigned": "shadow", "agrees": list(agrees)}
    return record(place, arm="shadow", exposed=False, parent=given.id, package=CHALLENGER, features={"rollout": noted}, **more)


def said(record_id, value, row=0, source="api"):
    return Label(f"l {record_id} {row}", record_id, row, {"label": value}, "ana", 1, source)


def told(units):
    return {cell[3]: (cell[:3], one.tally) for unit in units for one in unit.outcomes for cell in one.cells if cell.slice == ""}


def slices(units):
    return {cell.slice for unit in units for one in unit.outcomes for cell in one.cells}


def test_an_answer_counts_for_the_arm_that_was_given_whoever_answered():
    found = told(answered(given_arm("challenger", receipt=receipt("crashed"), package=CHAMPION), ABOUT))
    assert found["errors"] == (("canary", 1, CHALLENGER), Tally(1, 1)) and found["late"] == (("canary", 1, CHALLENGER), Tally(1, 0))
    assert told(answered(given_arm("champion"), ABOUT))["errors"] == (("canary", 1, CHALLENGER), Tally(champion_rows=1))
    nobody = given_arm("champion", receipt={**receipt("busy")}, outputs={})
    assert told(answered(replace(nobody, arm="none"), ABOUT))["errors"][1] == Tally(champion_rows=1, champion_bad=1)


@pytest.mark.parametrize(("reason", "time_ms", "late"), [("primary", 49, 0), ("primary", 51, 1), ("deadline", 45, 1), ("cached", 1, 0)])
def test_late_is_what_took_too_long_or_was_given_up(reason, time_ms, late):
    assert told(answered(given_arm("challenger", receipt=receipt(reason, time_ms)), ABOUT))["late"][1] == Tally(1, late)
    assert "late" not in told(answered(given_arm("challenger", receipt=receipt(reason, time_ms)), replace(ABOUT, late_ms=None)))


@pytest.mark.parametrize(("arm", "share", "place"), [
    ("challenger", 0.01, ("canary", 0)), ("champion", 0.5, ("canary", 3)), ("challenger", 1.0, ("switched", 0)),
    ("champion", 0.0, None), ("challenger", 0.3, None),
])  # fmt: skip
def test_step_and_stage_are_told_by_the_chance(arm, share, place):
    found = placed(given_arm(arm, share), ABOUT)
    assert (found[:2] if found is not None else None) == place


def test_records_of_others_say_nothing():
    for one in (record(1), given_arm("challenger", features={"rollout": {"id": "r0", "assigned": "challenger"}}),
                given_arm("challenger", features={"rollout": "nonsense"}), given_arm("neither")):  # fmt: skip
        assert answered(one, ABOUT) == []
    assert paired(replace(shadow(record(1)), package=OTHER), record(1), ABOUT) == []


def test_a_pair_says_how_both_did():
    champion = record(1, entity="ana", receipt=receipt(time_ms=60.0))
    found = told(paired(shadow(champion, [False], receipt=receipt(time_ms=70.0)), champion, ABOUT))
    assert found["errors"] == (("shadow", 0, CHALLENGER), Tally(1, 0, 1, 0, 0))
    assert found["late"][1] == Tally(1, 1, 1, 1, 1) and found["disagreement"][1] == Tally(1, 1, 1, 0, 0)
    broken = told(paired(shadow(champion, [], outputs={}, receipt=receipt("crashed")), champion, ABOUT))
    assert broken == {"errors": (("shadow", 0, CHALLENGER), Tally(1, 1, 1, 0, 0))}, "what was not answered is neither late nor different"
    assert set(told(paired(shadow(champion), None, ABOUT))) == {"disagreement"}, "its champion's record was lost"


def test_a_label_judges_both_of_a_pair_and_the_arm_that_was_given():
    champion = record(1, entity="ana", outputs={"label": [0]})
    found = told(judged(champion, [shadow(champion, outputs={"label": [1]})], said(champion.id, "good"), ABOUT))
    assert found == {"accuracy": (("shadow", 0, CHALLENGER), Tally(1, 1, 1, 0, 0))}
    both = told(judged(champion, [shadow(champion, outputs={"label": [0]})], said(champion.id, 1), ABOUT))
    assert both["accuracy"][1] == Tally(1, 1, 1, 1, 1)
    given = given_arm("challenger", outputs={"label": [1]})
    assert told(judged(given, [], said(given.id, "bad"), ABOUT))["accuracy"] == (("canary", 1, CHALLENGER), Tally(1, 0))
    redacted = given_arm("challenger", outputs={"label": {"redacted": True}})
    assert judged(redacted, [], said(redacted.id, "bad"), ABOUT) == []
    assert judged(given, [], said(given.id, None), ABOUT) == [] and judged(given, [], said(given.id, "bad", row=7), ABOUT) == []


def test_an_entity_has_one_key_that_says_nothing_of_it_and_nobody_has_none():
    def key(about=ABOUT, **more):
        return answered(given_arm("challenger", **more), about)[0].key

    assert key() == key(place=2) != key(entity="ben") and key(share=0.2) != key() and "ana" not in key()
    other = replace(given_arm("challenger"), features={"rollout": {"id": "r2", "assigned": "challenger"}})
    assert answered(other, replace(ABOUT, rollout="r2"))[0].key not in ("", key())
    assert key(entity=None) == ""
    given = given_arm("challenger", entity=None, outputs={"label": [0, 0]})
    first, second = (judged(given, [], said(given.id, 0, row), ABOUT)[0].key for row in (0, 1))
    assert first == second != "", "two labels of one request are one outcome"


def test_slices_are_those_that_were_asked_for():
    found = answered(given_arm("challenger", slices={"line": ["test"], "other": ["x"]}), ABOUT)
    assert slices(found) == {"", "line=test"}
    first = replace(ABOUT, policy=replace(POLICY, first="line=test"))
    alone = answered(given_arm("challenger", 0.01, slices={"line": ["test"]}), first)
    assert slices(alone) == {"line=test"}, "a first step for a slice alone says nothing of everyone"
    later = answered(given_arm("challenger", 0.05, slices={"line": ["test"]}), first)
    assert slices(later) == {"", "line=test"}


def test_one_row_stands_for_a_request_of_several():
    rows = 8
    champions = [record(place, outputs={"label": [0] * rows}) for place in range(200)]
    half = [place < 4 for place in range(rows)]
    pairs = [paired(shadow(one, half, place=500 + number), one, ABOUT) for number, one in enumerate(champions)]
    bad = sum(told(units)["disagreement"][1].bad for units in pairs)
    assert all(len(units) == 3 for units in pairs)
    assert 70 < bad < 130, "half of the rows differ, and any row may stand for them"


def test_reviews_that_an_answer_brought_about_are_thinned_beside_a_challenger():
    """1,000 rows that everybody looked at count as often as rows of which one in twenty is looked at."""
    thinned = replace(ABOUT, floor=0.05)
    asked = [given_arm("challenger", place=place, entity=f"e{place}", selection=1.0, selection_reason="low") for place in range(1000)]
    kept = sum(bool(judged(one, [], said(one.id, 0, source="person"), thinned)) for one in asked)
    assert 25 < kept < 85
    drawn = [replace(one, selection=0.05, selection_reason="check") for one in asked]
    assert all(judged(one, [], said(one.id, 0, source="check"), thinned) for one in drawn)
    assert all(judged(one, [], said(one.id, 0), thinned) for one in asked), "outcomes that come of themselves all count"
    assert not any(judged(replace(one, selection=0.0), [], said(one.id, 0, source="person"), thinned) for one in asked)


def test_before_a_rollout_the_champion_counts_alone():
    found = before(record(1, entity="ana", receipt=receipt("crashed")), ABOUT)
    assert [one.cells for one in found[0].outcomes] == [(Cell("before", 0, "", "errors"),), (Cell("before", 0, "", "late"),)]
    assert [one.tally for one in found[0].outcomes] == [Tally(champion_rows=1, champion_bad=1), Tally(champion_rows=1)]
    assert told(before(record(1), ABOUT, said("x", 1)))["accuracy"][1] == Tally(champion_rows=1, champion_bad=1)


@given(st.sampled_from(["champion", "challenger"]), st.floats(0, 200), st.sampled_from(["primary", "failed", "deadline"]))
def test_what_is_bad_is_a_row(arm, time_ms, reason):
    for _, tally in told(answered(given_arm(arm, receipt=receipt(reason, time_ms)), ABOUT)).values():
        assert tally.rows + tally.champion_rows == 1 and tally.bad <= tally.rows and tally.champion_bad <= tally.champion_rows
