"""Guards before the doors, and the table of routes: order, tickets, refusals, ends; and no guard at all."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_host import ROW, Serving, send

from portside.cloud.doors.asgi import LEFT, MORE, RefusalError, Reply
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.routes import Routes
from portside.sdk.core.errors import InputError


class Noting:
    """Writes down what it is told; refuses where it is asked to."""

    def __init__(self, name, book, refuses=False):
        self.name, self.book, self.refuses = name, book, refuses

    def enter(self, scope):
        self.book.append(("enter", self.name, scope["path"]))
        if self.refuses:
            raise RefusalError(429, InputError("Not now", field="rate"), [(b"retry-after", b"7")])
        scope.setdefault(MORE, []).append((b"x-passed", self.name.encode()))
        return self.name + "!"

    def leave(self, ticket, status, seconds):
        assert ticket == self.name + "!" and seconds >= 0
        self.book.append(("leave", self.name, status))


@pytest.fixture
def serving():
    made = Serving()
    yield made
    made.engine.close()


def test_guards_are_entered_in_order_and_left_in_the_opposite_one_with_the_status(serving):
    book = []
    app = HttpApp(serving, guards=(Noting("a", book), Noting("b", book)))
    answer = send(app, json={"row": ROW})
    assert answer.status_code == 200 and answer.headers.get_list("x-passed") == ["a", "b"]
    assert book == [("enter", "a", "/predict"), ("enter", "b", "/predict"), ("leave", "b", 200), ("leave", "a", 200)]
    book.clear()
    assert send(app, json={"row": {}}).status_code == 422
    assert [what[2] for what in book[2:]] == [422, 422]


def test_a_guard_refuses_before_the_body_is_read(serving):
    book = []
    app = HttpApp(serving, guards=(Noting("a", book), Noting("b", book, refuses=True), Noting("c", book)))
    sent = []

    async def receive():
        raise AssertionError("the body was asked for")

    async def keep(message):
        sent.append(message)

    asyncio.run(app({"type": "http", "path": "/predict", "method": "POST", "headers": []}, receive, keep))
    assert sent[0]["status"] == 429 and (b"retry-after", b"7") in sent[0]["headers"]
    assert json.loads(sent[1]["body"])["field"] == "rate"
    assert book == [("enter", "a", "/predict"), ("enter", "b", "/predict"), ("leave", "a", 429)]
    assert 'portside_refused_total{status="429"} 1' in serving.engine.metrics.text()


def test_guards_are_told_that_the_client_left_or_that_the_connection_broke(serving):
    book = []
    app = HttpApp(serving, guards=(Noting("a", book),))

    async def receive():
        return {"type": "http.disconnect"}

    async def broken(_):
        raise OSError("gone")

    scope = {"type": "http", "path": "/predict", "method": "POST", "headers": []}
    asyncio.run(app(dict(scope), receive, broken))
    assert book[-1] == ("leave", "a", LEFT)
    with pytest.raises(OSError, match="gone"):
        asyncio.run(app(dict(scope, path="/nope"), receive, broken))
    assert book[-1] == ("leave", "a", 404)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=6))
def test_every_guard_that_let_a_request_in_is_told_its_end_once(refusing):
    book, serving = [], Serving()
    try:
        guards = tuple(Noting(str(place), book, refuses) for place, refuses in enumerate(refusing))
        send(HttpApp(serving, guards=guards), json={"row": ROW})
    finally:
        serving.engine.close()
    first = refusing.index(True) if True in refusing else len(refusing)
    assert [name for what, name, _ in book if what == "leave"] == [str(place) for place in reversed(range(first))]


async def _other(_):
    return Reply(200, b"other")


def test_routes_grow_by_path_and_by_folder(serving):
    app = HttpApp(serving)
    app.routes.exact["/x"] = {"GET": _other}
    app.routes.folders["/x/models/"] = lambda path: {"POST": _other} if path.endswith("/m/infer") else None
    assert send(app, "GET", "/x").content == send(app, "POST", "/x/models/m/infer").content == b"other"
    assert send(app, "GET", "/x/models/m/infer").status_code == 405
    missing = send(app, "GET", "/x/models/n")
    assert missing.status_code == 404 and "/x/models/..." in missing.json()["expected"]


def test_head_is_answered_where_get_is():
    routes = Routes({"/a": {"GET": _other}, "/b": {"POST": _other}})
    assert routes.find({"path": "/a", "method": "HEAD"}) is _other
    with pytest.raises(RefusalError) as refused:
        routes.find({"path": "/b", "method": "HEAD"})
    assert refused.value.status == 405 and refused.value.headers == [(b"allow", b"POST")]
