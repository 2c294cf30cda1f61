"""What a monitor has made, for those who show it: windows of any span, the state of things, alerts, findings. Reads only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import case, func, select

from ...sdk.core.window import Window
from ..alerts.slo import Counts
from ..alerts.state import Alert, State
from ..monitor import Finding
from ..records.database import Database
from .levels import DAY_MS, SIZES, Level, cover, floor
from .storing import QUALITY, TRAFFIC, at
from .tables import ALERTS, COUNTS, EVENTS, FINDINGS, GAUGES, LEASES, WINDOWS

LEVELS: tuple[Level, ...] = ("day", "hour", "minute")


@dataclass(frozen=True)
class Status:
    """How a deployment is, at its newest.

    Attributes:
        deployment: name.
        at_ms: when the monitor last wrote; 0: it never ran.
        monitored: one holds the lease at that time.
        last_hour, last_day: what was served within the hour and the day before `at_ms`.
        gauges: name -> {labels as text: value}, as /metrics shows them.
        alerts: that are pending or fire.
    """

    deployment: str
    at_ms: int
    monitored: bool
    last_hour: Window
    last_day: Window
    gauges: dict[str, dict[str, float]]
    alerts: list[Alert]


@dataclass(frozen=True)
class Found:
    """A finding, in which span, and by whom: the name of a hook."""

    finding: Finding
    source: str
    start_ms: int
    end_ms: int
    seq: int


def windows_between(database: Database, deployment: str, start_ms: int, end_ms: int) -> list[Window]:
    """Windows that together are the span, by time, each with how right its labelled records were. Raises SQLAlchemyError.

    The span is widened to whole minutes. Each window is as long as it can be: a day, an hour or a minute.
    """
    start_ms, end_ms = floor("minute", start_ms), -(-end_ms // SIZES["minute"]) * SIZES["minute"]
    held = _windows(database, deployment, start_ms, end_ms)
    return [held[start] for start in sorted(held)]


def window_between(database: Database, deployment: str, start_ms: int, end_ms: int) -> Window:
    """The span as one window: sliding where its end moves, cumulative where it begins with the deployment."""
    whole = Window.merge_all(windows_between(database, deployment, start_ms, end_ms))
    return replace(whole, deployment=deployment, start_ms=start_ms, end_ms=end_ms)


def counts_between(database: Database, deployment: str, name: str, start_ms: int, end_ms: int) -> Counts:
    """Good and bad answers of an objective whose minute began within the span."""
    table = COUNTS.c
    query = select(func.coalesce(func.sum(table.good), 0), func.coalesce(func.sum(table.bad), 0)).where(
        table.deployment == deployment, table.name == name, table.start_ms >= start_ms, table.start_ms < end_ms)  # fmt: skip
    with database.read() as connection:
        row = connection.execute(query).one()
    return Counts(int(row[0]), int(row[1]))


def counts_since(database: Database, deployment: str, name: str, starts_ms: Sequence[int], end_ms: int) -> list[Counts]:
    """The same for several spans that end together, in one look."""
    table = COUNTS.c
    within = [case((table.start_ms >= start, column), else_=0) for start in starts_ms for column in (table.good, table.bad)]
    query = select(*(func.coalesce(func.sum(one), 0) for one in within)).where(
        table.deployment == deployment, table.name == name, table.start_ms >= min(starts_ms), table.start_ms < end_ms)  # fmt: skip
    with database.read() as connection:
        row = [int(value) for value in connection.execute(query).one()]
    return [Counts(good, bad) for good, bad in zip(row[::2], row[1::2], strict=True)]


def alerts(database: Database, deployment: str, state: State | None = None) -> list[Alert]:
    """Alerts, those that fire first, the newest first."""
    query = select(ALERTS.c.data).where(ALERTS.c.deployment == deployment)
    if state is not None:
        query = query.where(ALERTS.c.state == state)
    with database.read() as connection:
        found = [Alert.from_dict(json.loads(row[0])) for row in connection.execute(query)]
    return sorted(found, key=lambda alert: (("firing", "pending", "resolved").index(alert.state), -alert.since_ms))


def events(database: Database, deployment: str, limit: int = 200) -> list[dict[str, Any]]:
    """What was told, the newest first: id, alert, name, subject, state, at_ms, and the alert as it was then."""
    query = select(EVENTS).where(EVENTS.c.deployment == deployment).order_by(EVENTS.c.seq.desc()).limit(limit)
    with database.read() as connection:
        return [{**row._asdict(), "data": json.loads(row.data)} for row in connection.execute(query)]


def findings(database: Database, deployment: str, name: str | None = None, since_ms: int = 0, limit: int = 1000) -> list[Finding]:
    """What was found, the newest first."""
    return [held.finding for held in found(database, deployment, name, since_ms, limit)]


def found(database: Database, deployment: str, name: str | None = None, since_ms: int = 0, limit: int = 1000) -> list[Found]:
    """The same with their spans."""
    table = FINDINGS.c
    query = select(table.data, table.source, table.start_ms, table.end_ms, table.seq)
    query = query.where(table.deployment == deployment, table.end_ms >= since_ms)
    if name is not None:
        query = query.where(table.name == name)
    with database.read() as connection:
        rows = connection.execute(query.order_by(table.end_ms.desc(), table.seq.desc()).limit(limit)).all()
    return [Found(Finding.from_dict(json.loads(row[0])), row[1], row[2], row[3], row[4]) for row in rows]


def gauges(database: Database, deployment: str) -> dict[str, dict[str, float]]:
    """name -> {labels: value}."""
    found: dict[str, dict[str, float]] = {}
    query = select(GAUGES.c.name, GAUGES.c.labels, GAUGES.c.value).where(GAUGES.c.deployment == deployment)
    with database.read() as connection:
        for name, labels, value in connection.execute(query.order_by(GAUGES.c.name, GAUGES.c.labels)):
            found.setdefault(name, {})[labels] = value
    return found


def latest(database: Database, deployment: str) -> Status:
    """How the deployment is now."""
    query = select(GAUGES.c.at_ms).where(GAUGES.c.deployment == deployment).order_by(GAUGES.c.at_ms.desc()).limit(1)
    with database.read() as connection:
        at_ms = connection.execute(query).scalar() or 0
        until = connection.execute(select(LEASES.c.until_ms).where(LEASES.c.deployment == deployment)).scalar() or 0
    now = at_ms + SIZES["minute"]
    return Status(deployment, at_ms, until > at_ms, window_between(database, deployment, now - SIZES["hour"], now),
                  window_between(database, deployment, now - DAY_MS, now), gauges(database, deployment),
                  [alert for alert in alerts(database, deployment) if alert.state != "resolved"])  # fmt: skip


def _windows(database: Database, deployment: str, start_ms: int, end_ms: int) -> dict[int, Window]:
    """start -> window of a span of whole minutes. Quality has rows at every level, so it is read where traffic is."""
    table, found = WINDOWS.c, dict[int, list[Window]]()
    query = select(table.level, table.start_ms).where(table.deployment == deployment, table.part == TRAFFIC, table.level.in_(LEVELS),
                                                      table.start_ms >= start_ms, table.end_ms <= end_ms)  # fmt: skip
    with database.read() as connection:
        places = cover([(row[0], row[1]) for row in connection.execute(query)], start_ms, end_ms)
        for level in LEVELS:
            starts = [start for held, start in places if held == level]
            for part in (TRAFFIC, QUALITY):
                for start, window in at(connection, deployment, level, part, starts).items():
                    found.setdefault(start, []).append(window)
    return {start: Window.merge_all(parts) for start, parts in found.items()}
