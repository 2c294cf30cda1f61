"""The local doors over real sockets: answers, bounds, callers that are slow or many, and what is not HTTP."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from door_callers import BODY, Doubling, SessionAnswering, ends, get, line_to, opened, post, quick, reply_on, said_to, until, unusual
from hypothesis import given
from hypothesis import strategies as st

from portside.edge import door_line
from portside.edge.door_settings import DoorSettings
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.samples import SAMPLES
from portside.sdk.core.errors import EngineError, FormatError, InputError, StoreError


@pytest.fixture
def doubling():
    return Doubling()


@pytest.fixture
def doors(doubling):
    with opened(doubling) as doors:
        yield doors


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    return compile_package(SAMPLES["mixed"]().write(folder / "package"), "onnx-cpu", folder / "artifact", prove=False).path


def test_answers_are_those_of_predict_in_process(mixed, tmp_path):
    answering, inputs = SessionAnswering(mixed), SAMPLES["mixed"]().inputs(3)
    direct = answering.session.predict(inputs)
    body = json.dumps({"inputs": {name: value.tolist() for name, value in inputs.items()}}).encode()
    unix = tmp_path / "agent.sock"
    with opened(answering, unix=str(unix)) as doors:
        for where in (None, unix):
            said = said_to(doors, post(body), where)
            assert said.status == 200, said.body
            for name, value in direct.items():
                np.testing.assert_array_equal(np.array(said.json()["outputs"][name], value.dtype), value)
    assert said.json()["receipt"]["reason"] == "primary"
    answering.session.close()


def test_forms_entity_time_receipt_and_flags(doors, doubling):
    doubling.flags = (unusual(),)
    body = b'{"rows": [{"x": [1, 2]}, {"x": [3, 4]}], "entity": "a", "event_ms": 5}'
    said = said_to(doors, post(body, b"x-portside-receipt: none\r\n"))
    assert said.json() == {"outputs": [{"y": [2, 4]}, {"y": [6, 8]}], "flags": [unusual()._asdict()]}
    assert doubling.calls == [({"x": [[1, 2], [3, 4]]}, "a", 5)]
    assert said_to(doors, post(more=b"x-portside-receipt: moon\r\n")).status == 400


def test_a_connection_stays_and_answers_come_in_order(doors):
    with line_to(doors) as line:
        line.sendall(b"\r\n" + b"".join(post(b'{"row": {"x": [%d, 0]}}' % number) for number in range(20)))
        reader = line.makefile("rb")
        for number in range(20):
            reply = http.client.HTTPResponse(SharedFile(reader))
            reply.begin()
            assert json.loads(reply.read())["outputs"]["y"][0] == 2 * number
        line.sendall(get(more=b"connection: close\r\n"))
        assert b"connection: close" in reader.read()
        reader.close()


class SharedFile:
    """Gives several responses the one reader, whose buffer may hold what is for the next."""

    def __init__(self, reader):
        self.reader = reader

    def makefile(self, *_):
        return Unclosed(self.reader)


class Unclosed:
    def __init__(self, reader):
        self.reader = reader

    def __getattr__(self, name):
        return (lambda: None) if name == "close" else getattr(self.reader, name)


def test_the_pages(doors, doubling):
    assert said_to(doors, get(b"/healthz"), method="GET").body == said_to(doors, get(b"/livez?x=1"), method="GET").body == b"alive\n"
    assert said_to(doors, get(b"/readyz"), method="GET").body == b"ready\n"
    assert said_to(doors, get(b"/status"), method="GET").json() == {"release": "sha256:1", "outbox": {"waiting": 3}}
    said_to(doors, post())
    page = said_to(doors, get(b"/metrics"), method="GET").body.decode()
    assert 'portside_edge_replies_total{status="200"}' in page and "portside_edge_answer_seconds_count 1\n" in page
    assert "portside_edge_ready 1" in page
    head = said_to(doors, get().replace(b"GET", b"HEAD"), method="HEAD")
    assert head.status == 200 and head.body == b"" and head.headers["content-length"] == "6"
    doubling.signature = None
    for request in (get(b"/readyz"), post()):
        said = said_to(doors, request)
        assert said.status == 503 and said.json()["error"] == "EngineError" and "retry-after" in said.headers
    assert said_to(doors, get(b"/healthz")).status == 200, "it lives, although it has nothing that answers"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InputError("No", field="x"), 422, "InputError"),
        (EngineError("All busy", reason="busy"), 429, "EngineError"),
        (EngineError("Broken"), 503, "EngineError"),
        (StoreError("Gone"), 503, "StoreError"),
        (ZeroDivisionError("secret"), 500, "PortsideError"),
    ],
)
def test_what_predict_raises_is_told_in_one_format(doors, doubling, error, status, kind):
    doubling.fail = error
    said = said_to(doors, post())
    assert (said.status, said.json()["error"]) == (status, kind)
    assert b"secret" not in said.body and b"Traceback" not in said.body
    doubling.fail = None
    assert said_to(doors, post()).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post(b"{"), 400), (post(b"\xff"), 400), (post(b'{"row": {"x": [NaN, 1]}}'), 400), (post(b"[" * 4000), 400),
        (post(b'{"row": {"z": 1}}'), 422), (post(b'{"row": {"x": "\\ud800"}}'), 400),
        (post(kind=b"text/html"), 415), (post(path=b"/nothing"), 404), (get(b"/predict"), 405), (post(path=b"/status"), 405),
        (post(b"x" * 5000), 413), (get(more=b"a: " + b"b" * 2000 + b"\r\n"), 431), (get(more=b"a: b\r\n" * 70), 431),
        (post(more=b"transfer-encoding: chunked\r\n"), 411), (post(more=b"content-length: 4\r\n"), 400),
        (b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999999999999999999\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400), (b"GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        (get(more=b" folded: yes\r\n"), 400), (get(more=b"a : b\r\n"), 400), (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (get(more=b"a: b\nc: d\r\n"), 400), (b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: localhost\r\n\r\n", 400),
        (get().replace(b"localhost", b"evil.example"), 421), (get().replace(b"localhost", b""), 421),
        (get(more=b"origin: http://evil.example\r\n"), 403), (get(more=b"origin: null\r\n"), 403),
    ],
)  # fmt: skip
def test_what_is_refused(doors, request_bytes, status):
    said = said_to(doors, request_bytes)
    assert said.status == status
    assert {"error", "what"} <= said.json().keys()


def test_names_that_callers_may_use(doubling):
    with opened(doubling, names=("Cam-7",)) as doors:
        for host, status in ((b"cam-7:80", 200), (b"10.0.0.7", 200), (b"[::1]:1", 200), (b"cam-8", 421)):
            assert said_to(doors, get().replace(b"localhost", host)).status == status


def test_slow_callers_are_ended_and_hold_up_nobody(doors):
    with line_to(doors) as head, line_to(doors) as body, line_to(doors) as silent:
        head.sendall(b"GET /healthz HT")
        body.sendall(post()[:-3])
        assert said_to(doors, post()).status == 200
        assert reply_on(head).status == 408 and ends(head)
        assert reply_on(body).status == 408 and ends(body)
        silent.sendall(get())
        assert reply_on(silent).status == 200, "who says nothing yet may rest longer"


def test_a_byte_now_and_then_does_not_buy_time(doors):
    with line_to(doors) as line:
        stop = threading.Event()

        def drip():
            while not stop.wait(0.05):
                try:
                    line.send(b"x")
                except OSError:
                    return

        line.sendall(b"GET /")
        thread = threading.Thread(target=drip)
        thread.start()
        assert reply_on(line).status == 408
        stop.set()
        thread.join()


def test_a_caller_that_does_not_read_is_left():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(door_line.Gone):
        door_line.Line(ours, quick(write_s=0.1)).send(bytes(50 << 20))


def test_a_body_that_is_announced_is_asked_for(doors):
    with line_to(doors) as line:
        request = post(more=b"expect: 100-continue\r\n")
        line.sendall(request[: -len(BODY)])
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(BODY)
        assert reply_on(line).status == 200


def test_more_predictions_than_places_are_shed_and_pages_still_answer(doubling):
    doubling.gate = threading.Event()
    with opened(doubling, max_predictions=2) as doors:
        lines = [line_to(doors) for _ in range(2)]
        for line in lines:
            line.sendall(post())
        until(lambda: len(doubling.calls) == 2)
        shed = said_to(doors, post())
        assert shed.status == 429 and shed.headers["retry-after"] == "1" and shed.json()["error"] == "EngineError"
        assert said_to(doors, get()).status == 200
        doubling.gate.set()
        assert [reply_on(line).status for line in lines] == [200, 200]
        for line in lines:
            line.close()


def test_connections_are_bounded_and_the_longest_resting_makes_room(doubling):
    doubling.gate = threading.Event()
    with opened(doubling, max_connections=3) as doors:
        busy = line_to(doors)
        busy.sendall(post())
        until(lambda: doubling.calls)
        resting = []
        for place in (1, 2):
            resting.append(line_to(doors))
            resting[-1].sendall(get())
            assert reply_on(resting[-1]).status == 200
            until(lambda place=place: doors._room.resting == place)
        fresh = line_to(doors)
        fresh.sendall(get())
        assert reply_on(fresh).status == 200
        assert ends(resting[0])
        for line in (resting[1], fresh):
            line.sendall(post())
        until(lambda: len(doubling.calls) >= 2)
        doubling.gate.set()
        assert all(reply_on(line).status in (200, 429) for line in (resting[1], fresh, busy))
        for line in (busy, fresh, *resting):
            line.close()


def test_where_all_are_busy_a_connection_is_turned_away(doubling):
    doubling.gate = threading.Event()
    with opened(doubling, max_connections=1) as doors, line_to(doors) as busy:
        busy.sendall(post())
        until(lambda: doubling.calls)
        with line_to(doors) as more:
            said = reply_on(more)
        assert said is None or (said.status == 503 and said.headers["retry-after"] == "1")
        doubling.gate.set()
        assert reply_on(busy).status == 200
        until(lambda: "turned_away_total 1" in doors.routes.counts.text())


def test_many_callers_at_once_get_their_own_answers(doubling):
    found, per = {}, 25

    def call(number):
        with line_to(doors) as line:
            for turn in range(per):
                line.sendall(post(b'{"row": {"x": [%d, %d]}}' % (number, turn)))
                found[number, turn] = reply_on(line).json()["outputs"]["y"]

    with opened(doubling, max_predictions=8, wait_s=5.0) as doors:
        threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {(number, turn): [2 * number, 2 * turn] for number in range(8) for turn in range(per)}


def test_closing_ends_what_is_being_answered_and_who_rests(doubling):
    doubling.gate = threading.Event()
    doors = opened(doubling)
    doors.open()
    busy, resting = line_to(doors), line_to(doors)
    resting.sendall(get())
    assert reply_on(resting).status == 200
    busy.sendall(post())
    until(lambda: doubling.calls)
    closing = threading.Thread(target=doors.close)
    closing.start()
    assert ends(resting)
    doubling.gate.set()
    said = reply_on(busy)
    closing.join()
    assert said.status == 200 and said.headers["connection"] == "close"
    for line in (busy, resting):
        line.close()


def test_closing_does_not_wait_for_ever(doubling):
    doubling.gate = threading.Event()
    doors = opened(doubling)
    doors.open()
    with line_to(doors) as busy:
        busy.sendall(post())
        until(lambda: doubling.calls)
        doors.close(grace_s=0.05)
        assert ends(busy)
    doubling.gate.set()


def test_the_unix_socket_is_this_users_and_a_live_one_is_left_alone(doubling, tmp_path):
    path = tmp_path / "agent.sock"
    with opened(doubling, port=None, unix=str(path)) as doors:
        assert doors.port is None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert said_to(doors, post().replace(b"localhost", b"whatever"), path).status == 200, "no browser gets here"
        with pytest.raises(FormatError, match="listens at the socket"):
            opened(doubling, port=None, unix=str(path)).open()
    assert list(tmp_path.iterdir()) == []
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with opened(doubling, port=None, unix=str(path)) as doors:
        assert said_to(doors, get(), path).status == 200, "what a killed agent left behind is removed"
    path.write_text("precious")
    with pytest.raises(FormatError, match="no socket"):
        opened(doubling, port=None, unix=str(path)).open()
    assert path.read_text() == "precious"


def test_addresses_that_others_reach_are_refused_unless_allowed(doubling):
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.com"):  # noqa: S104  refused
        with pytest.raises(FormatError, match="others reach"):
            DoorSettings(host=host)
    assert DoorSettings(host="192.0.2.1", allow_remote=True).allow_remote
    with opened(doubling) as doors, pytest.raises(FormatError, match="cannot listen there"):
        opened(doubling, port=doors.port).open()


@pytest.mark.parametrize("wrong", [{"prot": 1}, {"port": "3001"}, {"port": 70_000}, {"port": None}, {"max_connections": 0}, {"names": "a"},
                                   {"allow_remote": 1}, {"head_s": True}])  # fmt: skip
def test_settings_that_are_wrong(wrong):
    with pytest.raises(FormatError):
        DoorSettings.from_dict(wrong)


def test_settings_of_a_file():
    data = {"port": 80, "names": ["cam-7"], "head_s": 2, "unix": "/run/a.sock"}
    assert DoorSettings.from_dict(data) == DoorSettings(port=80, names=("cam-7",), head_s=2, unix="/run/a.sock")


_pieces = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([post(), get(), b"\r\n\r\n", b"\r\n", b"POST /predict HTTP/1.1\r\n", b"content-length: 5\r\n", b"host: localhost\r\n",
                     BODY, b"GET / HTTP/1.1\r\n", b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n"]),
)  # fmt: skip


@given(st.lists(_pieces, max_size=6))
def test_any_bytes_are_answered_or_hung_up_on(pieces):
    with line_to(FUZZED) as line:
        try:
            for piece in pieces:
                line.sendall(piece)
            line.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        assert ends(line)
    until(lambda: FUZZED._room.taken == 0)
    assert said_to(FUZZED, post()).status == 200


FUZZED = opened(Doubling(), head_s=0.1, body_s=0.1)


@pytest.fixture(autouse=True, scope="module")
def fuzzed(caplog_of_module):
    before, door_line.LINGER_S = door_line.LINGER_S, 0.1
    with FUZZED:
        yield
    door_line.LINGER_S = before
    assert not [record for record in caplog_of_module if "failed inside" in record.getMessage() and "A connection" in record.getMessage()]


@pytest.fixture(scope="module")
def caplog_of_module():
    """What the doors log, for as long as the module runs."""
    found = []

    class Keep(logging.Handler):
        def emit(self, record):
            found.append(record)

    logger, handler = logging.getLogger("portside.edge.doors"), Keep()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def test_no_descriptors_are_left(doubling):
    def held():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    for _ in range(5):
        with opened(doubling) as doors:
            assert said_to(doors, post()).status == 200
    until(lambda: held() <= before)
