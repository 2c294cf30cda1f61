"""The breaker's laws over random histories, held against a plain list of what happened."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from portside.sdk.core import failover as f
from portside.sdk.core.breaker import SLOTS, BreakerRules, Window, counted, exceeded
from portside.sdk.core.errors import FormatError

BY_TIME = BreakerRules(failures=4, open_ms=10, max_open_ms=40, probe_ms=25, probes=3, error_rate=0.5, slow_rate=0.6, slow_ms=8,
                       min_calls=5, window_ms=100)  # fmt: skip
BY_CALLS = BreakerRules(failures=50, open_ms=10, max_open_ms=40, probe_ms=25, probes=2, error_rate=0.4, min_calls=6, window_calls=12)


class Rated(RuleBasedStateMachine):
    """Overlapping calls over one entry. `history`: (slot, bad, slow) of every call counted since the breaker last closed."""

    limits = BY_TIME

    def __init__(self):
        super().__init__()
        self.policy = f.Policy((f.Entry("model"), f.Entry("default")), breaker=self.limits)
        self.now, self.breakers = 1e6, f.start(self.policy)
        self.under_way: list[f.Request] = []
        self.history: list[tuple[int, bool, bool]] = []
        self.good_probes, self.open_since = 0, 0.0

    @property
    def breaker(self) -> f.Breaker:
        return self.breakers[0]

    def slot(self) -> int:
        calls = self.limits.window_calls
        position, width = (self.now, self.limits.window_ms) if calls is None else (len(self.history), calls)
        return int(position * SLOTS / width)

    def share(self):
        """Calls, bad and slow ones in the window that ends now, from the list."""
        last = self.history[-1][0] if self.history else 0
        inside = [call for call in self.history if call[0] > last - SLOTS]
        return len(inside), sum(call[1] for call in inside), sum(call[2] for call in inside)

    @rule(wait=st.sampled_from([0.0, 0.5, 3.0, 7.0, 9.0, 11.0, 26.0, 41.0, 120.0]))
    def time_passes(self, wait):
        self.now += wait

    @rule()
    def arrive(self):
        before = self.breaker
        action, self.breakers, request = f.decide(self.policy, self.breakers, f.Request(self.now), self.now)
        if action.do != "call":
            assert before.state != "closed" and self.now < before.until_ms
            return
        self.under_way.append(request)
        if before.state == "open":
            assert self.now >= before.until_ms >= self.open_since + self.limits.open_ms
        if before.state != "closed":
            assert self.breaker.state == "half-open" and self.breaker.epoch == before.epoch + 1

    @precondition(lambda self: self.under_way)
    @rule(pick=st.integers(0, 30), good=st.booleans())
    def finish(self, pick, good):
        request = self.under_way.pop(pick % len(self.under_way))
        before = self.breaker
        self.breakers, _ = f.observe(self.policy, self.breakers, request, "answered" if good else "failed", self.now)
        after = self.breaker
        slow = self.limits.slow_ms is not None and self.now - request.began_ms > self.limits.slow_ms
        if request.epoch != before.epoch or before.state == "open":
            assert after == before, "late news changed a breaker"
        elif before.state == "half-open":
            self.probed(good and not slow, after)
        else:
            self.counted(good, slow, before, after)

    def probed(self, good, after):
        self.good_probes = self.good_probes + 1 if good else 0
        if not good:
            assert after.state == "open"
            self.open_since = self.now
        elif self.good_probes == self.limits.probes:
            assert after == f.Breaker(epoch=after.epoch)
            self.good_probes, self.history = 0, []
        else:
            assert after.state == "half-open" and after.good == self.good_probes

    def counted(self, good, slow, before, after):
        self.history.append((self.slot(), not good, slow))
        calls, bad, slow_ones = self.share()
        rated = calls >= self.limits.min_calls and (
            bad >= self.limits.error_rate * calls or (self.limits.slow_rate is not None and slow_ones >= self.limits.slow_rate * calls)
        )
        in_a_row = not good and before.failures + 1 >= self.limits.failures
        assert after.state == ("open" if rated or in_a_row else "closed")
        if after.state == "open":
            self.history, self.open_since, self.good_probes = [], self.now, 0

    @invariant()
    def one_probe_at_a_time(self):
        fresh = [call for call in self.under_way if call.epoch == self.breaker.epoch]
        assert self.breaker.state != "half-open" or len(fresh) <= 1

    @invariant()
    def counters_are_what_was_seen(self):
        window = self.breaker.window
        if self.breaker.state != "closed":
            assert window == Window()
            return
        here = (window.calls + window.before[0], window.bad + window.before[1], window.slow + window.before[2])
        assert here == self.share()
        assert len(window.past) < SLOTS
        assert window.before == (tuple(map(sum, zip(*window.past, strict=True))) or (0, 0, 0))

    @invariant()
    def comes_back(self):
        """Whatever happened, waiting and enough good probes close it."""
        if self.breaker.state == "closed":
            return
        later = self.now + max(self.limits.max_open_ms, self.limits.probe_ms)
        breakers = self.breakers
        for _ in range(self.limits.probes):
            action, breakers, request = f.decide(self.policy, breakers, f.Request(later), later)
            assert action.do == "call"
            breakers, _ = f.observe(self.policy, breakers, request, "answered", later)
        assert breakers[0].state == "closed"


class RatedByCalls(Rated):
    """The same laws with a window of calls, a rate alone."""

    limits = BY_CALLS


TestByTime, TestByCalls = Rated.TestCase, RatedByCalls.TestCase
TestByTime.settings = TestByCalls.settings = settings(max_examples=30, stateful_step_count=50, deadline=None)


@settings(max_examples=200, deadline=None)
@given(calls=st.lists(st.tuples(st.floats(0, 50), st.booleans(), st.booleans()), max_size=60), least=st.integers(1, 30))
def test_a_rate_is_never_judged_on_fewer_calls_than_the_minimum(calls, least):
    rules = BreakerRules(error_rate=0.01, slow_rate=0.01, slow_ms=1, min_calls=least, window_ms=200)
    window, now, when = Window(), 0.0, []
    for wait, bad, slow in calls:
        now += wait
        when.append(now)
        window = counted(window, rules, bad, slow, now)
        in_window = sum(1 for at in when if at > now - rules.window_ms)
        assert not exceeded(window, rules) or in_window >= least
        assert window.calls + window.before[0] <= in_window + 1e-9


@pytest.mark.parametrize(
    ("given_rules", "word"),
    [
        ({"error_rate": 0.0}, "error_rate"), ({"error_rate": 1.5}, "error_rate"),
        ({"slow_rate": 0.5}, "slow_ms"), ({"slow_ms": 5}, "slow_rate"),
        ({"slow_rate": -1, "slow_ms": 5}, "slow_rate"), ({"error_rate": 0.5, "window_calls": 10}, "min_calls"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_meant_are_refused(given_rules, word):
    with pytest.raises(FormatError, match=word):
        BreakerRules(**given_rules)


def test_without_rates_a_good_call_costs_no_new_breaker():
    policy = f.Policy((f.Entry("model"),))
    breakers = f.start(policy)
    _, taken, request = f.decide(policy, breakers, f.Request(0.0), 0.0)
    after, _ = f.observe(policy, taken, request, "answered", 5.0)
    assert after is breakers
