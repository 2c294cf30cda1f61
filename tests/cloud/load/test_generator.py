"""The generator does not wait for answers, charges a stall to every request it held up, and loses count of nothing."""

import socket

import pytest
from answering_server import Answering

from portside.cloud.load.bodies import Body
from portside.cloud.load.generator import Generator, run
from portside.cloud.load.target import Target, target

BODY = [Body(b'{"row": {}}')]


def step(server, rate=200, seconds=0.6, timeout_s=5.0, connections=64, **settings):
    async def go(goal):
        generator = Generator(goal, 200.0, timeout_s, connections)
        try:
            return await generator.step(rate, seconds, "constant", **settings)
        finally:
            await generator.close()

    goal = server if isinstance(server, Target) else target(f"{server.url}/predict", BODY)
    return run(go(goal))


def test_every_request_is_started_and_counted():
    with Answering() as server:
        held = step(server)
    assert (held.sent, held.answered, held.errors, len(server.bodies)) == (120, 120, {}, 121), "and one to probe"
    assert held.latency_ms["p50"] <= held.latency_ms["p99"] <= held.latency_ms["max"]
    assert sum(moment.answered for moment in held.moments) == 120


def test_a_stall_is_charged_to_every_request_that_it_held_up():
    with Answering(lambda number, body: "stall" if number == 40 else 200, stall_s=0.4) as server:
        held = step(server, connections=4)
    assert held.answered == 120
    assert held.latency_ms["p50"] > 20, "a closed loop of 4 clients would have seen 4 slow requests of 120"


def test_more_requests_than_connections_wait_in_line():
    with Answering(lambda number, body: "stall" if number == 5 else 200) as server:
        held = step(server, connections=1)
    assert held.answered == held.sent == 120 and held.connections == 1 and held.latency_ms["max"] >= 390


@pytest.mark.parametrize(
    ("doing", "kind"),
    [
        (429, "refused (429)"),
        (503, "status 503"),
        (404, "status 404"),
        ("reset", "reset"),
        ("garbage", "broken answer"),
        ("silent", "timeout"),
    ],
)
def test_errors_by_kind(doing, kind):
    with Answering(lambda number, body: doing if number % 10 == 5 else 200) as server:
        held = step(server, timeout_s=2.0 if doing == "silent" else 20.0)  # a machine that stands still for a moment is no error
    assert held.errors == {kind: 12} and held.answered == 108 and held.sent == 120


def test_connections_that_are_closed_after_an_answer_lose_nothing():
    with Answering(lambda number, body: "close" if number % 3 == 1 else 200) as server:
        held = step(server)
    assert held.answered == held.sent == 120 and held.errors == {}


def test_a_server_that_is_not_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    held = step(Target("", "127.0.0.1", port, False, (b"POST / HTTP/1.1\r\n\r\n",), ""), rate=50)
    assert held.errors == {"connect": 30} and held.answered == 0 and held.latency_ms == {}


def test_failovers_are_read_from_the_receipt():
    with Answering(headers=b"X-Portside-Reason: deadline\r\n") as server:
        held = step(server)
    assert held.failovers == {"deadline": 120}
    with Answering(headers=b"x-portside-reason: primary\r\n") as server:
        assert step(server).failovers == {}


def test_several_bodies_are_sent_in_turn():
    with Answering() as server:
        goal = target(f"{server.url}/predict", [Body(b"1"), Body(b"22")], {"authorization": "Bearer k"})
        step(goal, rate=100)
    assert server.bodies[0] == b"1" and {server.bodies.count(b"1"), server.bodies.count(b"22")} == {31, 30}
    assert all(b"authorization: Bearer k\r\n" in head for head in server.heads)


def test_connections_do_not_rest_until_the_server_closes_them(monkeypatch):
    monkeypatch.setattr("portside.cloud.load.generator.REST_S", 0.1)
    with Answering() as server:
        held = step(server, rate=3, seconds=1.2)
        opened = server.opened
    assert held.answered == held.sent == 4 and held.errors == {} and opened >= 4, "and one to probe"
