"""Deliveries: tried until they were taken, by whose turn it is, with the same id; receivers that fail, hang or are not there."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select
from watched import MINUTE, NAME, START, Watch, about, record, stream, write

from portside.cloud.alerts.targets import Targets, wait_s
from portside.cloud.monitoring.courier import GIVE_UP_MS, Courier
from portside.cloud.monitoring.tables import DELIVERIES
from portside.cloud.monitoring.turn import Turn

SLOW = {"slo": {"p99_ms": 20.0}, "drift": {"enabled": False}}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.got.append((self.path, dict(self.headers), body, status))
        if status == 0:
            self.server.wait.wait(60)
            status = 200
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def receiver():
    """`.got`: (path, headers, body, status); `.answers`: statuses to give, 0: too late."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.daemon_threads, server.got, server.answers, server.wait = True, [], [], threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.wait.set()
        server.shutdown()


def alarmed(database, *targets):
    """A watch whose stream has burnt its budget: one event."""
    watch = Watch(database, about(**SLOW), targets)
    write(database, [record(place, START + place * 1000, time_ms=90.0) for place in range(120)])
    told = watch.until(START + 2 * MINUTE + 6000)
    assert [event.alert.state for event in told] == ["firing"] * 3, "over an hour, six hours and three days"
    return watch, told


def owed(database):
    with database.read() as connection:
        return [row[0] for row in connection.execute(select(DELIVERIES.c.event).where(DELIVERIES.c.done_ms.is_(None)))]


def test_both_are_told_each_event_once(database, receiver):
    watch, told = alarmed(database, "webhook", "alertmanager")
    courier = Courier(watch.pipeline.turn, Targets(f"{receiver.url}/hook", receiver.url), lambda: watch.now)
    assert courier.deliver() == 6 and courier.deliver() == 0 and owed(database) == []
    hooks = [(headers, body) for path, headers, body, _ in receiver.got if path == "/hook"]
    assert [body["id"] for _, body in hooks] == [event.id for event in told]
    assert hooks[0][0]["content-type"] == "application/cloudevents+json" and hooks[0][0]["idempotency-key"] == hooks[0][1]["id"]
    posted = [body for path, _, body, _ in receiver.got if path == "/api/v2/alerts"]
    assert [body[0]["labels"]["subject"] for body in posted] == [f"p99_ms over {span}" for span in ("1h", "6h", "3d")]


def test_what_was_not_taken_is_tried_again_later_with_the_same_id(quick, receiver):
    watch, told = alarmed(quick, "webhook")
    receiver.answers[:] = [500, 404, 200, 302, 200]
    courier = Courier(watch.pipeline.turn, Targets(receiver.url), lambda: watch.now)
    assert courier.deliver() == 1 and courier.deliver() == 0 and len(receiver.got) == 3, "not before its time"
    for _ in range(12):
        watch.now += 2000
        courier.deliver()
    taken = [body["id"] for _, _, body, status in receiver.got if status == 200]
    assert owed(quick) == [] and sorted(taken) == sorted(event.id for event in told)
    assert [wait_s(attempts) for attempts in (1, 2, 3, 20)] == [1, 2, 4, 300]


def test_a_receiver_that_is_not_there_or_too_slow_holds_up_nobody(quick, receiver):
    watch, _ = alarmed(quick, "webhook")
    receiver.answers[:] = [0, 0]
    courier = Courier(watch.pipeline.turn, Targets(receiver.url, timeout_s=60), lambda: watch.now)
    courier.start()
    began = time.monotonic()
    watch.at(START + 5 * MINUTE)
    assert time.monotonic() - began < 30
    receiver.wait.set()
    courier.close()
    nobody = Courier(watch.pipeline.turn, Targets("http://127.0.0.1:9/"), lambda: watch.now + 60_000)
    assert nobody.deliver() == 0 and owed(quick)


def test_after_a_day_it_is_given_up_and_says_why(quick):
    watch, _ = alarmed(quick, "webhook")
    courier = Courier(watch.pipeline.turn, Targets("http://127.0.0.1:9/"), lambda: watch.now + GIVE_UP_MS + 1)
    courier.deliver()
    assert owed(quick) == []
    with quick.read() as connection:
        assert "cannot be reached" in connection.execute(select(DELIVERIES.c.fault)).scalars().first()


def test_whose_turn_it_is_not_tells_nobody(quick, receiver):
    watch, told = alarmed(quick, "webhook")
    other = Turn(quick, NAME, "other")
    assert other.take(watch.now + 60_000)
    assert Courier(watch.pipeline.turn, Targets(receiver.url), lambda: watch.now).deliver() == 0 and receiver.got == []
    assert Courier(other, Targets(receiver.url), lambda: watch.now).deliver() == len(told)


def test_alertmanager_is_told_again_that_an_alert_goes_on(quick, receiver):
    watch, _ = alarmed(quick, "alertmanager")
    courier = Courier(watch.pipeline.turn, Targets(alertmanager=receiver.url), lambda: watch.now)
    courier.deliver()
    receiver.got.clear()
    courier._repeat()
    courier._repeat()
    watch.now += 61_000
    courier._repeat()
    assert [len(body) for _, _, body, _ in receiver.got] == [3, 3]
    times = [[body[0][name] for _, _, body, _ in receiver.got] for name in ("endsAt", "startsAt")]
    assert [len(set(held)) for held in times] == [2, 1]


def test_nobody_to_tell_owes_nothing(quick):
    watch = Watch(quick, about(**SLOW))
    write(quick, [*stream(0), *(record(place, START + place * 1000, time_ms=90.0) for place in range(120))])
    assert watch.until(START + 3 * MINUTE) and owed(quick) == []
