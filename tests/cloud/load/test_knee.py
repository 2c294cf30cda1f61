"""The search for the knee finds the capacity of a made-up server, ends, and never calls a rate held that cannot be told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.load.arrivals import schedule
from portside.cloud.load.knee import PRECISION, Aim, found, next_rate
from portside.cloud.load.tally import Step
from portside.sdk.core.errors import InputError

AIM = Aim(0.99, 200.0)


def step(rate, within, sent=2000, late=0.0, forgiven=None):
    return Step(rate, 10.0, sent, sent, within, within if forgiven is None else forgiven, rate, late_p99_ms=late, late_max_ms=late)


def searched(capacity, first=50.0, most=60):
    steps = []
    while (rate := next_rate(steps, AIM, first)) is not None:
        steps.append(step(rate, 2000 if rate <= capacity else 1000))
        assert len(steps) < most
    return steps


@given(st.floats(2, 1e6), st.floats(1, 1e4))
def test_the_knee_is_the_capacity(capacity, first):
    steps = searched(capacity, first)
    held = found(steps, AIM)
    assert held.knee <= capacity < held.missed and held.missed / held.knee <= PRECISION
    assert held.sentence.startswith("99% within 200 ms up to ")


def test_a_server_that_holds_nothing():
    held = found(searched(0.1), AIM)
    assert held.knee is None and held.verdict == "missed" and "not even" in held.sentence


@given(st.integers(0, 5000), st.integers(1, 5000), st.floats(0, 1000), st.integers(0, 5000))
def test_verdicts_need_rows_and_a_generator_that_kept_time(within, sent, late, more):
    within = min(within, sent)
    held = AIM.judge(step(100.0, within, sent, late, min(within + more, sent)))
    if held == "held":
        assert within / sent >= 0.99 and sent >= 299
    if held == "missed":
        assert within / sent < 0.99 and (late <= 20 or min(within + more, sent) / sent < 0.99)
    if held == "generator late":
        assert late > 20


def test_few_requests_say_nothing():
    assert found([step(50.0, 100, 100)], AIM).verdict == "not enough data"
    assert found([], AIM).verdict == "not enough data"
    assert AIM.seconds(50, 3) == pytest.approx(10) and AIM.seconds(1000, 3) == 3


def test_a_late_generator_is_no_verdict_unless_its_lateness_explains_nothing():
    late = found([step(100.0, 2000), step(200.0, 1000, late=50.0, forgiven=2000)], AIM)
    assert (late.knee, late.missed) == (100.0, None) and "the generator itself was late" in late.sentence
    assert found([step(100.0, 2000), step(200.0, 1000, late=50.0)], AIM).missed == 200.0
    assert AIM.judge(step(100.0, 2000, late=50.0)) == "held", "late, and yet all in time"


def test_a_rate_above_one_that_was_missed_is_not_the_knee():
    held = found([step(100.0, 2000), step(200.0, 1000), step(400.0, 2000)], AIM)
    assert (held.knee, held.missed) == (100.0, 200.0)


@given(st.floats(1, 2000), st.floats(0.1, 5), st.sampled_from(["poisson", "constant"]), st.integers(0, 9))
def test_schedules_are_what_was_asked(rate, seconds, arrivals, seed):
    times = schedule(rate, seconds, arrivals, seed)
    assert (np.diff(times) >= 0).all() and (times >= 0).all() and (times < max(seconds, 1 / rate)).all()
    spread = 6 * (rate * seconds) ** 0.5 + 10 if arrivals == "poisson" else 1
    assert abs(len(times) - rate * seconds) <= spread
    assert (times == schedule(rate, seconds, arrivals, seed)).all()


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-1, 1), (1, 0), (float("nan"), 1), (1e9, 1)])
def test_rates_that_cannot_be(rate, seconds):
    with pytest.raises(InputError):
        schedule(rate, seconds)
