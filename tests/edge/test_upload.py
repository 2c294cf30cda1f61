"""The way home: only what the server holds is forgotten, what it cannot take holds nothing up, waits grow and are spread."""

import json
import ssl
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from taking_server import TakingServer, acknowledged, faulty

from portside.edge.outbox import Entry, Held, Outbox
from portside.edge.upload import CAP_S, MOST_WAIT_S, Sender, understood, wait_s
from portside.edge.upload_http import Uploader, UploadSettings
from portside.sdk.core.errors import InputError

sys.path.append(str(Path(__file__).parents[1] / "cloud"))
from certificates import make

SENDER = Sender("cam-7", "o1", {})
HELD = [Held(number, f"id-{number}", "record", b"{}") for number in (3, 4, 5)]


@pytest.fixture
def outbox(tmp_path):
    """With nine entries."""
    with Outbox(tmp_path / "outbox.sqlite", 1 << 20) as opened:
        opened.append([Entry("record", {"number": number}) for number in range(1, 9)] + [Entry("error", {"number": 9})])
        yield opened


@pytest.fixture
def server():
    """One that takes everything."""
    made = TakingServer()
    yield made
    made.close()


def uploader(outbox, server, **more):
    """Of the outbox, not started."""
    return Uploader(outbox, "cam-7", UploadSettings(server.url, "pdk_secret", seed=1, **more), lambda: {"agent": "1"})


@given(st.integers(0, 10_000), st.integers(0, 1 << 32))
def test_waits_stay_below_what_doubles(attempt, seed):
    waits = wait_s(attempt, seed)
    assert 0 <= waits <= min(CAP_S, 2.0 ** min(attempt - 1, 40)) and waits == wait_s(attempt, seed)
    assert (waits > 0) == (attempt > 0)


def test_waits_of_many_devices_are_spread():
    waits = sorted(wait_s(8, seed) for seed in range(2000))
    assert all(abs(waits[int(share * 2000)] - share * 128) < 8 for share in (0.1, 0.5, 0.9))


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(["retry-after", "x"]), st.text(max_size=12), max_size=2),
       st.binary(max_size=60) | st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=3) |
       st.dictionaries(st.sampled_from(["device", "outbox", "held", "refused", "error", "what", "highest"]), inner, max_size=5),
       max_leaves=10).map(lambda held: json.dumps(held).encode()))  # fmt: skip
def test_no_reply_is_more_than_understood(status, headers, body):
    found = understood(status, headers, body, HELD, SENDER)
    assert set(found.held) <= {3, 4, 5} and 0 <= found.wait_s <= MOST_WAIT_S
    assert found.means != "held" or status == 200


def test_only_the_servers_own_words_count():
    ours = {"device": "cam-7", "outbox": "o1", "held": [3, 5, 99], "highest": 5}
    assert understood(200, {}, json.dumps(ours).encode(), HELD, SENDER).held == (3, 5)
    for said in (b"<html>sign in</html>", b'{"held": [3]}', json.dumps({**ours, "device": "cam-8"}).encode(), b"[" * 100_000):
        assert understood(200, {}, said, HELD, SENDER).means == "later"
    assert understood(400, {}, b"<html>", HELD, SENDER).means == understood(302, {}, b"", HELD, SENDER).means == "later"
    assert understood(422, {}, json.dumps(faulty()).encode(), HELD, SENDER).means == "poison"
    assert understood(401, {}, json.dumps(faulty()).encode(), HELD, SENDER).means == "key"
    assert understood(503, {"retry-after": "7"}, b"", HELD, SENDER).wait_s == 7
    assert understood(503, {"retry-after": "99999999"}, b"", HELD, SENDER).wait_s == MOST_WAIT_S


@pytest.mark.parametrize("highest", [1 << 63, 10**400, 1e400, -1, 1 << 53, "x", None])
def test_a_number_that_no_device_has_is_not_counted_on_from(outbox, highest):
    """The outbox would be out of numbers, and lose all that is still to come."""
    ours = {"device": "cam-7", "outbox": "o1", "held": [], "conflicts": [3], "highest": highest}
    said = understood(200, {}, json.dumps(ours).encode(), HELD, SENDER)
    assert said.means == "later" and not said.conflicts and "cannot be read" in said.why


def test_everything_goes_home_in_bounded_batches(outbox, server):
    sender = uploader(outbox, server, batch_entries=4)
    assert sender.turn() and sender.sent == 9 and not outbox.status().waiting
    assert [[entry["sequence"] for entry in batch["entries"]] for batch in server.batches] == [[9, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert sender.turn() and len(server.batches) == 3
    assert sender.turn(hello=True) and server.batches[-1]["entries"] == [] and server.batches[-1]["versions"] == {"agent": "1"}
    sender.close()


def test_what_was_not_acknowledged_is_sent_again(outbox, server):
    sender = uploader(outbox, server)
    server.answer = lambda batch: None
    assert not sender.turn() and sender.failures == 1 and sum(outbox.status().waiting.values()) == 9
    server.answer = lambda batch: acknowledged(batch, held=[1, 9])
    assert sender.turn() is False and sum(outbox.status().waiting.values()) == 7, "the rest is not acknowledged, and not forgotten"
    server.answer = acknowledged
    assert sender.turn() and sender.failures == 0 and not outbox.status().waiting
    sender.close()


def test_a_poisoned_batch_is_halved_until_the_entry_is_alone(outbox, server):
    sender = uploader(outbox, server)
    server.answer = lambda batch: (413, faulty()) if any(one["body"]["number"] == 4 for one in batch["entries"]) else acknowledged(batch)
    assert sender.turn() and sender.sent == 8
    status = outbox.status()
    assert not status.waiting and status.aside == 1 and status.dropped == {"record:refused": 1}
    assert len(server.batches) <= 8
    outbox.append([Entry("record", {"number": 10})])
    assert sender.turn() and server.batches[-1]["dropped"] == [{"kind": "record", "reason": "refused", "count": 1}]
    sender.close()


def test_entries_that_the_server_names_are_set_aside_at_once(outbox, server):
    sender = uploader(outbox, server)
    refused = [{"sequence": 4, **faulty()}]
    server.answer = lambda batch: acknowledged(batch, held=[number for number in range(1, 10) if number != 4], refused=refused)
    assert sender.turn() and len(server.batches) == 1 and outbox.status().aside == 1
    sender.close()


def test_a_key_that_is_not_let_in_loses_nothing(outbox, server):
    sender = uploader(outbox, server)
    server.answer = lambda batch: (401, faulty("no device is known with this key"))
    assert not sender.turn() and "no device" in sender.fault and sum(outbox.status().waiting.values()) == 9 and outbox.status().aside == 0
    sender.close()


def test_a_device_that_was_set_back_counts_on_above_what_the_server_holds(outbox, server):
    sender, taken = uploader(outbox, server), dict.fromkeys(range(1, 500), "other")

    def answer(batch):
        fresh = [one["sequence"] for one in batch["entries"] if one["sequence"] not in taken]
        conflicts = [one["sequence"] for one in batch["entries"] if one["sequence"] in taken]
        return acknowledged(batch, held=fresh, conflicts=conflicts, highest=max(499, *fresh, 0))

    server.answer = answer
    assert sender.turn() and sender.sent == 9
    assert [entry["sequence"] for entry in server.batches[-1]["entries"]] == [508, *range(500, 508)]
    assert outbox.append([Entry("record", {})]) == [509]
    sender.close()


def test_a_thread_sends_what_comes_and_tells_what_is_wanted(outbox, server):
    wanted, settings = [], UploadSettings(server.url, "k", every_s=0.01, base_s=0.01, seed=1)
    server.answer = lambda batch: acknowledged(batch, desired="sha256:1") if len(server.batches) > 3 else (503, b"")
    sender = Uploader(outbox, "cam-7", settings, on_desired=wanted.append)
    sender.start()
    for _ in range(500):
        if sender.sent == 9:
            break
        sender._closed.wait(0.01)
    sender.close()
    assert sender.sent == 9 and wanted[0] == "sha256:1" and server.batches[0]["entries"]


def test_a_reply_that_drips_is_hung_up_on(outbox, server, monkeypatch):
    from http.server import BaseHTTPRequestHandler

    real = BaseHTTPRequestHandler.end_headers

    def slow(handler):
        real(handler)
        for _ in range(100):
            handler.wfile.write(b" ")
            sender._closed.wait(0.05)

    monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", slow)
    sender = uploader(outbox, server, reply_s=0.3)
    server.answer = lambda batch: (200, b" " * 300)
    assert not sender.turn() and sum(outbox.status().waiting.values()) == 9
    sender.close()


def test_by_https_to_who_is_known_and_to_nobody_else(outbox, tmp_path):
    make(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    server = TakingServer(tls=tls)
    try:
        stranger = uploader(outbox, server)
        assert not stranger.turn()
        assert "CERTIFICATE_VERIFY_FAILED" in stranger.fault and not server.raw
        assert outbox.status().waiting == {"record": 8, "error": 1}
        sender = uploader(outbox, server, ca=str(tmp_path / "ca.pem"))
        assert sender.turn() and sender.sent == 9
        assert b"pdk_secret" in server.raw and outbox.status().waiting == {}
        sender.close()
    finally:
        server.close()


def test_a_key_goes_over_no_open_line():
    for url in ("http://example.org", "ftp://127.0.0.1", "https://ana:pw@example.org", "127.0.0.1"):
        with pytest.raises(InputError):
            UploadSettings(url, "k")
    assert "pdk" not in repr(UploadSettings("https://example.org", "pdk_secret"))
