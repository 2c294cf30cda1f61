"""The machine of phases: each rule by an example."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rolling import DAY, MINUTE, NEW, OTHER, at, seen

from portside.cloud.deployment.traffic import Traffic
from portside.cloud.rollout import State, decide, start, step, traffic
from portside.cloud.rollout_evidence import Assigned, Cell, Observed, Tally
from portside.cloud.rollout_policy import MOST_SLICES, Policy
from portside.sdk.core.errors import FormatError

POLICY = Policy((NEW,), steps=(0.1, 0.5), slices=("line",), limits={"errors": 0.01, "accuracy": 0.02})


def test_a_good_challenger_goes_all_the_way():
    state, way = start(POLICY, "r1", 0), []
    state = step(POLICY, state, "gates passed", 1).state
    for minutes in range(0, 300, 1):
        decision = decide(POLICY, state, replace(seen(POLICY, "good"), now_ms=minutes * MINUTE))
        if decision.action != "hold":
            way.append((decision.action, decision.state.phase, decision.state.step, minutes))
        state = decision.state
    assert way == [("advance", "canary", 0, 6), ("advance", "canary", 1, 11), ("switch", "switched", 0, 16), ("promote", "promoted", 0, 76)]
    assert state.over and traffic(POLICY, state, 9) == Traffic(9, "r1", "promoted", (NEW,), 1.0, None, "r1")


@pytest.mark.parametrize(("phase", "number"), [("shadow", 0), ("canary", 0), ("canary", 1), ("switched", 0)])
def test_a_worse_one_is_rolled_back_from_anywhere_at_once_and_people_hear_of_it(phase, number):
    decision = decide(POLICY, at(POLICY, phase, number), replace(seen(POLICY, "worse"), now_ms=0))
    assert (decision.action, decision.state.phase) == ("roll back", "rolled back")
    assert "errors: at least" in decision.reason and "1.00% may be" in decision.reason
    assert decision.page == decision.reason


def test_one_broken_slice_is_enough_and_is_named():
    held = seen(POLICY, "good", stages=("canary",))
    broken = {Cell("canary", 1, NEW, "errors", "line=test"): Tally(60, 30, 60, 0, 0, 0.5),
              Cell("canary", 1, NEW, "errors", "line=main"): Tally(4000, 1, 4000, 1, 0, 0.5)}  # fmt: skip
    decision = decide(POLICY, at(POLICY, "canary", 1), replace(held, counts={**held.counts, **broken}))
    assert decision.state.phase == "rolled back"
    assert decision.reason.startswith("errors in line=test: at least") and "line=main" not in decision.reason
    assert decision.state.slices == ("line=main", "line=test")


@pytest.mark.parametrize(("how", "minutes", "why"), [
    ("good", 4.9, "4.9 of 5 minutes"), ("few", 60, "150 of 200 units"), ("nothing", 60, "0 of 200 units"),
    ("looks worse", 60, "errors look like 1.60% more than the champion's, 1.00% may be"),
])  # fmt: skip
@pytest.mark.parametrize(("phase", "number"), [("shadow", 0), ("canary", 0), ("canary", 1)])
def test_what_holds_it_where_it_is(phase, number, how, minutes, why):
    held = seen(POLICY, how, minutes)
    held = replace(held, counts={cell: one for cell, one in held.counts.items() if cell[:2] == (phase, number)})
    decision = decide(POLICY, at(POLICY, phase, number), held)
    assert (decision.action, decision.state.phase, decision.state.step) == ("hold", phase, number)
    assert why in decision.reason and decision.page is None


def test_a_step_needs_no_proof_but_a_promotion_does():
    fair = {Cell("canary", number, NEW, "errors"): Tally(300, 1, 300, 1, 0, share) for number, share in enumerate(POLICY.steps)}
    drawn = {1: Assigned(0.5, 300, 300)}
    assert decide(POLICY, at(POLICY, "canary", 0), Observed(DAY, fair)).state.step == 1
    decision = decide(POLICY, at(POLICY, "canary", 1), Observed(DAY, fair, drawn))
    assert decision.action == "hold" and decision.reason.startswith("errors: at most") and "to be proven below 1.00%" in decision.reason


def test_labels_are_asked_for_where_a_policy_says_so():
    held = {cell: one for cell, one in seen(POLICY, "good").counts.items() if cell.measure != "accuracy"}
    observed = replace(seen(POLICY, "good"), counts=held)
    assert decide(POLICY, at(POLICY, "canary", 1), observed).action == "switch"
    for asked in (replace(POLICY, accuracy="required"), replace(POLICY, gain=0.01)):
        assert "wrong answers: at most" in decide(asked, at(asked, "canary", 1), observed).reason
    better = {Cell("canary", 1, NEW, "accuracy"): Tally(20_000, 1000, 20_000, 2000, 0, 0.5)}
    assert decide(replace(POLICY, gain=0.01), at(POLICY, "canary", 1), replace(observed, counts={**held, **better})).action == "switch"


def test_the_first_step_may_be_for_one_slice():
    policy = replace(POLICY, first="line=test")
    assert traffic(policy, at(policy, "canary", 0), 1).segment == "line=test"
    assert traffic(policy, at(policy, "canary", 1), 1) == Traffic(1, "r1", "canary", (NEW,), 0.5, None, "r1")
    assert start(policy, "r1", 0).slices == ("line=test",)
    assert decide(policy, at(policy, "canary", 0), seen(policy, "good")).state.step == 1
    assert "150 of 200 units" in decide(policy, at(policy, "canary", 0), seen(policy, "few")).reason


def test_arms_that_are_not_drawn_as_promised_stop_it_and_are_told_once():
    odd = replace(seen(POLICY, "good"), assigned={0: Assigned(0.1, 1000, 9000), 1: Assigned(0.5, 4000, 3000)})
    first = decide(POLICY, at(POLICY, "canary", 1), odd)
    assert (first.action, first.page) == ("hold", first.reason)
    assert "in step 2 4,000 of 7,000 units were the challenger's, 50.00% should be" in first.reason
    again = decide(POLICY, first.state, odd)
    assert (again.action, again.page, again.reason) == ("hold", None, first.reason)
    worse = replace(seen(POLICY, "worse"), assigned=odd.assigned)
    assert decide(POLICY, at(POLICY, "canary", 1), worse).action == "roll back"


def test_after_its_days_nothing_goes_on_but_back():
    late = seen(POLICY, "good", 15 * 24 * 60)
    for phase in ("gates", "waiting", "shadow", "canary"):
        decision = decide(POLICY, at(POLICY, phase), late)
        assert decision.action == "hold" and "after 14 days" in (decision.page or "")
        assert decide(POLICY, decision.state, late).page is None
    assert decide(POLICY, at(POLICY, "canary"), seen(POLICY, "worse", 15 * 24 * 60)).action == "roll back"
    assert decide(POLICY, at(POLICY, "switched"), late).action == "promote"


def test_a_watch_that_ends_in_doubt_is_told_once_and_not_promoted():
    doubt = {Cell("switched", 0, NEW, "errors"): Tally(1000, 14), Cell("canary", 1, NEW, "errors"): Tally(9000, 0, 9000, 0, 0, 0.5)}
    early = decide(POLICY, at(POLICY, "switched"), Observed(59 * MINUTE, doubt))
    assert (early.action, early.page) == ("hold", None) and "errors look like 1.40% more" in early.reason
    late = decide(POLICY, at(POLICY, "switched"), Observed(60 * MINUTE, doubt))
    assert late.action == "hold" and (late.page or "").startswith("the watch is over, and it is not promoted: errors look like")
    assert decide(POLICY, late.state, Observed(61 * MINUTE, doubt)).page is None
    calm = {**doubt, Cell("switched", 0, NEW, "errors"): Tally(4000, 14)}
    assert decide(POLICY, late.state, Observed(90 * MINUTE, calm)).action == "promote"


@pytest.mark.parametrize(("approve", "asked"), [
    (("canary",), ["canary"]), (("step",), ["step 1", "step 2"]), (("promote",), ["promote"]),
    (("canary", "step", "promote"), ["canary", "step 2", "promote"]),
])  # fmt: skip
@pytest.mark.parametrize("shadow_first", [True, False])
def test_people_are_asked_once_for_what_they_want_to_be_asked(approve, asked, shadow_first):
    policy = replace(POLICY, approve=approve, shadow_first=shadow_first)
    found, pages = [], []
    decision = step(policy, start(policy, "r1", 0), "gates passed", 0)
    for minutes in range(400):
        pages += [decision.page] if decision.page else []
        if decision.state.asks and minutes % 7 == 0:
            assert (decision.state.phase == "waiting") == (not shadow_first and decision.state.asks in ("canary", "step 1"))
            found.append(decision.state.asks)
            decision = step(policy, decision.state, "approve", minutes * MINUTE)
            continue
        decision = decide(policy, decision.state, replace(seen(policy, "good"), now_ms=minutes * MINUTE))
    assert (found, decision.state.phase) == (asked, "promoted")
    assert len(pages) == len(asked) and all(f"person: {ask}" in page for ask, page in zip(asked, pages, strict=True))


def test_a_yes_is_looked_at_anew():
    policy = replace(POLICY, approve=("promote",))
    waiting = decide(policy, at(policy, "canary", 1), seen(policy, "good")).state
    granted = step(policy, waiting, "approve", 0, "looks fine").state
    assert granted.approved == ("promote",) and granted.asks is None
    assert decide(policy, granted, seen(policy, "worse")).action == "roll back"
    assert decide(policy, granted, seen(policy, "looks worse")).action == "hold"
    assert decide(policy, granted, seen(policy, "good")).action == "switch"


def test_gates_and_people_are_heard_where_their_words_mean_something():
    gates = start(POLICY, "r1", 0)
    failed = step(POLICY, gates, "gates failed", 5, "too slow")
    assert (failed.state.phase, failed.reason, failed.page) == ("rolled back", "too slow", "too slow")
    assert step(POLICY, at(POLICY, "promoted"), "roll back", 5).state.phase == "rolled back"
    for phase, said in (("shadow", "gates passed"), ("shadow", "gates failed"), ("canary", "approve"), ("rolled back", "roll back"),
                        ("ended", "roll back"), ("promoted", "approve")):  # fmt: skip
        with pytest.raises(FormatError, match="means nothing"):
            step(POLICY, at(POLICY, phase), said, 5)


def test_shadows_are_compared_and_nobody_goes_on():
    policy = replace(POLICY, challengers=(NEW, OTHER), mode="shadow")
    held = seen(policy, "good")
    worse = {cell: seen(policy, "worse").counts[cell] for cell in held.counts if cell.challenger == OTHER}
    some = decide(policy, at(policy, "shadow"), replace(held, now_ms=0, counts={**held.counts, **worse}))
    assert (some.action, some.state.challengers, some.state.dropped) == ("drop", (NEW,), (OTHER,))
    assert traffic(policy, some.state, 2).challengers == (NEW,)
    done = decide(policy, some.state, held)
    assert (done.action, done.state.phase) == ("end", "ended") and done.reason.startswith(f"{NEW} holds: errors at most")
    both = decide(policy, at(policy, "shadow"), seen(policy, "worse"))
    assert (both.action, both.state.dropped, traffic(policy, both.state, 3).challengers) == ("end", (NEW, OTHER), ())
    late = decide(policy, at(policy, "shadow"), seen(policy, "few", 15 * 24 * 60))
    assert late.action == "end" and "not enough data" in late.reason and late.page == late.reason


def test_slices_that_come_late_take_no_chance_from_those_that_were_first():
    many = {Cell("shadow", 0, NEW, "errors", f"line={number:02}"): Tally(1, 0, 1, 0, 0) for number in range(30)}
    state = decide(POLICY, at(POLICY, "shadow", slices=("line=zz",)), Observed(0, many)).state
    assert state.slices == ("line=zz", *(f"line={number:02}" for number in range(MOST_SLICES - 1)))
    assert decide(POLICY, state, Observed(0, many)).state.slices == state.slices


def test_the_same_values_give_the_same_decision_whatever_their_order():
    held = seen(POLICY, "good")
    turned = replace(held, counts=dict(reversed(held.counts.items())))
    for phase in ("shadow", "canary", "switched"):
        assert decide(POLICY, at(POLICY, phase), held) == decide(POLICY, at(POLICY, phase), turned)


def test_a_log_entry_is_json():
    decision = decide(POLICY, at(POLICY, "canary"), seen(POLICY, "nothing"))
    assert json.loads(json.dumps(decision.to_dict(), allow_nan=False))["verdicts"][0]["told"] == "not enough data"
    with pytest.raises(FormatError, match="not the state"):
        State.from_dict({"rollout": "r1"})
