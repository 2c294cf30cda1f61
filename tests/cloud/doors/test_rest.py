"""The rest between two requests: one timer, which ends a connection in time and never while it works."""

from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.doors.rest import Rest


class Loop:
    """A clock that the test moves, and timers."""

    def __init__(self):
        self.now, self.timers, self.set = 0.0, [], 0

    def time(self):
        return self.now

    def call_later(self, seconds, then):
        self.set += 1
        self.timers.append(timer := Timer(self.now + seconds, then, self.timers))
        return timer

    def until(self, moment):
        while due := [timer for timer in self.timers if timer.at <= moment]:
            first = min(due, key=lambda timer: timer.at)
            self.now = max(self.now, first.at)
            first.cancel()
            first.then()
        self.now = moment


class Timer:
    def __init__(self, at, then, timers):
        self.at, self.then, self.timers = at, then, timers

    def cancel(self):
        if self in self.timers:
            self.timers.remove(self)


@given(st.lists(st.tuples(st.floats(0, 12), st.floats(0, 3)), max_size=20))
def test_a_connection_ends_when_it_has_rested_for_so_long_and_not_before(turns):
    loop, ended = Loop(), []
    rest = Rest(loop, 5.0, lambda: ended.append(loop.now))
    for quiet, busy in turns:
        began = loop.now
        rest.begin()
        loop.until(began + quiet)
        if quiet >= 5.0:
            assert ended == [began + 5.0] or abs(ended[0] - began - 5.0) < 1e-6
            break
        assert not ended
        rest.cancel()
        loop.until(loop.now + busy)
        assert not ended
    # A timer is set anew for a rest that began after the one before it was set, so every second one is five seconds later.
    assert ended or loop.set <= 2 + 2 * loop.now / 5.0


def test_many_requests_share_a_timer_and_a_closed_connection_holds_none():
    loop, ended = Loop(), []
    rest = Rest(loop, 5.0, lambda: ended.append(1))
    for _ in range(1000):
        rest.begin()
        rest.cancel()
    assert loop.set == 1
    rest.begin()
    rest.close()
    loop.until(100.0)
    assert not loop.timers and not ended
