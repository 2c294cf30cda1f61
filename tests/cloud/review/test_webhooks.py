"""Webhooks against a real server: what arrives, signed how, tried again when, and what is never sent."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from made_reviews import NOW, item, number

from portside.cloud.deployment.review import Review
from portside.cloud.review import queue
from portside.cloud.review.webhooks import GIVE_UP_MS, KEEP_MS, LONGEST_MS, send_due, tidy


@pytest.fixture
def receiver():
    """A server that keeps what it is sent and answers as `.answers` say, then 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.server.taken.append((self.path, dict(self.headers.items()), body))
            status = self.server.answers.pop(0) if self.server.answers else 200
            self.send_response(status)
            if status == 302:
                self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.taken, server.answers = [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client():
    with httpx.Client() as one:
        yield one


def settings(receiver, **more):
    return {"cells": Review(webhook=f"http://127.0.0.1:{receiver.server_port}/hook", **more)}


def decided(database, **more):
    queue.enqueue(database, [item(1)])
    return queue.decide(database, number(1), "ana", {"label": 1}, NOW, **more)


def test_a_decision_is_told_once_as_a_signed_event(database, receiver, client, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    decided(database)
    held = settings(receiver, webhook_secret_env="HOOK_SECRET")  # noqa: S106  the name of a variable
    assert send_due(database, held, client, NOW).taken == 1 and send_due(database, held, client, NOW + 99_999).taken == 0
    ((path, headers, body),) = receiver.taken
    named, event = {key.lower(): value for key, value in headers.items()}, json.loads(body)
    assert path == "/hook" and named["content-type"] == "application/cloudevents+json"
    assert named["x-portside-signature"] == "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert (event["specversion"], event["type"]) == ("1.0", "portside.review.decided")
    assert (event["subject"], event["source"]) == (number(1), "/portside/cells")
    assert event["data"]["answer"] == {"label": 1} and event["data"]["by"] == "ana" and event["data"]["record"] == number(1, 2)


def test_what_was_not_taken_is_tried_again_later_and_later(queue_file, receiver, client):
    decided(queue_file)
    receiver.answers += [503, 302, 500]
    outcomes = {moment: send_due(queue_file, settings(receiver), client, NOW + moment) for moment in range(0, 20_000, 500)}
    tried = [(moment, sent.taken) for moment, sent in outcomes.items() if sent.taken or sent.failed]
    assert tried == [(0, 0), (1000, 0), (3000, 0), (7000, 1)]
    assert {path for path, _, _ in receiver.taken} == {"/hook"}  # nobody is sent elsewhere by the answer
    assert len({json.loads(body)["id"] for _, _, body in receiver.taken}) == 1  # by which a receiver knows it


def test_a_receiver_that_is_away_costs_nothing_but_time(queue_file, receiver, client):
    decided(queue_file)
    away = {"cells": Review(webhook="http://127.0.0.1:9/hook")}
    assert send_due(queue_file, away, client, NOW).failed == 1
    assert send_due(queue_file, settings(receiver), client, NOW + 5000).taken == 1


def test_an_undo_in_time_is_silent_and_one_that_is_late_is_told(queue_file, receiver, client):
    decided(queue_file, tell_in_ms=5000)
    assert send_due(queue_file, settings(receiver), client, NOW + 4999).taken == 0
    queue.undo(queue_file, number(1), "ana", NOW + 4999)
    assert send_due(queue_file, settings(receiver), client, NOW + 60_000).taken == 0
    queue.decide(queue_file, number(1), "ana", {"label": 0}, NOW + 60_000)
    send_due(queue_file, settings(receiver), client, NOW + 60_001)
    queue.undo(queue_file, number(1), "ana", NOW + 60_002)
    send_due(queue_file, settings(receiver), client, NOW + 60_003)
    assert [json.loads(body)["type"] for _, _, body in receiver.taken] == ["portside.review.decided", "portside.review.undone"]


def test_deadlines_are_told(queue_file, receiver, client):
    queue.enqueue(queue_file, [item(1, deadline_ms=NOW)])
    queue.expire(queue_file, NOW)
    send_due(queue_file, settings(receiver), client, NOW)
    assert json.loads(receiver.taken[0][2])["data"]["by"] == "model"


def test_a_secret_that_is_not_there_sends_nothing_unsigned(queue_file, receiver, client):
    decided(queue_file)
    assert send_due(queue_file, settings(receiver, webhook_secret_env="NOT_THERE"), client, NOW).failed == 1 and not receiver.taken  # noqa: S106


def test_notices_of_other_deployments_are_left_and_old_ones_go(queue_file, receiver, client):
    decided(queue_file)
    assert send_due(queue_file, {"others": Review()}, client, NOW) == send_due(queue_file, {}, client, NOW)
    assert send_due(queue_file, {"cells": Review()}, client, NOW).taken == 1 and not receiver.taken  # nobody asked to be told
    assert tidy(queue_file, NOW + KEEP_MS + 1) == 0


def test_what_nobody_takes_for_two_days_is_given_up(queue_file, receiver, client, caplog):
    decided(queue_file)
    receiver.answers += [500] * 99
    for moment in range(NOW, NOW + GIVE_UP_MS + LONGEST_MS, 6 * LONGEST_MS):
        send_due(queue_file, settings(receiver), client, moment)
    assert tidy(queue_file, NOW + GIVE_UP_MS - 1) == 0 and tidy(queue_file, NOW + GIVE_UP_MS + LONGEST_MS) == 1
    assert "not told" in caplog.text
