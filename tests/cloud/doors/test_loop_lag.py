"""A loop that something blocks: how late it is, who is let in meanwhile, and that everybody is afterwards."""

import asyncio
import time

import pytest
from test_admission import scope

from portside.cloud.answering.lateness import UNLIMITED
from portside.cloud.deployment.server import Admission as Section
from portside.cloud.doors.admission import Admission
from portside.cloud.doors.asgi import RefusalError
from portside.cloud.doors.loop_lag import EVERY_S, LoopLag


def arrivals(admission, count):
    """So many requests that are over at once, as those to an inline model are; how many were let in."""
    inside = 0
    for _ in range(count):
        try:
            admission.leave(admission.enter(scope(1)), 200, 0.0)
            inside += 1
        except RefusalError as refused:
            assert refused.status == 429 and (b"retry-after", b"1") in list(refused.headers) and "late" in str(refused.error)
    return inside


def test_a_blocking_callable_makes_the_loop_late_and_fewer_are_let_in_until_it_ends():
    lag = LoopLag(0.02)
    admission = Admission(1000, 1 << 20, 1, lag)

    async def serve():
        assert arrivals(admission, 64) == 64, "nothing is late yet"
        inside = []
        for _ in range(6):
            time.sleep(EVERY_S + 0.06)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside.append(arrivals(admission, 64))
        assert inside[0] == 64 and inside[-1] <= 8 and inside == sorted(inside, reverse=True), inside
        lag._limit_s, ends = 10.0, time.monotonic() + 30  # this machine may be late of itself
        while lag.most < UNLIMITED and time.monotonic() < ends:
            await asyncio.sleep(EVERY_S)
        return arrivals(admission, 64)

    assert asyncio.run(serve()) == 64 and admission.refused == 0
    page = "\n".join(admission.page())
    assert f"portside_turned_away_late_total {lag.refused}" in page and lag.refused > 100
    late = int(page.split('portside_loop_lag_seconds_bucket{le="0.025"} ')[1].split("\n")[0])
    assert int(page.split("portside_loop_lag_seconds_count ")[1].split("\n")[0]) - late >= 6


def test_what_admission_refuses_is_not_counted_as_let_in():
    lag = LoopLag()
    admission = Admission(1, 1 << 20, 1, lag)
    assert admission.enter(scope(1)) == 1
    with pytest.raises(RefusalError):
        admission.enter(scope(1))
    assert (lag.let_in, lag.refused, admission.refused) == (1, 0, 1)


def test_a_server_watches_its_loop_unless_told_otherwise():
    assert Section().max_lag_ms == 500
