"""Faults of ours as lines of JSON: where it happened, and what was said only where that was asked for."""

import asyncio
import json
import logging
import os

import pytest
from made_host import ROW, Serving, send

from portside.cloud.doors import error_log
from portside.cloud.doors.asgi import RefusalError
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.json_lines import JsonLines
from portside.sdk.core.errors import InputError


@pytest.fixture
def logged(request):
    """A function that installs the log and gives what was written."""
    read, write = os.pipe()
    lines, logger, filters = JsonLines(write), logging.getLogger("portside"), list(logging.getLogger("uvicorn.error").filters)
    before = (list(logger.handlers), logger.propagate)

    def written():
        lines.close()
        os.close(write)
        with os.fdopen(read) as file:
            return [json.loads(line) for line in file]

    yield lambda exceptions: error_log.install(lines, exceptions), written
    logger.handlers, logger.propagate = before
    logging.getLogger("uvicorn.error").filters = filters


@pytest.mark.parametrize("exceptions", ["frames", "full"])
def test_a_fault_is_told_by_type_and_place(logged, exceptions, monkeypatch):
    install, written = logged
    install(exceptions)
    serving = Serving()

    async def broken(question):
        raise RuntimeError("could not convert 's3cret'")

    monkeypatch.setattr(serving.engine, "answer", broken)
    assert send(HttpApp(serving), json={"row": ROW}).status_code == 500
    serving.engine.close()
    (line,) = written()
    assert line["level"] == "error" and line["logger"] == "portside.http" and line["exception"]["type"] == "RuntimeError"
    assert line["exception"]["frames"][-1].endswith(" broken")
    assert ("s3cret" in json.dumps(line)) == (exceptions == "full")


def test_strangers_do_not_fill_uvicorns_log(logged):
    logged[0]("frames")
    log = logging.getLogger("uvicorn.error")
    said = [logging.LogRecord("uvicorn.error", 30, "f", 1, text, (), None) for text in ("Invalid HTTP request received.", "other")]
    assert [bool(log.filter(record)) for record in said] == [False, True]


class Closed:
    """Refuses everybody."""

    def enter(self, scope):
        raise RefusalError(401, InputError("no"))

    def leave(self, ticket, status, seconds):
        raise AssertionError


class Opened:
    def __init__(self):
        self.left = []

    def enter(self, scope):
        return "ticket"

    def leave(self, ticket, status, seconds):
        self.left.append(status)


def test_an_application_behind_the_doors_has_the_same_guards():
    serving, sent, opened = Serving(), [], Opened()

    async def inner(scope, receive, send):
        sent.append("inner")

    async def keep(message):
        sent.append(message)

    scope = {"type": "http", "path": "/schema.json", "method": "GET", "headers": []}
    asyncio.run(HttpApp(serving, guards=(opened,)).in_front_of(inner, dict(scope), None, keep))
    assert sent == ["inner"] and opened.left == [200]
    asyncio.run(HttpApp(serving, guards=(opened, Closed())).in_front_of(inner, dict(scope), None, keep))
    assert sent[1]["status"] == 401 and opened.left == [200, 401]
    serving.engine.close()
