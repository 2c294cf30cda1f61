"""Reading from a mirror within bounds: ranges, redirects, connections that close, errors that are verdicts."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from signed_mirror import QUICK, Web  # noqa: E402

from portside.edge.bounded import Bounds, Watch  # noqa: E402
from portside.edge.mirror import HttpError, Mirror  # noqa: E402
from portside.edge.stopped import Reason, StopError  # noqa: E402

DATA = bytes(range(256)) * 1000


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Web, str]]:
    (tmp_path / "a b").write_bytes(DATA)
    held = Web(tmp_path)
    with held.serve() as url:
        yield held, url


def reason(error: pytest.ExceptionInfo[StopError]) -> Reason:
    return error.value.stopped.reason


@pytest.mark.parametrize("start", [0, 1, 255_999])
def test_ranges(web: tuple[Web, str], start: int) -> None:
    web[0].attack = lambda handler, path: (web[0].send(handler, DATA), True)[1]
    with Mirror(web[1], QUICK) as mirror:
        answer = mirror.open("a", len(DATA) - start, start)
        assert (answer.offset, b"".join(answer.pieces)) == (start, DATA[start:])
        web[0].ranges = False
        answer = mirror.open("a", len(DATA) - start, start)
        assert (answer.offset, b"".join(answer.pieces)) == (0, DATA)


def test_a_beginning_that_is_longer_than_the_file_begins_again(web: tuple[Web, str]) -> None:
    def answer(handler: Any, path: str) -> bool:
        if "Range" not in handler.headers:
            return web[0].send(handler, DATA) is None
        handler.send_response(416)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    web[0].attack = answer
    with Mirror(web[1], QUICK) as mirror:
        held = mirror.open("a", len(DATA), 5)
        assert (held.offset, b"".join(held.pieces)) == (0, DATA)


def test_a_range_that_is_another_is_not_taken(web: tuple[Web, str]) -> None:
    def answer(handler: Any, path: str) -> bool:
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 7-9/10")
        handler.send_header("Content-Length", "3")
        handler.end_headers()
        handler.wfile.write(b"abc")
        return True

    web[0].attack = answer
    with Mirror(web[1], QUICK) as mirror, pytest.raises(StopError) as error:
        mirror.open("a", 100, 5)
    assert reason(error) is Reason.OFFLINE


def redirect(to: str) -> Any:
    def answer(handler: Any, path: str) -> bool:
        if path == "there":
            return False
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return answer


def test_redirects_stay_on_their_host(web: tuple[Web, str], tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"here")
    web[0].attack = redirect("/there")
    with Mirror(web[1], QUICK) as mirror:
        assert mirror.read("away", 10) == b"here"
        for other in ("http://127.0.0.1:1/there", "https://127.0.0.1/there", "file:///etc/passwd", "http://example.com/", "loop"):
            web[0].attack = redirect(other)
            with pytest.raises(StopError) as error:
                mirror.read("away", 10)
            assert reason(error) is Reason.OFFLINE


def test_one_connection_serves_many_and_a_closed_one_is_made_again(web: tuple[Web, str]) -> None:
    ports: list[int] = []

    def answer(handler: Any, path: str) -> bool:
        ports.append(handler.client_address[1])
        web[0].send(handler, b"x")
        handler.close_connection = len(ports) == 2  # without saying so
        return True

    web[0].attack = answer
    with Mirror(web[1], QUICK) as mirror:
        assert [mirror.read("a", 10) for _ in range(4)] == [b"x"] * 4
    assert ports[0] == ports[1] != ports[2] == ports[3]


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_an_error_says_which(web: tuple[Web, str], status: int) -> None:
    def answer(handler: Any, path: str) -> bool:
        handler.send_error(status)
        return True

    web[0].attack = answer
    with Mirror(web[1], QUICK) as mirror, pytest.raises(HttpError) as error:
        mirror.read("a", 10)
    assert error.value.status == status


@pytest.mark.parametrize("said", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                                  b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\0" * 1000])  # fmt: skip
def test_what_is_no_answer_is_a_verdict(web: tuple[Web, str], said: bytes) -> None:
    def answer(handler: Any, path: str) -> bool:
        handler.wfile.write(said)
        handler.close_connection = True
        return True

    web[0].attack = answer
    with Mirror(web[1], QUICK) as mirror, pytest.raises(StopError) as error:
        mirror.read("a", 100)
    assert reason(error) is Reason.OFFLINE


def test_a_folder_is_a_mirror_and_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "in" / "a b").parent.mkdir()
    (tmp_path / "in" / "a b").write_bytes(b"hello")
    (tmp_path / "secret").write_bytes(b"x")
    with Mirror((tmp_path / "in").as_uri(), QUICK) as mirror:
        assert mirror.read("a b", 5) == b"hello"
        assert b"".join(mirror.open("a b", 3, 2).pieces) == b"llo"
        for path, most in (("../secret", 9), ("a b", 4), ("", 9), ("nothing", 9)):
            with pytest.raises(StopError):
                mirror.read(path, most)


def test_a_host_whose_certificate_is_not_known_is_not_talked_to(tmp_path: Path) -> None:
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key -out cert -subj /CN=localhost"
    command = ["openssl", *words.split(), "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "file").write_bytes(b"hello")
    web = Web(tmp_path)
    web.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    web.tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with web.serve() as url:
        there = url.replace("http://127.0.0.1", "https://localhost")
        with Mirror(there, QUICK, ca=str(tmp_path / "cert")) as mirror:
            assert mirror.read("file", 10) == b"hello"
        with Mirror(there, QUICK) as mirror, pytest.raises(StopError) as error:
            mirror.read("file", 10)
        assert reason(error) is Reason.OFFLINE


def test_a_watch_counts_time_and_bytes() -> None:
    now = [0.0]
    watch = Watch(Bounds(gap_s=5, request_s=60, rate=100, grace_s=10), 1000, 1e9, lambda: False, lambda: now[0])
    assert watch.wait_s() == 5
    now[0] = 9.0
    assert watch.wait_s() == 5
    now[0] = 12.0
    with pytest.raises(StopError) as error:
        watch.wait_s()
    assert reason(error) is Reason.SLOW
    watch.count(500)
    assert watch.wait_s() == 5
    now[0] = 58.0
    watch.count(10_000)
    assert watch.wait_s() == 2
    now[0] = 60.0
    with pytest.raises(StopError):
        watch.wait_s()
    with pytest.raises(StopError) as error:
        watch.count(60_000)
    assert reason(error) is Reason.ENDLESS
