"""Run under `lost_writes.c` (LD_PRELOAD): write, acknowledge, be killed at a point; then look at the disk as it is after the cut.

    python crashing.py FOLDER LIBRARY POINTS MODE

One child per point, forked, so that nothing is imported twice. Prints JSON: what was acknowledged, at which points it died, what was
missing or there twice. MODE "durable" is Portside as it is. The others are the negative controls: "unsynced" switches SQLite's syncs
off, "early" acknowledges what is only queued.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
from sqlalchemy import event

from portside.cloud.records.database import Database
from portside.cloud.records.labelling import label
from portside.cloud.records.store import Draft, RecordStore
from portside.cloud.review.deciding import decide
from portside.cloud.review.item import Item
from portside.cloud.review.queue import enqueue, prepare
from portside.sdk.core.labels import Label
from portside.sdk.core.records import Record, uuid7
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 40)),), (TensorSpec("y", "i64", ("batch",), categories=("no", "yes")),))
ROUNDS, RECORDS = 6, 8
SECTOR = 512
ACK = "acknowledged"
NOW_MS = 1_800_000_000_000


def number(kind: int, place: int) -> str:
    return uuid7(NOW_MS + place, bytes([kind] * 6) + place.to_bytes(4, "big"))


def record_of(place: int) -> Draft:
    record = Record(number(1, place), NOW_MS, NOW_MS, "ana", deployment="sha256:d", name="shop")
    return Draft(record, {"x": np.full((1, 40), place, np.float32)}, {"y": np.array([place % 2])}, SIGNATURE)


def label_of(place: int) -> Label:
    return Label(number(2, place), number(1, place), 0, {"y": 1}, "ana", NOW_MS)


def item_of(place: int) -> Item:
    return Item(number(3, place), number(1, place), 0, "shop", output="y", created_ms=NOW_MS)


def decided(database: Database, place: int) -> None:
    decide(database, number(3, place), "ben", {"y": 1}, NOW_MS, token=number(4, place))


def checkpoint_often(database: Database, mode: str) -> None:
    """Many checkpoints in little data; in the control "unsynced", no syncs."""

    def pragmas(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA wal_autocheckpoint = 12")
        if mode == "unsynced":
            connection.execute("PRAGMA synchronous = OFF")

    database.engine.dispose()
    event.listen(database.engine, "connect", pragmas)


def work(folder: Path, acks: int, log: int, mode: str) -> None:
    """Rounds of records, labels, reviews and decisions. What is written to `acks` has been acknowledged."""

    def tell(kind: int, places: range) -> None:
        os.write(log, f"{ACK} {kind}\n".encode())
        os.write(acks, "".join(f"{number(kind, place)}\n" for place in places).encode())

    store = RecordStore(folder / "records.sqlite")
    checkpoint_often(store.database, mode)
    prepare(store.database)
    for turn in range(ROUNDS):
        places = range(turn * RECORDS, (turn + 1) * RECORDS)
        for place in places:
            store.put(record_of(place))
        if mode == "early":
            tell(1, places)
        if store.flush() and store.written == (turn + 1) * RECORDS:
            tell(1, places)
        some = range(places.start, places.start + 3)
        label(store.database, [label_of(place) for place in some])
        tell(2, some)
        enqueue(store.database, [item_of(place) for place in some])
        tell(3, some)
        for place in some:
            decided(store.database, place)
            tell(4, range(place, place + 1))
    store.close()


def child(library: ctypes.CDLL, folder: Path, at: int, mode: str) -> tuple[list[str], list[str]]:
    """A process that dies at point `at`: what it had acknowledged, and its log, a line per point or acknowledgement."""
    live, synced = folder / "live", folder / "synced"
    for path in (live, synced):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    read_acks, write_acks = os.pipe()
    log = os.open(folder / "log", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        library.fault_arm(str(live).encode(), str(synced).encode(), at, log)
        try:
            work(live, write_acks, log, mode)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr)
            os._exit(3)
        os._exit(0)
    os.close(write_acks)
    os.close(log)
    with os.fdopen(read_acks) as told:
        acked = told.read().split()
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), f"the child ended with {status}"
    return acked, (folder / "log").read_text().splitlines()


def after_the_cut(folder: Path, kind: str, seed: int) -> Path:
    """The disk: "synced" alone; "live", as after kill -9; "torn", each sector that was not synced kept or lost by chance."""
    live, synced, disk = folder / "live", folder / "synced", folder / f"disk-{kind}"
    shutil.rmtree(disk, ignore_errors=True)
    disk.mkdir()
    draw = random.Random(seed)
    names = {path.name for path in (*live.iterdir(), *synced.iterdir()) if not path.name.endswith(("-shm", ".part"))}
    for name in sorted(names):
        now, then = (path.read_bytes() if path.exists() else None for path in (live / name, synced / name))
        chosen = {"synced": then, "live": now}[kind] if kind != "torn" else torn(now, then, draw)
        if chosen is not None:
            (disk / name).write_bytes(chosen)
    return disk / "records.sqlite"


def torn(now: bytes | None, then: bytes | None, draw: random.Random) -> bytes | None:
    if now is None or then is None:
        return draw.choice([now, then])
    size = draw.choice([len(now), len(then)])
    sectors = [draw.choice([one[at : at + SECTOR].ljust(SECTOR, b"\0") for one in (now, then)]) for at in range(0, size, SECTOR)]
    return b"".join(sectors)[:size]


def lost(path: Path, acked: list[str], again: bool) -> dict[str, list[str]]:
    """What was acknowledged and is not there once. `again`: after all of it was sent again, as callers do who have lost the answer."""
    if again and acked:
        resend(path, acked)
    held: Counter[str] = Counter()
    try:
        with closing(sqlite3.connect(path)) as database:
            sound = database.execute("PRAGMA integrity_check").fetchone()[0]
            for table in ("records", "labels", "reviews", "review_decisions"):
                if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone():
                    held.update(f"{table} {row[0]}" for row in database.execute(f"SELECT id FROM {table}"))  # noqa: S608
            rows = [row[0] for row in database.execute("SELECT seq FROM records ORDER BY seq")] if held else []
    except sqlite3.DatabaseError as error:
        return {"unsound": [str(error)], "missing": acked, "twice": []}
    tables = {number(kind, 0)[14:23]: table for kind, table in ((1, "records"), (2, "labels"), (3, "reviews"), (4, "review_decisions"))}
    wanted = [f"{tables[one[14:23]]} {one}" for one in acked]
    return {"unsound": [] if sound == "ok" and len(set(rows)) == len(rows) else [sound],
            "missing": [one for one in wanted if held[one] == 0], "twice": [one for one, count in held.items() if count > 1]}  # fmt: skip


def resend(path: Path, acked: list[str]) -> None:
    with Database.open(path) as database:
        prepare(database)
        for place in range(ROUNDS * RECORDS):
            if number(2, place) in acked:
                assert label(database, [label_of(place)]) == 0
            if number(3, place) in acked:
                enqueue(database, [item_of(place)])
            if number(4, place) in acked:
                decided(database, place)


def main() -> None:
    folder, library, count, mode = Path(sys.argv[1]), ctypes.CDLL(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    library.fault_arm.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
    whole, log = child(library, folder, -1, mode)
    total = sum(not line.startswith(ACK) for line in log)
    chosen = sorted({1 + round(step * (total - 1) / max(count - 1, 1)) for step in range(count)})
    if mode == "early":  # right after records were acknowledged
        next_points = [after for line, after in itertools.pairwise(log) if line == f"{ACK} 1" and not after.startswith(ACK)]
        chosen = [int(point.split()[0]) for point in next_points[:count]]
    found = {"points": total, "acknowledged": len(whole), "died": [], "faults": []}
    for at in chosen:
        acked, log = child(library, folder, at, mode)
        point = [line for line in log if not line.startswith(ACK)][-1]
        found["died"].append(point)
        for kind in ("live", "synced", "torn"):
            path = after_the_cut(folder, kind, seed=at)
            wrong = lost(path, acked, again=False)
            if not any(wrong.values()) and kind == "torn":
                wrong = lost(path, acked, again=True)
            if any(wrong.values()):
                found["faults"].append({"at": point, "disk": kind, **{name: held[:5] for name, held in wrong.items()}})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
