"""When the watchdog is fed: the rule as a table, and the pulse with a clock of the test's."""

from __future__ import annotations

import pytest

from portside.edge.watchdog import Patience, Pulse, Vitals, judge

PATIENCE = Patience(turn_s=10.0, wedged_s=30.0)


@pytest.mark.parametrize(
    ("vitals", "alive", "why"),
    [
        (Vitals(), True, ""),
        (Vitals({"doors": 10.0}), True, ""),
        (Vitals({"doors": 10.1}), False, "'doors' has not turned for 10 s"),
        (Vitals({"doors": 1.0, "worker": 99.0}), False, "'worker'"),
        (Vitals(oldest_s=30.0, running=1), True, ""),
        (Vitals(oldest_s=31.0, running=1), False, "none has ended"),
        (Vitals(oldest_s=31.0, ended_s=30.5, running=2), False, "none has ended"),
        (Vitals(oldest_s=31.0, ended_s=2.0, running=2), True, "in the making for 31 s"),
        (Vitals({"doors": 11.0}, oldest_s=31.0, ended_s=2.0), False, "turned"),
    ],
)
def test_the_rule(vitals, alive, why):
    verdict = judge(vitals, PATIENCE)
    assert verdict.alive is alive and why in verdict.why and bool(verdict.why) == bool(why)


def test_the_pulse():
    now = [100.0]
    pulse = Pulse(lambda: now[0])
    assert pulse.vitals() == Vitals()
    pulse.turn("doors")
    with pulse.answering():
        now[0] = 104.0
        with pytest.raises(ZeroDivisionError), pulse.answering():
            now[0] = 105.0
            assert pulse.vitals() == Vitals({"doors": 5.0}, 5.0, None, 2)
            raise ZeroDivisionError
        now[0] = 107.0
        assert pulse.vitals() == Vitals({"doors": 7.0}, 7.0, 2.0, 1)
    pulse.rest("doors")
    assert pulse.vitals() == Vitals({}, None, 0.0, 0)
    assert not judge(Vitals({"doors": 7.0}), Patience(turn_s=5.0)).alive
