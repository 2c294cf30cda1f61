"""Every state that a rollout can reach, by all that can be seen or said, under many policies: no rule is broken by any."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rolling import DAY, MINUTE, NEW, OTHER, seen

from portside.cloud import rollout
from portside.cloud.rollout import Decision, State, decide, start, step, traffic
from portside.cloud.rollout_evidence import Assigned
from portside.cloud.rollout_policy import Policy
from portside.sdk.core.errors import FormatError

POLICIES = [
    Policy((NEW,), steps=(0.1, 0.5), limits={"errors": 0.01}, mode=mode, shadow_first=shadow, approve=approve, first=first)
    for mode in ("canary", "blue-green")
    for shadow in (True, False)
    for approve in ((), ("canary",), ("step", "promote"))
    for first in ((None, "line=test") if mode == "canary" and "step" not in approve else (None,))
] + [Policy((NEW, OTHER), mode="shadow", limits={"errors": 0.01})]


@pytest.fixture(autouse=True)
def looked_once(monkeypatch):
    """The same counts are met in many states: what they say is kept."""
    known, judge = {}, rollout.judge

    def kept(policy, stage, slices, challenger, observed):
        key = (repr(policy), stage, slices, challenger, tuple(observed.counts.items()))
        return known[key] if key in known else known.setdefault(key, judge(policy, stage, slices, challenger, observed))

    monkeypatch.setattr(rollout, "judge", kept)


ORDER = ("gates", "waiting", "shadow", "canary", "switched", "promoted")


def events(policy: Policy, state: State):
    """All that may happen to a state: its decision, and the name of what happened."""
    for how in ("good", "worse", "looks worse", "few", "nothing"):
        for minutes in (0, 90, 15 * 24 * 60) if how == "good" else (90,):
            held = seen(policy, how)
            yield how, decide(policy, state, replace(held, now_ms=state.since_ms + minutes * MINUTE))
    odd = replace(seen(policy, "good"), assigned={0: Assigned(0.1, 900, 900)})
    yield "odd", decide(policy, state, replace(odd, now_ms=state.since_ms + DAY))
    for said in ("gates passed", "gates failed", "approve", "roll back"):
        try:
            yield said, step(policy, state, said, state.since_ms + MINUTE)
        except FormatError:
            yield said, Decision(state, "hold", "refused")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: f"{one.mode}-{one.shadow_first}-{'+'.join(one.approve)}-{one.first}")
def test_no_state_that_can_be_reached_breaks_a_rule(policy):
    """Breadth first. Times are left out of what makes two states the same, but for one that is overdue."""
    first, known = start(policy, "r1", 0), {}
    todo = [first]
    while todo:
        state = todo.pop()
        key = replace(state, since_ms=int(state.since_ms >= policy.max_days * DAY))
        if key in known:
            continue
        known[key] = state
        assert State.from_dict(json.loads(json.dumps(state.to_dict()))) == state
        for what, decision in events(policy, state):
            after = decision.state
            keeps_the_rules(policy, state, what, decision)
            todo.append(after)
    phases = {state.phase for state in known}
    wanted = {"gates", "rolled back"} | set(policy.stages) | ({"ended"} if policy.mode == "shadow" else {"promoted"})
    assert phases == wanted | ({"waiting"} if _waits(policy) else set())
    assert len(known) < 2000


def _waits(policy: Policy) -> bool:
    if policy.shadow_first or policy.mode == "shadow":
        return False
    return bool({"canary", "step"} & set(policy.approve)) if policy.mode == "canary" else "promote" in policy.approve


def keeps_the_rules(policy: Policy, state: State, what: str, decision: Decision) -> None:
    after = decision.state
    moved = (after.phase, after.step) != (state.phase, state.step)
    serving = state.phase in ("shadow", "canary", "switched")
    if state.over:
        assert after == state or (state.phase, what, after.phase) == ("promoted", "roll back", "rolled back")
        return
    if serving and what == "worse":
        assert after.phase == "rolled back" or (policy.mode == "shadow" and after.phase == "ended" and not after.challengers)
    elif what == "roll back":
        assert after.phase == "rolled back"
    elif what in ("few", "nothing", "looks worse", "odd") and state.phase == "canary":
        assert not moved
    elif after.phase in ORDER and moved:
        assert ORDER.index(after.phase) > ORDER.index(state.phase) or after.step == state.step + 1  # never back, never a step left out
        overdue = after.since_ms - state.began_ms >= policy.max_days * DAY
        assert what in ("good", "odd", "gates passed", "approve")
        assert not (overdue and what in ("good", "odd") and state.phase != "switched")
    if after.phase == "switched" and state.phase != "switched":
        assert policy.proving is None or what == "good" or (what == "odd" and policy.proving == "shadow")
        assert "promote" not in policy.approve or "promote" in after.approved
    if after.phase == "promoted":
        assert state.phase == "switched"
    if after.phase == "canary" and moved and "step" in policy.approve:
        assert f"step {after.step + 1}" in after.approved
    assert set(state.paged) <= set(after.paged)
    assert after.phase == "ended" or (decision.page is not None) == (after.paged != state.paged or after.phase == "rolled back")
    given = traffic(policy, after, 1)
    assert (given.share > 0) == (after.phase in ("canary", "switched", "promoted"))
    assert given.challengers == (after.challengers if after.phase in ("shadow", "canary", "switched", "promoted") else ())


def test_a_decision_is_not_taken_twice():
    """What a controller that was killed between storing and telling does after its restart."""
    for policy in POLICIES:
        state = step(policy, start(policy, "r1", 0), "gates passed", 0).state
        for minutes in range(0, 200, 3):
            observed = replace(seen(policy, "good"), now_ms=minutes * MINUTE)
            first = decide(policy, state, observed)
            again = decide(policy, first.state, observed)
            assert (again.action, again.page) == ("hold", None)
            assert replace(again.state, asks=first.state.asks, paged=first.state.paged) == first.state
            state = first.state
            if state.asks:
                state = step(policy, state, "approve", minutes * MINUTE).state
