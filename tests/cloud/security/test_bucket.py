"""Token buckets: never more than the rate and a burst, never less; and a clock that goes back gives nothing."""

from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.security.bucket import Bucket, charge, filled, take

STEPS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 5)), max_size=60)


@given(st.floats(0.1, 100), st.floats(1, 50), STEPS)
def test_never_more_than_a_burst_and_the_rate(per_s, most, steps):
    bucket, now, taken = Bucket(most, 0.0), 0.0, 0.0
    for wait, tokens in steps:
        now += wait
        bucket, wait_s = take(per_s, most, bucket, now, tokens)
        if not wait_s:
            taken += tokens
        assert taken <= most + per_s * now + 1e-6
        assert -1e-9 <= bucket.level <= most


@given(st.floats(0.1, 100), st.floats(1, 50), st.floats(0, 10), st.floats(0, 1))
def test_who_waits_as_told_gets_it(per_s, most, level, share):
    bucket, tokens = Bucket(min(level, most), 0.0), most * share
    after, wait_s = take(per_s, most, bucket, 0.0, tokens)
    if wait_s:
        assert after == bucket
        _, again = take(per_s, most, after, wait_s * 1.0001 + 1e-6, tokens)
        assert again == 0.0


@given(st.floats(0.1, 10), st.floats(1, 10), st.floats(-100, 100))
def test_a_clock_that_goes_back_fills_nothing(per_s, most, now):
    bucket = Bucket(0.5, 50.0)
    if now <= 50.0:
        assert filled(per_s, most, bucket, now) == 0.5
        assert take(per_s, most, bucket, now, 0.25)[0].at == 50.0


def test_debt_is_paid_before_anything_else():
    bucket = charge(10.0, 20.0, Bucket(20.0, 0.0), 0.0, 70.0)
    assert bucket.level == -50.0
    assert take(10.0, 20.0, bucket, 1.0)[1] == 4.1
