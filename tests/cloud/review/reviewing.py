"""Reviewers in processes of their own.

    python reviewing.py PLACE NAME SECONDS     take, answer, sometimes skip or take back, until nothing waits

Prints what was acknowledged, one JSON line each. "at": when it was; "began": when the call that ended a hold began. Unix milliseconds.
"""

from __future__ import annotations

import json
import random
import sys
import time

from portside.cloud.records.database import Database
from portside.cloud.review import queue


def now() -> int:
    return time.time_ns() // 1_000_000


def told(did: str, number: str, **more) -> None:
    sys.stdout.write(json.dumps({"did": did, "id": number, "at": now(), **more}) + "\n")
    sys.stdout.flush()


def review(place: str, name: str, seconds: float) -> None:
    chance, ends = random.Random(name), time.monotonic() + seconds
    with Database.open(place) as database:
        queue.prepare(database)
        told("ready", "")
        sys.stdin.readline()
        first = True
        while time.monotonic() < ends:
            item = queue.lease(database, name, now(), ms=5000)
            if item is None:
                return
            told("lease", item.id)
            time.sleep(0.02)  # whoever looks leaves the database to others
            if first:  # nobody goes on before everybody has one
                sys.stdin.readline()
            began, turn = now(), chance.random()
            if turn < 0.3 and not first:
                queue.skip(database, item.id, name, now())
                told("skip", item.id, began=began)
                continue
            first = False
            if turn < 0.4:
                made = queue.decide(database, item.id, name, {"label": 0}, now())
                queue.undo(database, item.id, name, now(), token=made.id)
                told("undo", item.id, token=made.id)
            made = queue.decide(database, item.id, name, {"label": 1}, now())
            told("decide", item.id, token=made.id, began=began)


if __name__ == "__main__":
    review(sys.argv[1], sys.argv[2], float(sys.argv[3]))
