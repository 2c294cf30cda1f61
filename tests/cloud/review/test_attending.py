"""The thread beside a desk: deadlines pass, and a database that goes away for a while ends nothing."""

from __future__ import annotations

import time

from made_reviews import item, number

from portside.cloud.review import queue
from portside.cloud.review.attending import Attendant


def wait_for(what):
    ends = time.monotonic() + 10
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_deadlines_are_kept_without_anybody_asking(doors, queue_file):
    queue.enqueue(queue_file, [item(1, deadline_ms=int(time.time() * 1000) + 200)])
    attendant = Attendant(doors(text="[review]\ndeadline_s = 1.0\n").desk)
    attendant.start()
    wait_for(lambda: queue.status(queue_file, number(1)).state == "expired")
    attendant.close()
    assert attendant.fault == ""


def test_it_does_not_begin_where_nothing_is_reviewed_and_ends_quietly(doors, queue_file):
    queue.enqueue(queue_file, [item(1, deadline_ms=1)])
    attendant = Attendant(doors().desk)
    attendant.start()
    attendant.close()
    assert queue.status(queue_file, number(1)).state == "pending"
