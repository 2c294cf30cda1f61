"""Batches as devices send them, for tests."""

from __future__ import annotations

import gzip
import json
from typing import Any

from portside.cloud.fleet.batch import parsed
from portside.cloud.fleet.devices import Device, admitted, enrol
from portside.cloud.fleet.doors import prepare
from portside.cloud.fleet.ingest import Taken, ingest
from portside.cloud.records.database import Database
from portside.sdk.core.records import new_id

NOW = 1_790_000_000_000


class Holds:
    """What `prepare` asks of a desk."""

    def __init__(self, database: Database) -> None:
        self.database = database


def known(database: Database, name: str = "cam-7", **more: Any) -> Device:
    """A device that is enrolled and let in."""
    prepare(Holds(database))
    return admitted(database, name, enrol(database, name, {"site": "north"}, NOW, **more))


def record(sequence: int, id: str | None = None, kind: str = "record", **body: Any) -> dict[str, Any]:  # noqa: A002
    """An entry that is a record."""
    said = {"name": "cells", "server_ms": NOW - 5, "event_ms": NOW - 5, "inputs": {"x": [[1.0]]}, "outputs": {"label": [sequence % 2]}}
    return {"sequence": sequence, "id": id or new_id(), "kind": kind, "body": {**said, **body}}


def batch(*entries: dict[str, Any], device: str = "cam-7", outbox: str = "o1", **more: Any) -> bytes:
    """The body of a request, not compressed."""
    head = {"version": 1, "device": device, "outbox": outbox, "versions": {"agent": "1"}, "dropped": []}
    return json.dumps({**head, "entries": entries, **more}).encode()


def sent(database: Database, device: Device, *entries: dict[str, Any], now_ms: int = NOW, **more: Any) -> Taken:
    """Send a batch."""
    return ingest(database, device, parsed(batch(*entries, device=device.id, **more), device.id), now_ms)


def zipped(body: bytes) -> bytes:
    """As it goes over the line."""
    return gzip.compress(body)
