"""Our answers over a real connection, beside what uvicorn's own way writes: the same bytes, and nothing that splits an answer."""

import contextlib
import json
import socket
import threading

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from made_host import ROW, Serving
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from portside.cloud.doors.asgi import OURS, Reply
from portside.cloud.doors.connection import bounded, unwrapped
from portside.cloud.doors.cycle import Cycle
from portside.cloud.doors.http_app import HttpApp
from portside.cloud.doors.sweep import Limits

PARTS = (b"a" * 10, memoryview(b"b" * 100_000), b"c" * 40_000, b"d")


@contextlib.contextmanager
def listening(app, protocol):
    """The port of a server in a thread."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen(16)
        running = uvicorn.Server(uvicorn.Config(app, http=protocol, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        try:
            yield place.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def ports():
    """(port of our protocol, port of uvicorn's) before the same doors."""
    serving = Serving()
    app = HttpApp(serving)

    async def parts(_):
        return Reply(200, b"head ", more=PARTS)

    async def large(_):
        return Reply(200, b"x" * 300_000)

    app.routes.exact |= {"/parts": {"GET": parts}, "/large": {"GET": large}}
    with listening(app, bounded(Limits())) as ours, listening(app, HttpToolsProtocol) as theirs:
        yield ours, theirs
    serving.engine.close()


ASKED = [
    ("GET", "/livez", {}), ("HEAD", "/livez", {}), ("GET", "/nope", {}), ("GET", "/parts", {}), ("HEAD", "/parts", {}),
    ("GET", "/large", {}), ("POST", "/predict", {"json": {"row": ROW}}), ("POST", "/predict", {"json": {"row": {}}}),
    ("POST", "/predict", {"content": b"x" * 100_000}), ("GET", "/livez", {"headers": {"connection": "close"}}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "rest"), ASKED)
def test_an_answer_is_what_uvicorn_would_have_written(ports, method, path, rest):
    with httpx.Client(trust_env=False) as client:
        mine, yours = (client.request(method, f"http://127.0.0.1:{port}{path}", **rest) for port in ports)
        again = client.request(method, f"http://127.0.0.1:{ports[0]}{path}", **rest)
    changing = ["date", "x-request-id", "x-portside-time-ms", "x-portside-record", *(["content-length"] if "receipt" in mine.text else [])]
    told = [[(name, value) for name, value in one.headers.items() if name not in changing] for one in (mine, yours, again)]
    assert mine.status_code == yours.status_code == again.status_code and told[0] == told[1] == told[2]
    assert len(mine.content) == len(yours.content) or "receipt" in mine.text
    assert int(mine.headers["content-length"]) == len(mine.content) or method == "HEAD"


def test_an_old_client_is_answered_and_closed(ports):
    with socket.create_connection(("127.0.0.1", ports[0]), 10) as connection:
        connection.sendall(b"GET /livez HTTP/1.0\r\nhost: x\r\n\r\n")
        got = b""
        while data := connection.recv(65_536):
            got += data
    assert got.endswith(b"\r\n\r\nalive\n") and b"connection: close" in got


def test_a_client_that_waits_for_100_is_told_to_go_on(ports):
    body = json.dumps({"row": ROW}).encode()
    with socket.create_connection(("127.0.0.1", ports[0]), 10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n"
                           b"content-length: %d\r\n\r\n" % len(body))  # fmt: skip
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")


class Flow:
    write_paused = False


class Kept:
    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += bytes(data)

    def close(self):
        pass


def answered(headers, body=b"ok"):
    """What is written for these headers."""
    import asyncio

    async def go():
        kept = Kept()
        cycle = Cycle({"method": "GET"}, kept, Flow(), None, None, False, [], asyncio.Event(), False, True, lambda: None)
        await cycle.send({"type": "http.response.start", "status": 200, "headers": headers, OURS: True})
        await cycle.send({"type": "http.response.body", "body": body})
        return kept.written

    return asyncio.run(go())


@given(st.lists(st.tuples(st.sampled_from([b"a", b"x-b"]), st.binary(max_size=30)), max_size=5))
def test_no_header_splits_an_answer(headers):
    headers = [(b"content-length", b"2"), *headers]
    if any(b"\n" in value or b"\r" in value for _, value in headers):
        with pytest.raises(RuntimeError):
            answered(headers)
    else:
        head, body = answered(headers).split(b"\r\n\r\n", 1)
        assert body == b"ok" and len(head.split(b"\r\n")) == 1 + len(headers)


def test_the_address_of_the_caller_is_left_as_it_is():
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    assert unwrapped(ProxyHeadersMiddleware(answered)) is answered and unwrapped(answered) is answered
