"""Callers that hold what they should not: raw sockets against uvicorn with our protocol and short limits."""

import contextlib
import json
import re
import shutil
import socket
import ssl
import threading
import time

import certificates
import pytest
import uvicorn

from portside.cloud.doors.connection import bounded, is_local
from portside.cloud.doors.sweep import Limits

LIMITS = Limits(max=20, head_s=0.6, body_s=0.6, answer_s=0.8, idle_s=30, max_head_bytes=8 << 10, every_s=0.1)
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"
LARGE = b"x" * (8 << 20)


async def app(scope, receive, send):
    """Reads the body; /large answers with much; /refuse answers before it reads."""
    while scope["type"] == "http" and scope["path"] != "/refuse":
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    body = LARGE if scope["path"] == "/large" else scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def server(limits=LIMITS, local_only=False, tls_only=False, **tls):
    """Uvicorn in a thread; gives a function that connects, and the protocol."""
    protocol = bounded(limits, local_only, tls_only)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        config = uvicorn.Config(app, http=protocol, log_level="critical", lifespan="off", **tls)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        opened = []

        def connect():
            opened.append(socket.create_connection(listening.getsockname(), 10))
            return opened[-1]

        try:
            yield connect, protocol
        finally:
            for one in opened:
                one.close()
            running.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def serving():
    with server() as made:
        yield made


def test_the_last_bytes_of_a_large_body_are_no_head(serving):
    """More of them than a head may have, and twice on one connection."""
    connect, _ = serving
    one, size = connect(), 3 * LIMITS.max_head_bytes
    for _ in range(2):
        one.sendall(HEAD + b"content-length: %d\r\n\r\n" % size)
        time.sleep(0.05)
        one.sendall(b"x" * size)
        assert answer(one).startswith(b"HTTP/1.1 200")


def everything(connection, seconds=10):
    """What arrives until the other end closes. Fails where it does not within this time."""
    connection.settimeout(seconds)
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 20):
            got += data
    return got


def ask(connection, path="/", body=b""):
    connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
    return answer(connection)


def answer(connection):
    """One small answer: its head and its body may come apart."""
    got = connection.recv(1 << 16)
    while got and len(got.partition(b"\r\n\r\n")[2]) < int((re.search(rb"content-length: (\d+)", got) or [b"", b"0"])[1]):
        got += connection.recv(1 << 16)
    return got


def test_an_honest_caller_keeps_its_connection_over_pauses(serving):
    connect, _ = serving
    connection = connect()
    for _ in range(3):
        assert b"200 OK" in ask(connection, body=b"x" * 100)
        time.sleep(0.8)  # longer than a head or a body may take
    assert b"200 OK" in ask(connection)


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"content-length: 10\r\n\r\nabc"])
def test_a_request_that_never_comes_to_its_end_is_closed(serving, sent):
    connect, protocol = serving
    before = sum(protocol.sweep.closed.values())
    connection = connect()
    connection.sendall(sent)
    everything(connection)
    assert sum(protocol.sweep.closed.values()) > before


def test_a_second_request_may_not_drip_either(serving):
    connect, protocol = serving
    connection = connect()
    assert b"200 OK" in ask(connection)
    before = protocol.sweep.closed.get("head", 0)
    with contextlib.suppress(ConnectionError):
        for byte in HEAD * 20:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)
    assert protocol.sweep.closed["head"] > before


def test_an_answer_that_nobody_reads_is_given_up(serving):
    connect, protocol = serving
    connection = connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    ends = time.monotonic() + 10
    while "reading" not in protocol.sweep.closed and time.monotonic() < ends:
        time.sleep(0.05)
    assert protocol.sweep.closed["reading"] == 1


def test_a_large_answer_that_is_read_arrives_whole(serving):
    connect, _ = serving
    connection = connect()
    connection.sendall(b"POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    assert everything(connection).endswith(LARGE)


@pytest.mark.parametrize("head", [HEAD + b"a: " + b"b" * 200_000, HEAD + b"a: b\r\n" * 40_000, b"GET /" + b"a" * 200_000])
def test_a_head_that_is_too_large_is_refused(serving, head):
    connect, _ = serving
    connection = connect()
    with contextlib.suppress(ConnectionError):
        connection.sendall(head)
    got = everything(connection)
    assert b" 431 " in got.split(b"\r\n")[0] or got == b""  # the reset may overtake the answer while the caller still sends


def test_a_refusal_of_the_head_has_the_one_format(serving):
    connect, _ = serving
    connection = connect()
    connection.sendall(HEAD)
    for _ in range(9):  # in pieces, so that nothing is in flight when the limit is passed
        connection.sendall(b"a: " + b"b" * 1021 + b"\r\n")
        time.sleep(0.01)
    head, body = everything(connection).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ") and b"connection: close" in head and b"nosniff" in head
    assert json.loads(body)["field"] == "headers"


def test_what_is_not_http_is_refused_in_the_one_format(serving):
    connect, _ = serving
    connection = connect()
    connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    head, body = everything(connection).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and json.loads(body)["error"] == "InputError"


def test_the_rest_of_a_refused_body_is_thrown_away_up_to_a_limit(serving):
    connect, _ = serving
    short, long = connect(), connect()
    for connection in (short, long):
        connection.sendall(b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n")
        assert b"200 OK" in connection.recv(1 << 16)
    short.sendall(b"x" * 100_000)
    with pytest.raises(ConnectionError):
        for _ in range(200):
            long.sendall(b"x" * 100_000)


def test_pipelined_requests_are_answered_in_order_and_bounded(serving):
    connect, _ = serving
    few, many = connect(), connect()
    few.sendall(b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n%b\r\n" % (n, b"connection: close\r\n" if n == 4 else b"") for n in range(5)))
    bodies = [part.split(b"\r\n\r\n")[1] for part in everything(few).split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/0", b"/1", b"/2", b"/3", b"/4"]
    with contextlib.suppress(ConnectionError):
        many.sendall(b"GET /m HTTP/1.1\r\nhost: x\r\n\r\n" * 2000)
    assert everything(many).count(b"200 OK") < 2000


def test_a_websocket_is_answered_like_any_other_request(serving):
    connect, _ = serving
    connection = connect()
    connection.sendall(b"GET /w HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                       b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n")  # fmt: skip
    assert b"200 OK" in connection.recv(1 << 16)


def test_an_idle_connection_makes_room_and_without_one_the_new_one_is_refused():
    with server(Limits(max=3, head_s=30, every_s=0.1)) as (connect, _):
        resting = connect()
        assert b"200 OK" in ask(resting)
        busy = [connect() for _ in range(2)]
        for one in busy:
            one.sendall(HEAD)
        newcomer = connect()
        assert b"200 OK" in ask(newcomer)
        assert everything(resting) == b""
        newcomer.sendall(HEAD)  # busy again
        time.sleep(0.3)
        assert b" 503 " in everything(connect()).split(b"\r\n")[0]
        for one in (*busy, newcomer):
            one.sendall(b"content-length: 0\r\n\r\n")
            assert b"200 OK" in answer(one)


def test_without_keys_only_this_machine_is_answered(monkeypatch):
    monkeypatch.setattr("portside.cloud.doors.connection.is_local", lambda server: False)
    with server(local_only=True) as (connect, _):
        answer = ask(connect())
        assert b" 403 " in answer.split(b"\r\n")[0] and b"insecure_public" in answer
    monkeypatch.undo()
    with server(local_only=True) as (connect, _):
        assert b"200 OK" in ask(connect())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_limits_hold_under_tls_too(tmp_path):
    certificates.make(tmp_path)
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    pair = {"ssl_certfile": tmp_path / "server.pem", "ssl_keyfile": tmp_path / "server.key"}
    with server(tls_only=True, **pair) as (connect, protocol), contextlib.ExitStack() as opened:
        dripping, honest = [opened.enter_context(context.wrap_socket(connect(), server_hostname="127.0.0.1")) for _ in range(2)]
        dripping.sendall(HEAD)
        ends = time.monotonic() + 15
        while "head" not in protocol.sweep.closed and time.monotonic() < ends:
            answer = ask(honest)
            while not answer.endswith(b"\r\n\r\n/"):  # head and body may be a record each
                answer += honest.recv(1 << 16)
            time.sleep(0.1)
        assert protocol.sweep.closed == {"head": 1}


def test_a_server_of_tls_answers_nothing_without_it():
    with server(tls_only=True) as (connect, _):
        answer = ask(connect())
        assert b" 403 " in answer.split(b"\r\n")[0] and b"TLS" in answer


HERE = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "/tmp/socket"]
ELSEWHERE = ["10.0.0.1", "192.168.1.9", "::", "::ffff:10.0.0.1", "fe80::1"]


def test_what_is_local():
    assert is_local(None) and all(is_local((address, 1)) for address in HERE)
    assert not any(is_local((address, 1)) for address in ELSEWHERE)
