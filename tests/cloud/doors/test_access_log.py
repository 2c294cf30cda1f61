"""Request ids, access lines and the writer of lines: what is echoed, what is written, what never is, and that nobody waits."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_host import ROW, Serving, send

from portside.cloud.doors.access_log import AccessLog
from portside.cloud.doors.asgi import WHO, Reply
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.json_lines import JsonLines
from portside.cloud.doors.request_id import RequestIds


@pytest.fixture
def serving():
    made = Serving()
    yield made
    made.engine.close()


@pytest.fixture
def lines():
    """(writer, a function that gives the lines written so far)"""
    read, write = os.pipe()
    writer = JsonLines(write)

    def written():
        writer.close()
        os.set_blocking(read, False)
        text = b""
        while True:
            try:
                text += os.read(read, 1 << 20)
            except BlockingIOError:
                return [json.loads(line) for line in text.splitlines()]

    yield writer, written
    os.close(read)
    os.close(write)


def test_an_id_is_echoed_or_made_on_answers_and_refusals(serving):
    app = HttpApp(serving)
    assert send(app, json={"row": ROW}, headers={"x-request-id": "abc-1.2"}).headers["x-request-id"] == "abc-1.2"
    made = {send(app, json={"row": row}).headers["x-request-id"] for row in (ROW, {}, ROW)}
    assert len(made) == 3 and all(len(one) > 16 for one in made)
    assert send(app, json={"row": ROW}, headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


@given(st.binary(max_size=200))
def test_an_id_never_holds_what_could_break_a_header_or_a_line(said):
    given_id = RequestIds().of({b"x-request-id": said})
    assert given_id.isascii() and 0 < len(given_id) <= 128
    assert not set(given_id) & set(b"\r\n\0\"' \t\\")


def test_a_line_tells_who_what_and_how_and_nothing_of_the_content(serving, lines):
    writer, written = lines
    app = HttpApp(serving, access=AccessLog(writer, "all"))
    secret = {"authorization": "Bearer s3cret", "x-request-id": "r1"}
    send(app, json={"row": {**ROW, "entity_s3cret": 1}}, headers=secret, path="/predict?token=s3cret")
    send(app, json={"row": ROW})
    send(app, "GET", "/livez")
    refused, answered, alive = written()
    assert refused["id"] == "r1" and refused["status"] == 422 and refused["error"] == "InputError" and refused["level"] == "warning"
    assert answered["method"] == "POST" and answered["path"] == "/predict" and answered["status"] == 200 and answered["bytes"] > 50
    assert alive["path"] == "/livez" and alive["ms"] >= 0 and abs(alive["time"] - time.time()) < 600
    assert "s3cret" not in json.dumps([refused, answered, alive])


@pytest.mark.parametrize(("access", "expected"), [("off", [422]), ("errors", [422]), ("all", [200, 422]), ("sampled", [200, 422])])
def test_which_requests_are_written(serving, lines, access, expected):
    writer, written = lines
    app = HttpApp(serving, access=AccessLog(writer, access, sample=1.0))
    send(app, json={"row": ROW})
    send(app, json={"row": {}})
    assert [line["status"] for line in written()] == expected


def test_a_probe_that_hears_not_yet_is_no_error(serving, lines):
    log = AccessLog(lines[0], "errors")
    for path, status in (("/readyz", 503), ("/v2/health/ready", 503), ("/readyz", 404), ("/predict", 503)):
        log.note({"method": "GET", "path": path, "headers": []}, b"1", Reply(status, b""), 0.0)
    assert [(line["path"], line["status"]) for line in lines[1]()] == [("/readyz", 404), ("/predict", 503)]


def test_the_name_of_the_key_is_written(lines):
    writer, written = lines
    scope = {"method": "GET", "path": "/x", WHO: "ana", "client": ("10.0.0.7", 1)}
    AccessLog(writer, "errors").note(scope, b"1", None, 0.5)
    (line,) = written()
    assert (line["key"], line["client"], line["status"], line["ms"]) == ("ana", "10.0.0.7", 499, 500.0)


def test_a_full_pipe_stops_nobody_and_what_is_lost_is_counted():
    read, write = os.pipe()
    writer = JsonLines(write, queue=100)
    started = time.monotonic()
    for number in range(5000):
        writer.put(number, lambda entry: {"n": entry, "pad": "x" * 200})
    assert time.monotonic() - started < 20 and writer.lost > 0
    text = b""
    while b'"lost_lines"' not in text:  # the reader comes back: writing goes on, and says what is missing
        text += os.read(read, 1 << 16)
        writer.put(-1, lambda entry: {"n": entry})
    writer.close(0)
    os.close(read)


def test_a_closed_stderr_stops_nobody():
    read, write = os.pipe()
    os.close(read)
    writer = JsonLines(write)
    writer.put(1, lambda entry: {"n": entry})
    writer.close(5)
    assert writer.lost == 1
    os.close(write)


HERE = "127.0.0.1"
PEERS = [(HERE, b"1.2.3.4, 10.0.0.9", "10.0.0.9"), (HERE, b"nonsense\r\n", HERE), (HERE, b"", HERE),
         ("192.0.2.1", b"10.0.0.9", "192.0.2.1"), ("::1", b"2001:db8::7", "2001:db8::7")]  # fmt: skip


@pytest.mark.parametrize(("peer", "said", "shown"), PEERS)
def test_a_proxy_on_this_machine_says_who_asked_and_nobody_else_does(lines, peer, said, shown):
    writer, written = lines
    scope = {"method": "GET", "path": "/x", "client": (peer, 1), "headers": [(b"x-forwarded-for", said)]}
    AccessLog(writer, "errors").note(scope, b"1", None, 0.5)
    assert [line["client"] for line in written()] == [shown]
