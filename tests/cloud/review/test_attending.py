"""The thread beside a desk: deadlines pass, and a database that goes away for a while ends nothing."""

from __future__ import annotations

import time

import made_desk
from made_reviews import item, number

from portside.cloud.desk.opening import attended, desk_of
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


def test_deadlines_pass_without_a_desk(tmp_path, queue_file):
    queue.enqueue(queue_file, [item(1, deadline_ms=1), item(2, deadline_ms=1, deployment="others")])
    held = made_desk.deployments(tmp_path, text='[server]\ndesk = false\n[review]\ndeadline_s = 1.0\non_expiry = "none"\n')
    (there,) = attended(held, desk_of(held))
    attendant = Attendant(there)
    attendant.start()
    wait_for(lambda: queue.status(queue_file, number(1)).state == "expired")
    attendant.close()
    told = queue.status(queue_file, number(1))
    assert (told.answer, told.by, queue.status(queue_file, number(2)).state) == (None, None, "pending")
    there.close()


def test_each_database_that_reviews_are_written_to_is_attended_once(tmp_path):
    review = "[review]\ndeadline_s = 1.0\n"
    one, two = made_desk.deployments(tmp_path, "one", "two", text=review)
    (three,) = made_desk.deployments(tmp_path, "three", text='[records]\npath = "other.sqlite"\n' + review)
    (plain,) = made_desk.deployments(tmp_path, "plain", text='[records]\npath = "plain.sqlite"\n')
    (off,) = made_desk.deployments(tmp_path, "off", text="[records]\nenabled = false\n" + review)
    every = [one, two, three, plain, off]
    desk = desk_of(every)
    assert [held.names for held in attended(every, desk)] == [("one", "two"), ("three",)] and attended(every, desk)[0] is desk
    assert [held.names for held in attended(every, None)] == [("one", "two"), ("three",)]
    assert attended([plain, off], None) == []


def test_it_does_not_begin_where_nothing_is_reviewed_and_ends_quietly(doors, queue_file):
    queue.enqueue(queue_file, [item(1, deadline_ms=1)])
    attendant = Attendant(doors().desk)
    attendant.start()
    attendant.close()
    assert queue.status(queue_file, number(1)).state == "pending"
