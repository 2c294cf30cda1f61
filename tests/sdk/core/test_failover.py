"""The failover policy: the vectors that every language replays, laws over random histories, and the non-finite rule."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from portside.sdk.core import failover as f
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import TensorSpec

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "failover.json").read_text(encoding="utf-8"))
OUTCOMES = ("answered", "failed", "deadline", "crashed", "busy", "non-finite")


@pytest.mark.parametrize("scenario", VECTORS["scenarios"], ids=lambda s: s["name"])
def test_vectors(scenario):
    policy = f.Policy.from_dict(scenario["policy"])
    breakers, requests = f.start(policy), {}
    for step in scenario["steps"]:
        name, now = step["request"], step["now"]
        if step["op"] == "arrive":
            requests[name] = f.Request(now)
        elif step["op"] == "decide":
            action, breakers, requests[name] = f.decide(policy, breakers, requests[name], now, step.get("down", ()))
            assert {"do": action.do, "entry": action.entry, "until_ms": action.until_ms} == step["expect"]
        else:
            breakers, requests[name] = f.observe(policy, breakers, requests[name], step["outcome"], now)
            request = requests[name]
            assert step["expect"] == {
                "states": [breaker.state for breaker in breakers], "reason": request.reason,
                "attempts": [[a.entry, a.reason] for a in request.attempts], "answered_by": request.answered_by,
            }  # fmt: skip


class OneEntry(RuleBasedStateMachine):
    """Many overlapping calls over one guarded entry with a default behind it, in any order, at any pace."""

    limits = f.BreakerRules(failures=3, open_ms=10, max_open_ms=40, probe_ms=25)
    policy = f.Policy((f.Entry("model"), f.Entry("default")), deadline_ms=50, reserve_ms=5, breaker=limits)

    def __init__(self):
        super().__init__()
        self.now, self.breakers = 0.0, f.start(self.policy)
        self.open_calls: list[f.Request] = []

    @property
    def breaker(self) -> f.Breaker:
        return self.breakers[0]

    @rule(wait=st.floats(0, 60))
    def time_passes(self, wait):
        self.now += wait

    @rule()
    def arrive(self):
        before = self.breaker
        action, self.breakers, request = f.decide(self.policy, self.breakers, f.Request(self.now), self.now)
        if action.do == "call":
            assert before.state == "closed" or self.now >= before.until_ms
            assert action.until_ms == self.now + 50 - 5
            self.open_calls.append(request)
        else:
            assert action.do == "answer" and request.reason == f.OPEN
            assert self.now < before.until_ms and self.breakers[0] == before

    @rule(pick=st.integers(0, 20), outcome=st.sampled_from(OUTCOMES))
    def finish(self, pick, outcome):
        if not self.open_calls:
            return
        request = self.open_calls.pop(pick % len(self.open_calls))
        before = self.breaker
        self.breakers, after = f.observe(self.policy, self.breakers, request, outcome, self.now)
        assert (after.answered_by == 0) == (outcome == "answered")
        if request.epoch != before.epoch:
            assert self.breaker == before, "late news changed a breaker"
        elif before.state == "half-open":
            assert self.breaker.state == {"answered": "closed", "busy": "half-open"}.get(outcome, "open")
        if outcome != "answered":
            action, self.breakers, after = f.decide(self.policy, self.breakers, after, self.now)
            assert action.do == "answer" and after.reason == outcome

    @invariant()
    def bounded(self):
        assert self.breaker.failures >= 0
        if self.breaker.state == "closed":
            assert self.breaker.failures < self.limits.failures
        if self.breaker.state == "open":
            assert self.breaker.until_ms <= self.now + self.limits.max_open_ms

    @invariant()
    def one_probe(self):
        fresh = [call for call in self.open_calls if call.epoch == self.breaker.epoch]
        assert self.breaker.state != "half-open" or len(fresh) <= 1

    @invariant()
    def comes_back(self):
        """Whatever happened, waiting and one good probe close the breaker."""
        later = self.now + max(self.limits.max_open_ms, self.limits.probe_ms)
        action, breakers, request = f.decide(self.policy, self.breakers, f.Request(later), later)
        assert action.do == "call"
        assert f.observe(self.policy, breakers, request, "answered", later)[0][0].state == "closed"


TestOneEntry = OneEntry.TestCase
TestOneEntry.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

ENTRY = st.builds(f.Entry, st.sampled_from(["model", "endpoint", "cache"]), st.none() | st.floats(1, 100))
ENTRIES = st.lists(ENTRY, min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(entries=ENTRIES, default=st.booleans(), data=st.data())
def test_every_request_ends_and_a_default_always_answers(entries, default, data):
    chain = (*entries, f.Entry("default")) if default else tuple(entries)
    policy = f.Policy(chain, deadline_ms=50, reserve_ms=5, grace_ms=10)
    action, breakers, request, now, asked = None, f.start(policy), f.Request(0.0), 0.0, []
    for _ in range(len(chain) + 1):
        down = data.draw(st.sets(st.integers(0, len(chain) - 1)))
        action, breakers, request = f.decide(policy, breakers, request, now, down)
        if action.do in ("answer", "give-up"):
            break
        asked.append(action.entry)
        now += data.draw(st.floats(0, 60))
        outcome = data.draw(st.sampled_from(("miss", "answered") if action.do == "look" else OUTCOMES))
        breakers, request = f.observe(policy, breakers, request, outcome, now)
        if outcome == "answered":
            break
    assert asked == sorted(set(asked)), "an entry was asked twice, or out of order"
    assert request.answered_by is not None or action.do == ("answer" if default else "give-up")
    assert [attempt.entry for attempt in request.attempts] == list(range(len(request.attempts)))


def test_a_policy_that_cannot_be_meant_is_refused():
    with pytest.raises(FormatError, match="at least one"):
        f.Policy(())
    with pytest.raises(FormatError, match="reserve_ms"):
        f.Policy((f.Entry("model"),), deadline_ms=50, reserve_ms=50)


@pytest.mark.parametrize(
    ("values", "missing", "flawed"),
    [
        ([1.0, 2.0], False, False),
        ([1.0, np.nan], False, True), ([1.0, np.nan], True, False), ([np.inf], True, True), ([-np.inf], False, True),
    ],
)
def test_flaw_follows_the_signature(values, missing, flawed):
    spec = TensorSpec("score", "f32", ("batch",), missing=missing, kind="score")
    label = TensorSpec("label", "i64", ("batch",), kind="decision")
    outputs = {"label": np.zeros(len(values), np.int64), "score": np.array(values, np.float32)}
    assert f.flaw(outputs, (label, spec)) == ("score" if flawed else None)
