"""A fleet as people look at it: each device with how it stands, and the log of one. Reads only; nothing where no fleet has been here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, func, inspect, select

from ..monitoring.levels import DAY_MS
from ..records.database import Database
from ..records.tables import RECORDS
from .desired import Desired, matches
from .devices import Device, devices
from .standing import ACTIVE, REFUSED, RELEASE, Outcome, Standing, standing
from .tables import DEVICES, ENTRIES, EVENTS, WORDS


@dataclass(frozen=True)
class Line:
    """One device. outcomes: of its updates, the newest of each name, the newest first. errors: that came home from it within a day."""

    device: Device
    standing: Standing
    outcomes: tuple[Outcome, ...]
    errors: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; no key, nor its hash."""
        held = self.device
        return {
            "id": held.id, "labels": dict(held.labels), "state": self.standing.state, "why": self.standing.why, "seen_ms": held.seen_ms,
            "made_ms": held.made_ms, "running": held.versions.get(RELEASE), "desired": held.desired, "versions": dict(held.versions),
            "deployments": list(held.deployments), "entries": held.entries, "missing": held.missing, "lost": dict(held.lost),
            "lost_total": sum(held.lost.values()), "errors": self.errors, "blocked": held.blocked,
            "update": vars(self.outcomes[0]) if self.outcomes else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A line of a device's log. kind: "event", "error" or "desired"; name: of the event, or why the error came."""

    at_ms: int
    kind: str
    name: str
    what: str
    data: dict[str, Any]


def there(database: Database) -> bool:
    """Whether a device was ever enrolled here. Raises SQLAlchemyError."""
    return inspect(database.engine).has_table(DEVICES.name)


def fleet(database: Database, now_ms: int) -> list[Line]:
    """All devices, by name. Raises SQLAlchemyError."""
    if not there(database):
        return []
    held = devices(database)
    with database.read() as connection:
        outcomes, errors = _outcomes(connection), _errors(connection, now_ms - DAY_MS)
    found = [(one, outcomes.get(one.id, ())) for one in held]
    return [Line(one, standing(one, told, now_ms), told, errors.get(one.id, 0)) for one, told in found]


def log(database: Database, device: Device, limit: int = 50) -> list[Told]:
    """What happened to a device: its events, the errors that came home, and what was wanted of it; the newest first.

    Raises SQLAlchemyError.
    """
    with database.read() as connection:
        found = [*_events(connection, device.id, limit), *_failures(connection, device.id, limit), *_wishes(connection, device, limit)]
    return sorted(found, key=lambda told: -told.at_ms)[:limit]


def said(connection: Connection) -> list[Desired]:
    """All that was ever wanted, the oldest first."""
    table = WORDS.c
    return [Desired(*row) for row in connection.execute(select(table.selector, table.release, table.at_ms).order_by(table.seq))]


def _outcomes(connection: Connection) -> dict[str, tuple[Outcome, ...]]:
    """The newest event of each name that updates have, by device, the newest first."""
    newest = select(func.max(EVENTS.c.seq)).where(EVENTS.c.name.in_((ACTIVE, REFUSED))).group_by(EVENTS.c.device, EVENTS.c.name)
    found = dict[str, tuple[Outcome, ...]]()
    for row in connection.execute(select(EVENTS).where(EVENTS.c.seq.in_(newest)).order_by(EVENTS.c.seq.desc())):
        found[row.device] = (*found.get(row.device, ()), Outcome.of(row.name, row.at_ms, json.loads(row.data)))
    return found


def _errors(connection: Connection, since_ms: int) -> dict[str, int]:
    table = ENTRIES.c
    query = select(table.device, func.count()).where(table.kind == "error", table.received_ms >= since_ms).group_by(table.device)
    return {row[0]: row[1] for row in connection.execute(query)}


def _events(connection: Connection, device: str, limit: int) -> list[Told]:
    rows = connection.execute(select(EVENTS).where(EVENTS.c.device == device).order_by(EVENTS.c.seq.desc()).limit(limit))
    return [_happened(row.at_ms, row.name, json.loads(row.data)) for row in rows]


def _happened(at_ms: int, name: str, data: dict[str, Any]) -> Told:
    return Told(at_ms, "event", name, str(data.get("why", ""))[:500], {**data, "release": str(data.get("release", ""))})


def _failures(connection: Connection, device: str, limit: int) -> list[Told]:
    table = RECORDS.c
    query = select(table.id, table.server_ms, table.name, table.receipt).join(ENTRIES, ENTRIES.c.id == table.id)
    query = query.where(ENTRIES.c.device == device, ENTRIES.c.kind == "error").order_by(ENTRIES.c.sequence.desc()).limit(limit)
    return [_failed(row) for row in connection.execute(query)]


def _failed(row: Any) -> Told:
    """What a record says of why it is an error; a device wrote it, so that nothing is sure of its form."""
    receipt = json.loads(row.receipt or "{}")
    attempts = receipt.get("attempts")
    tried = ", ".join(map(str, cast("list[Any]", attempts))) if isinstance(attempts, list) else ""
    return Told(row.server_ms, "error", str(receipt.get("reason") or "error")[:100], f"{row.name}{tried and ': '}{tried}"[:500],
                {"record": row.id, "deployment": row.name})  # fmt: skip


def _wishes(connection: Connection, device: Device, limit: int) -> list[Told]:
    rows = connection.execute(select(WORDS).order_by(WORDS.c.seq.desc()))
    meant = [row for row in rows if matches(row.selector, device.id, device.labels)][:limit]
    return [Told(row.at_ms, "desired", row.release or "nothing", f"said by {row.by} for {row.selector or 'all devices'}",
                 {"selector": row.selector, "release": row.release, "by": row.by}) for row in meant]  # fmt: skip
