"""A fleet beside the day of weather: devices that are as wanted, on their way, refused, silent, blocked; for tests and for pictures."""

from __future__ import annotations

import json

from portside.cloud.deployment.file import read
from portside.cloud.fleet import tables
from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.desired import Desired
from portside.cloud.fleet.devices import admitted, block, enrol, want
from portside.cloud.fleet.ingest import ingest
from portside.cloud.records.database import Database
from portside.sdk.core.records import new_id

OLD, NEW = (f"sha256:{digits * 8}" for digits in ("4f1c09aa", "c2d87e01"))
MINUTE = 60_000
RECEIPT = {"reason": "failed", "attempts": ["0:crashed", "1:deadline"]}


def devices(deployment, now_ms, count=14):
    """Enrol them and let them tell; their names."""
    held = read(deployment)
    with Database.open(held.records.place(held.folder)) as database:
        tables.prepare(database)
        keys = {name: enrol(database, name, labels, now_ms - 9 * 86_400_000, ["rain-tomorrow"]) for name, labels in _named(count)}
        want(database, Desired("", OLD, now_ms - 8 * 86_400_000), "ana")
        want(database, Desired("site=north", NEW, now_ms - 40 * MINUTE), "ana")
        for place, (name, key) in enumerate(keys.items()):
            if place != 4:
                _tell(database, name, key, place, now_ms)
        enrol(database, "elsewhere-1", {}, now_ms, ["another"])
        block(database, "roof-06", "reported as stolen")
    return list(keys)


def _named(count):
    for place in range(count):
        yield f"{'gate' if place % 3 else 'roof'}-{place:02d}", {"site": "north" if place % 2 else "south", "line": str(place % 4)}


def _tell(database, name, key, place, now_ms):
    north, refused, late = place % 2 == 1, place in (3, 9), place == 7
    event = {"name": "rolled-back", "release": NEW, "why": "contract: 3 of 64 firm rows differ on tflite"} if refused else {
        "name": "release", "release": NEW if north and not late else OLD}  # fmt: skip
    entries = [("event", {**event, "at_ms": now_ms - 30 * MINUTE})]
    if place == 3:
        entries.append(("error", {"name": "rain-tomorrow", "receipt": RECEIPT, "inputs": {}, "outputs": {}}))
    body = {
        "version": 1, "device": name, "outbox": "o",
        "versions": {"agent": "0.1.0", "platform": "tflite", "release": OLD if refused else event["release"]},
        "dropped": [{"kind": "record", "reason": "evicted", "count": 1204}] if place == 5 else [],
        "entries": [{"sequence": number, "id": new_id(), "kind": kind, "body": said} for number, (kind, said) in enumerate(entries, 1)],
    }  # fmt: skip
    seen_ms = now_ms - (9 * 3_600_000 if place == 2 else place * 7_000)
    ingest(database, admitted(database, name, key), parsed(json.dumps(body).encode(), name), seen_ms)
