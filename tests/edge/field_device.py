"""A device in the field, as a process: answers, writes, sends. Its time is scaled, its clock jumps, its disk is full at times.

Says on its output what its outbox has taken, one line per entry, after it was durable: "sequence id kind rows".
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import sys
import time
from pathlib import Path

import numpy as np

from portside.edge import outbox as outbox_module
from portside.edge.leaving import leaving
from portside.edge.outbox import Entry, Outbox
from portside.edge.summing import Summaries, SummarySettings
from portside.edge.upload_http import Uploader, UploadSettings
from portside.sdk.core.errors import StoreError
from portside.sdk.core.records import Record, new_id
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 32)), TensorSpec("secret", "f32", ("batch",), stays_on_device=True)),
                      (TensorSpec("label", "i64", ("batch",), categories=("mono", "poly")),))  # fmt: skip
JUMPS_MS = (0, 0, 0, -86_400_000 * 9000, 86_400_000 * 4000, 3_600_000, -3_600_000)
HOUR_S = 3600.0


def run(folder: Path, device: str, url: str, key: str, quota: int, scale: float, seed: int) -> None:
    """Go on until somebody ends it; `scale`: how many of its seconds pass in one."""
    draw, began, real = random.Random(seed), time.monotonic(), time.time_ns
    jump = [0]
    time.time_ns = lambda: real() + jump[0] * 1_000_000
    settings = UploadSettings(url, key, every_s=60 / scale, hello_s=HOUR_S / scale, base_s=1 / scale, cap_s=900 / scale,
                              connect_s=0.3, reply_s=1.0, batch_bytes=64 << 10, batch_entries=100)  # fmt: skip
    with Outbox(folder / "outbox.sqlite", quota) as outbox:
        _remember(outbox)
        sender = Uploader(outbox, device, settings, lambda: {"agent": "0.1.0", "release": "sha256:1"})
        sender.start()
        sums = Summaries("cells", SIGNATURE, SummarySettings(HOUR_S / 2 / scale, least_rows=5))
        while True:
            now = time.monotonic() - began
            if draw.random() < 0.02:
                jump[0] = draw.choice(JUMPS_MS)
            full = draw.random() < 0.03
            if full:  # the disk is full for a while: no file may grow
                _limit(draw.choice([0, 4096, 300_000]))
            _step(outbox, sums, draw, now)
            if full:
                time.sleep(0.02)
                _limit(resource.RLIM_INFINITY)
            if (folder / "stop").exists():
                break
            time.sleep(0.01)
        _append(outbox, [Entry("summary", body)] if (body := sums.due(0, closing=True)) else [])
        ends = time.monotonic() + 600
        while outbox.status().waiting and time.monotonic() < ends:
            time.sleep(0.05)
        sender.close()
        status = outbox.status()
        with outbox._store.read() as connection:
            gone = [row[0] for row in connection.execute("SELECT sequence FROM gone").fetchall()]
        print(
            json.dumps({"waiting": status.waiting, "aside": status.aside, "dropped": status.dropped, "gone": gone, "next": status.next}),
            flush=True,
        )


def _remember(outbox: Outbox) -> None:
    """Write down which numbers are given up, in the transaction that gives them up: the outbox itself only counts."""
    real = outbox_module.evict

    def evict(connection: sqlite3.Connection, urgency: int) -> bool:
        held = {one: connection.execute(f"SELECT min(sequence) FROM held_{one}").fetchone()[0] for one in range(3)}  # noqa: S608
        done = real(connection, urgency)
        for one, number in held.items():
            after = connection.execute(f"SELECT min(sequence) FROM held_{one}").fetchone()[0]  # noqa: S608
            if after != number:
                connection.execute("INSERT INTO gone VALUES (?)", (number,))
        return done

    outbox_module.evict = evict
    with outbox._store.write(10) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS gone (sequence INTEGER PRIMARY KEY)")


def _step(outbox: Outbox, sums: Summaries, draw: random.Random, now: float) -> None:
    """Some answers: most are counted, some go home whole."""
    entries: list[Entry] = []
    for _ in range(draw.randint(1, 8)):
        record = _answer(draw)
        kind = draw.choices(["counted", "record", "error", "review", "check"], [6, 10, 1, 1, 1])[0]
        if kind == "counted":
            sums.add(record, now)
        else:
            entries.append(Entry(kind, record.to_dict(), record.id))
    if body := sums.due(now):
        entries.append(Entry("summary", body))
    _append(outbox, entries)


def _append(outbox: Outbox, entries: list[Entry]) -> None:
    try:
        numbers = outbox.append(entries) if entries else []
    except StoreError:
        numbers = []
    for entry, number in zip(entries, numbers, strict=False):
        if number is not None:
            rows = entry.body["window"]["rows"] if entry.kind == "summary" else 1
            print(number, entry.id, entry.kind, rows, flush=True)


def _answer(draw: random.Random) -> Record:
    now_ms = time.time_ns() // 1_000_000
    inputs = {"x": np.array([[draw.random() for _ in range(32)]], np.float32), "secret": np.array([4711.25], np.float32)}
    receipt = {"model": "m", "reason": "primary", "time_ms": 1.0, "within_deadline": True}
    record = Record(new_id(), now_ms, now_ms, name="cells", receipt=receipt)
    return leaving(record, inputs, {"label": np.array([draw.randrange(2)])}, SIGNATURE)


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    place, name, address, word, most, pace, number = sys.argv[1:]
    run(Path(place), name, address, word, int(most), float(pace), int(number))
