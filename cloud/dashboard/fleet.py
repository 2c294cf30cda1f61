"""Devices on the dashboard: those that may send records of a deployment, how each stands, which releases run; the log of one.

A key for some deployments sees the devices of those alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..fleet.overview import Line, Told, fleet, log
from ..fleet.standing import STATES
from ..records.database import Database

MOST = 500
"""Devices in the list; those that need somebody come first, so that what is left out is well."""
LINES = 100


def listed(database: Database, deployment: str, now_ms: int) -> dict[str, Any]:
    """Devices of a deployment, those that need somebody first. Raises SQLAlchemyError."""
    held = sorted(_of(database, deployment, now_ms), key=lambda line: (STATES.index(line.standing.state), line.device.id))
    counts = Counter(line.standing.state for line in held)
    return {
        "devices": [line.to_dict() for line in held[:MOST]], "total": len(held), "releases": _releases(held),
        "states": {state: counts[state] for state in STATES if counts[state]}, "errors": sum(line.errors for line in held),
        "lost": sum(sum(line.device.lost.values()) for line in held),
    }  # fmt: skip


def one(database: Database, deployment: str, device: str, now_ms: int) -> dict[str, Any] | None:
    """One device with its log; None: there is none of that name for this deployment. Raises SQLAlchemyError."""
    line = next((held for held in _of(database, deployment, now_ms) if held.device.id == device), None)
    return None if line is None else {**line.to_dict(), "log": [_told(told) for told in log(database, line.device, LINES)]}


def _of(database: Database, deployment: str, now_ms: int) -> list[Line]:
    return [line for line in fleet(database, now_ms) if line.device.allows(deployment)]


def _releases(held: Sequence[Line]) -> list[dict[str, Any]]:
    """By release: how many run it, and of how many it is wanted; those that are wanted most first."""
    running = Counter(line.to_dict()["running"] for line in held)
    desired = Counter(line.device.desired for line in held)
    known = sorted({name for name in (*running, *desired) if name}, key=lambda name: (-desired[name], -running[name], name))
    return [{"release": name, "running": running[name], "desired": desired[name]} for name in known]


def _told(told: Told) -> dict[str, Any]:
    return {"at_ms": told.at_ms, "kind": told.kind, "name": told.name, "what": told.what, "record": told.data.get("record"),
            "release": told.data.get("release")}  # fmt: skip
