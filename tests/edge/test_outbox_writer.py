"""Entries off the way of an answer: never waits, loses nothing uncounted, goes on when the disk is well again."""

import sqlite3
import sys
import threading
import time

import pytest

from portside.edge import outbox_writer
from portside.edge.outbox import Entry, Outbox
from portside.edge.outbox_writer import OutboxWriter
from portside.sdk.core.errors import StoreError


@pytest.fixture
def outbox(tmp_path):
    """An empty one."""
    with Outbox(tmp_path / "outbox.sqlite", 1 << 20) as opened:
        yield opened


def test_entries_are_made_and_written_in_order(outbox):
    writer = OutboxWriter(outbox)
    for number in range(300):
        assert writer.put("record", lambda number=number: Entry("record", {"number": number}))
    writer.put("record", lambda: None)
    writer.put("record", lambda: Entry("record", {"number": float("nan")}))
    writer.put("record", lambda: 1 / 0)
    assert writer.flush()
    writer.close()
    assert [entry.body for entry in outbox.batch(1 << 20)] == [b'{"number":%d}' % number for number in range(300)]
    assert (writer.written, writer.lost, outbox.dropped()) == (300, 2, {("record", "not-made"): 2})
    assert not writer.put("record", Entry("record", {})) and outbox.dropped()["record", "busy"] == 1


class Watched(OutboxWriter):
    """Remembers what its turns raised."""

    def __init__(self, *words):
        self.raised = []
        super().__init__(*words)

    def _take(self):
        try:
            return super()._take()
        except Exception as error:
            self.raised.append(repr(error))
            raise


def test_many_threads_put_while_it_looks_at_what_waits(outbox, monkeypatch):
    monkeypatch.setattr(outbox_writer, "PAUSE_S", 0.0)
    monkeypatch.setattr(outbox_writer, "AT_ONCE", 2)
    monkeypatch.setattr(outbox, "append", lambda entries: [1] * len(entries))
    entry, before = Entry("record", {}), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # doors take short turns: a thread is interrupted between any two steps

    def put():
        for _ in range(8000):
            while len(writer._waiting) > 100:
                time.sleep(0)
            writer.put("record", entry)

    try:
        writer = Watched(outbox)
        makers = [threading.Thread(target=put) for _ in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert writer.flush(60)
    finally:
        sys.setswitchinterval(before)
    writer.close()
    assert (writer.written, writer.lost, writer.raised) == (32_000, 0, [])


def test_whatever_goes_wrong_the_writer_goes_on(outbox, monkeypatch):
    monkeypatch.setattr(outbox_writer, "AGAIN_S", (0.01,))
    faults, real = [MemoryError(), sqlite3.ProgrammingError("closed")], outbox.append

    def append(entries):
        if faults:
            raise faults.pop()
        return real(entries)

    monkeypatch.setattr(outbox, "append", append)
    writer = OutboxWriter(outbox)
    writer.put("record", Entry("record", {"number": 1}))
    assert writer.flush()
    writer.close()
    assert [entry.body for entry in outbox.batch(1 << 20)] == [b'{"number":1}']


def test_a_disk_that_takes_nothing_stops_no_answer(outbox, monkeypatch):
    monkeypatch.setattr(outbox_writer, "AGAIN_S", (0.01,))
    full, real = threading.Event(), outbox.append
    full.set()

    def append(entries):
        if full.is_set():
            raise StoreError("The disk is full")
        return real(entries[:7])  # and then takes a few at a time

    monkeypatch.setattr(outbox, "append", append)
    writer = OutboxWriter(outbox, size=50)
    taken = [writer.put("record", Entry("record", {"number": number})) for number in range(80)]
    ends = time.monotonic() + 20
    while "full" not in writer.fault and time.monotonic() < ends:
        time.sleep(0.005)
    assert not writer.flush(0.2) and "full" in writer.fault and writer.written == 0
    full.clear()
    assert writer.flush() and writer.fault == ""
    writer.close()
    assert sum(taken) == writer.written == outbox.status().waiting["record"]
    assert writer.lost == 80 - sum(taken) == outbox.dropped()["record", "busy"] >= 20
    numbers = [entry.body for entry in outbox.batch(1 << 20)]
    assert len(set(numbers)) == len(numbers)


def test_what_the_disk_has_not_taken_in_the_end_is_counted(outbox, monkeypatch):
    def append(entries):
        raise StoreError("The disk is full")

    monkeypatch.setattr(outbox, "append", append)
    writer = OutboxWriter(outbox)
    for _ in range(5):
        writer.put("error", Entry("error", {}))
    writer.close(0.2)
    writer._thread.join(5)
    assert outbox.dropped() == {("error", "closed"): 5}
