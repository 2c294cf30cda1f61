"""The shorter way of plain requests beside uvicorn's: the same bytes in the same pieces, the same answers and the same state after each."""

import asyncio
import logging
from itertools import accumulate, pairwise

import pytest
from bytes_in import BODY, MAX_BODY, Wired, post, run
from hypothesis import given, settings
from hypothesis import strategies as st

from portside.cloud.doors import heads
from portside.cloud.doors.asgi import Reply
from portside.cloud.doors.exchange import Exchange
from portside.cloud.doors.heads import Heads, plain

KNOWN = [post(), post(b'{"row": {"x": [3, 4]}}'), post(path="/v2/models/m/infer"), post(path="/predict/m?a=b"), post(path="/api/predict")]
ODD = [
    post(b"{"), post(b""), post(b'{"row": {}}'), post(b"x" * (MAX_BODY + 1)), post(path="/nope"), post(path="/%70redict"),
    post(version=b"1.0"), post(path="/predict/nobody"), post(more=b"expect: 100-continue\r\n"), post(more=b"connection: close\r\n"),
    post(more=b"connection: keep-alive\r\n"), post(more=b"Connection: Keep-Alive\r\n"), post(more=b"content-length: 1\r\n"),
    post(more=b"connection: upgrade\r\nupgrade: websocket\r\n"), post(more=b"x-request-id: mine\r\n"), post(more=b"x-request-id: a b\r\n"),
    post(more=b"content-type: text/plain\r\n"), post(more=b"a: " + b"b" * 2500 + b"\r\n"), post(more=b"x-portside-receipt: none\r\n"),
    post().replace(b"\r\n", b"\n"), post().replace(b"POST", b"post"), post().replace(b"POST", b"PUT"), b"\r\n" + post(), b"\r\n", b"\n",
    post().replace(b"content-length: %d" % len(BODY), b"content-length: 0%d" % len(BODY)), b"\0\1\2", b"POST ", b"GET / HTTP/1.1\r\n",
    post().replace(b"content-length: %d" % len(BODY), b"transfer-encoding: chunked").replace(BODY, b"16\r\n%b\r\n0\r\n\r\n" % BODY),
    post(more=b"transfer-encoding: chunked\r\n"), b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    post(path="/refuse", body=b"x" * 200 + post() + post()), b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n", b"xyz",
]  # fmt: skip
REQUESTS = st.lists(st.one_of(st.sampled_from(KNOWN), st.sampled_from(KNOWN + ODD)), min_size=1, max_size=7)


@settings(max_examples=100, deadline=None)
@given(REQUESTS, st.data())
def test_both_ways_answer_the_same_bytes_alike(requests, data):
    """Cut between requests and anywhere inside of them, with or without time for an answer between two pieces."""
    stream, ends = b"".join(requests), list(accumulate(map(len, requests)))
    between = data.draw(st.lists(st.booleans(), min_size=len(ends), max_size=len(ends)), label="cut behind it")
    inside = data.draw(st.sets(st.integers(0, len(stream)), max_size=3), label="cut here")
    cuts = sorted(inside | {end for end, cut in zip(ends, between, strict=True) if cut})
    pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    pauses = data.draw(st.lists(st.integers(0, 14), min_size=len(pieces), max_size=len(pieces)), label="turns of the loop")

    async def test():
        ways = Wired(lean=True), Wired(lean=False)
        for piece, turns in zip(pieces, pauses, strict=True):
            for way in ways:
                if piece:
                    way.feed(piece)
            if turns > 11:
                mine, theirs = [(await way.settled(), way.state_of_it)[1] for way in ways]
                assert mine == theirs
            else:
                await ways[0].settled(turns)
        mine, theirs = [(await way.settled(40), way.state_of_it)[1] for way in ways]
        assert mine == theirs

    run(test)


def test_a_plain_request_goes_the_shorter_way_and_the_second_time_the_parser_is_not_asked():
    async def test():
        wired = Wired()
        for count in (1, 2, 3):
            wired.feed(post())
            assert isinstance(wired.connection.cycle, Exchange) and wired.connection.begun is False
            said = await wired.settled()
            assert said.count(b"HTTP/1.1 200 OK") == said.count(b'{"outputs":{"y":[2.0,4.0]}}') == count
            wired.connection.on_url = None  # the parser would call it
        assert wired.state.total_requests == 3 and not wired.state.tasks

    run(test)


def test_a_head_that_is_known_is_known_to_all_connections_and_no_other_head_is():
    async def test():
        first = Wired()
        first.feed(post())
        await first.settled()
        heads = type(first.connection).heads
        assert heads.find(post()[: -len(BODY)]).size == len(BODY)
        assert not [said for cut in range(len(post())) if (said := post()[:cut]) != post()[: -len(BODY)] and heads.find(said)]

    run(test)


@pytest.mark.parametrize("rest", [b"", b"x" * 200])
def test_what_looks_like_a_request_inside_of_a_refused_body_is_none(rest):
    """The request is refused before its body has come; the body ends in a request that is known."""

    async def test():
        wired = Wired()
        wired.feed(post())
        await wired.settled()
        wired.feed(b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (len(rest) + len(post())))
        assert (await wired.settled()).count(b"HTTP/1.1 404") == 1
        wired.feed(rest)
        wired.feed(post())
        await wired.settled()
        assert wired.said.count(b"HTTP/1.1") == 2
        wired.feed(post())
        assert (await wired.settled()).count(b"HTTP/1.1 200") == 2

    run(test)


def test_a_head_that_began_during_an_answer_is_finished_by_the_parser():
    async def test():
        wired = Wired()
        wired.feed(post())
        await wired.settled()
        wired.feed(post() + b"POST /nope HTTP/1.1\r\na: ")
        await wired.settled()
        wired.feed(post())  # its first line is the value of that header
        said = await wired.settled()
        assert said.count(b"HTTP/1.1 200") == 2 and said.count(b"HTTP/1.1 404") == 1

    run(test)


def test_a_second_head_whose_body_is_as_long_as_all_that_came_behind_the_first_one_is_not_whole():
    async def test():
        ways = Wired(lean=True), Wired(lean=False)
        for way in ways:
            body = BODY + b" " * (87 - len(BODY))
            second = post(body)[: -len(body)]
            assert len(second) == 87
            way.feed(post(b"", path="/nope") + second)
            await way.settled()
            assert way.admission.inflight == 1, "the guards have not seen it before its body"
            way.feed(body)
        mine, theirs = [(await way.settled(), way.state_of_it)[1] for way in ways]
        assert mine == theirs and mine[0].count(b"HTTP/1.1 404") == mine[0].count(b"HTTP/1.1 200") == 1

    run(test)


def test_a_shutdown_during_an_answer_closes_the_connection_with_it():
    async def test():
        wired = Wired(isolation=1)
        for _ in range(2):
            wired.feed(post())
            if wired.state.total_requests:
                wired.connection.shutdown()
            while wired.state.tasks:
                await asyncio.sleep(0.001)
        assert wired.said.count(b"connection: close") == 1 and wired.transport.closed

    run(test)


def test_nothing_is_written_to_a_caller_who_left_and_the_guards_are_left():
    async def test():
        wired = Wired(isolation=1)
        wired.feed(post())
        await asyncio.sleep(0)
        assert wired.admission.inflight == 1
        wired.connection.connection_lost(None)
        while wired.state.tasks:
            await asyncio.sleep(0.001)
        assert wired.transport.written == b"" and wired.admission.inflight == 0

    run(test)


def test_an_answer_that_waits_for_nothing_has_no_task_and_one_that_does_is_waited_for_by_a_shutdown():
    async def test():
        wired = Wired()
        for known in (False, True):
            wired.feed(post())
            assert len(wired.state.tasks) == (0 if known else 1)
            assert (await wired.settled()).count(b"HTTP/1.1 200") == 1 + known and not wired.state.tasks
        wired.connection.pause_writing()
        wired.feed(post())
        assert (await wired.settled()).count(b"HTTP/1.1 200") == 2 and len(wired.state.tasks) == 1 and wired.admission.inflight == 1
        wired.connection.resume_writing()
        assert (await wired.settled()).count(b"HTTP/1.1 200") == 3 and not wired.state.tasks and wired.admission.inflight == 0

    run(test)


def test_a_model_that_does_not_run_inline_is_asked_by_a_task_from_the_start():
    async def test():
        wired = Wired(isolation=1)
        for _ in range(2):
            wired.feed(post())
            assert len(wired.state.tasks) == 1 and wired.admission.inflight == 0, "it has not begun"
            while wired.state.tasks:
                await asyncio.sleep(0.001)

    run(test)


def test_an_answer_waits_while_nothing_is_read():
    async def parts(_):
        return Reply(200, b"head ", more=(b"a" * 100_000, b"b" * 10))

    async def test():
        wired = Wired()
        wired.app.routes.exact["/predict"] = {"POST": parts}
        wired.connection.pause_writing()
        wired.feed(post())
        assert await wired.settled() == b"" and wired.connection.phase == "reading"
        wired.connection.resume_writing()
        head, body = (await wired.settled()).split(b"\r\n\r\n", 1)
        assert body == b"head " + b"a" * 100_000 + b"b" * 10 and b"content-length: 100015" in head and wired.connection.phase == "idle"

    run(test)


@pytest.mark.parametrize("kind", ["raises", "splits"])
def test_what_goes_wrong_inside_is_a_500_and_in_the_log(kind, caplog):
    async def broken(_):
        if kind == "raises":
            raise KeyboardInterrupt
        return Reply(200, b"", headers=[(b"a", b"b\r\nc: d")])

    async def test():
        wired = Wired()
        wired.app.routes.exact["/predict"] = {"POST": broken}
        wired.feed(post())
        return await wired.settled(), wired.transport.closed, wired.admission.inflight

    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        said, closed, inflight = run(test)
    assert said.startswith(b"HTTP/1.1 500 ") and said.count(b"HTTP/1.1") == 1 and closed and inflight == 0 and caplog.records


def test_while_the_server_drains_every_request_comes_to_the_application():
    async def test():
        wired = Wired()
        wired.feed(post())
        await wired.settled()
        wired.app.direct = False
        wired.feed(post())
        assert not isinstance(wired.connection.cycle, Exchange)
        assert (await wired.settled()).count(b"HTTP/1.1 200") == 2

    run(test)


def test_heads_are_bounded_in_number_and_in_size():
    scope = {"path": "/predict", "headers": [(b"content-length", b"1")]}
    known, head = Heads(), plain(scope, 1)
    for number in range(3 * heads.MOST):
        known.keep(b"%d" % number, head)
    known.keep(long := b"x" * (heads.MOST_BYTES + 1), head)
    assert known.find(b"%d" % (3 * heads.MOST - 1)) is head and known.find(b"0") is known.find(long) is None
    assert len(known._known) <= heads.MOST
