"""Run under records/lost_writes.c: a disk that is full for a while, with a server's record writer and a monitor on it.

    python full_disk.py FOLDER LIBRARY DEPLOYMENT.toml

Prints JSON: what was counted, what the monitor said, what is in the database in the end. The webhook of the deployment hears the rest.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from sqlalchemy import select
from watched import NAME, SIGNATURE, record

from portside.cloud.answering.metrics import Metrics
from portside.cloud.deployment.file import read
from portside.cloud.deployment.generation import folder_of as generations_of
from portside.cloud.monitoring import board, reading
from portside.cloud.monitoring.process import Keeper
from portside.cloud.monitoring.tables import DELIVERIES
from portside.cloud.records.database import Database
from portside.cloud.records.store import Draft, RecordStore


def all_told(database: Database) -> None:
    """Wait for the thread that tells. Whoever told beside it would tell twice."""
    owed, ends = select(DELIVERIES.c.event).where(DELIVERIES.c.done_ms.is_(None)), time.monotonic() + 30
    while time.monotonic() < ends:
        with database.read() as connection:
            if connection.execute(owed).first() is None:
                return
        time.sleep(0.05)


def main() -> None:
    folder, library, path = Path(sys.argv[1]), ctypes.CDLL(sys.argv[2]), Path(sys.argv[3])
    library.fault_arm.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
    live, synced = folder / "live", folder / "synced"
    synced.mkdir()
    deployment = read(path)
    store = RecordStore(live / "records.sqlite", size=200)
    board.EVERY_S = 0.05
    boards = board.folder_of(generations_of(deployment.name, deployment.path))
    reporter = board.Reporter(boards, lambda: SimpleNamespace(records=store, metrics=Metrics()))
    reporter.start()
    now = [time.time_ns() // 1_000_000]
    keeper = Keeper(deployment, lambda: now[0])

    def said_anew() -> None:
        """The board was written twice since, so that what the store counts now stands there."""
        seen, ends = set[int](), time.monotonic() + 30
        while len(seen) < 3 and time.monotonic() < ends:
            seen |= {path.stat().st_mtime_ns for path in boards.glob("*.json")}
            time.sleep(0.01)

    def put(count: int, first: int) -> None:
        for place in range(first, first + count):
            inputs = {"x": np.zeros(1, np.float32), "cell": np.zeros(1, np.int64)}
            store.put(Draft(record(place, now[0]), inputs, {"label": np.zeros(1, np.int64)}, SIGNATURE))

    def rounds(count: int) -> list[bool]:
        done = []
        for _ in range(count):
            said_anew()
            now[0] += 10_000
            done.append(keeper.round().acted)
        return done

    put(50, 0)
    assert store.flush()
    assert rounds(1) == [True]
    library.fault_arm(str(live).encode(), str(synced).encode(), -1, os.open(os.devnull, os.O_WRONLY))
    library.fault_full(1)
    put(1000, 50)
    ends = time.monotonic() + 30
    while not store.failing and time.monotonic() < ends:
        time.sleep(0.01)
    put(1000, 1050)
    found = {"while full": rounds(5), "fault": keeper.fault, "lost": store.lost}
    library.fault_full(0)
    assert store.flush(20)
    found["healed"] = rounds(3)
    put(100, 5000)
    assert store.flush(20)
    for place in range(6):
        now[0] += 300_000
        put(1, 6000 + place)
        assert store.flush(20)
        rounds(1)
    all_told(keeper._pipeline.turn.database)
    keeper.close()
    reporter.close()
    found |= {"written": store.written, "lost in all": store.lost}
    store.close()
    with Database.open(live / "records.sqlite") as database:
        found["told"] = [(one["name"], one["state"]) for one in reversed(reading.events(database, NAME))]
        found["counted"] = reading.window_between(database, NAME, now[0] - 86_400_000, now[0] + 60_000).requests
    print(json.dumps(found))


if __name__ == "__main__":
    main()
