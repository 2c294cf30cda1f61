"""Findings into alerts: the alerts, what is to be told, to whom it is owed, and the cursor over findings, in one transaction.

Findings of spans carry the time at which their span ended, so that alerts come out the same whenever they are read, and a monitor that
was killed and started again raises what it would have raised. What is judged all the time ("live") counts at the time of the clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from sqlalchemy import Connection, delete, insert, select

from ..alerts.judging import Alerts, judged, worth_telling
from ..alerts.rule import Rule
from ..alerts.state import Alert, Event
from ..monitor import Finding
from ..records.database import Database
from .about import About
from .counting import Note, quiet
from .cursors import ALERT, Cursor, cursor_of, move
from .tables import ALERTS, DELIVERIES, EVENTS, FINDINGS
from .turn import Turn
from .upsert import once, upsert

AT_ONCE = 5000


def raise_alerts(turn: Turn, about: About, live: Sequence[Finding], now_ms: int, targets: Iterable[str] = (),
                 note: Note = quiet) -> list[Event]:  # fmt: skip
    """Let the findings since the last time, and `live` ones, move the alerts; what is to be told.

    Args:
        live: what holds now, of what is judged all the time.
        targets: whom it is to be told.

    Raises LostTurnError, SQLAlchemyError; nothing has moved then.
    """
    with turn.write() as connection:
        held = cursor_of(connection, about.name, ALERT)
        rows = _findings(connection, about.name, held.windows)
        before = alerts_of(connection, about.name)
        rules = (*about.rules, *implied(about, [(source, finding) for _, _, source, finding in rows]))
        kept, events = _moved(before, rules, rows, about.name)
        kept, more = judged(kept, rules, live, now_ms, about.name)
        note("alerting")
        save(connection, about.name, before, kept, [*events, *more], targets, now_ms)
        keep_live(connection, about.name, live, now_ms)
        if rows:
            move(connection, about.name, ALERT, Cursor(windows=rows[-1][0]))
        note("alerts committing")
    note("alerted")
    return [*events, *more]


def implied(about: About, found: Iterable[tuple[str, Finding]]) -> list[Rule]:
    """Rules for what own hooks find and no rule of the file is about: a breach is an alert, unless the file switches it off by name."""
    off = {rule.name for rule in about.settings.alert if not rule.enabled}
    names = dict.fromkeys(finding.name for source, finding in found if source.startswith("hook:")
                          and not any(rule.concerns(finding) for rule in about.rules))  # fmt: skip
    return [Rule(name, when=name, clear_s=300.0) for name in names if name not in off]


def alerts_of(connection: Connection, deployment: str) -> dict[tuple[str, str], Alert]:
    """The alerts there are, by (name, subject)."""
    rows = connection.execute(select(ALERTS.c.data).where(ALERTS.c.deployment == deployment))
    return {alert.key: alert for alert in (Alert.from_dict(json.loads(row[0])) for row in rows)}


def read_alerts(database: Database, deployment: str) -> dict[tuple[str, str], Alert]:
    """The same. Raises SQLAlchemyError."""
    with database.read() as connection:
        return alerts_of(connection, deployment)


def save(connection: Connection, deployment: str, before: Alerts, after: Alerts, events: Sequence[Event], targets: Iterable[str],
         now_ms: int, told: bool = False) -> None:  # fmt: skip
    """Write alerts that have changed, events, and what is owed to whom. `told`: the events were told already. An event is written once."""
    for key in before.keys() - after.keys():
        connection.execute(delete(ALERTS).where(ALERTS.c.deployment == deployment, ALERTS.c.name == key[0], ALERTS.c.subject == key[1]))
    for key, alert in after.items():
        if before.get(key) != alert:
            upsert(connection, ALERTS, {"deployment": deployment, "name": alert.name, "subject": alert.subject},
                   {"id": alert.id, "state": alert.state, "since_ms": alert.since_ms, "severity": alert.severity,
                    "data": _json(alert.to_dict())})  # fmt: skip
    owed, news = list(targets), {event.id for event in worth_telling(events, now_ms)}
    for event in events:
        alert = event.alert
        new = once(connection, EVENTS, {"id": event.id}, {
            "deployment": deployment, "alert": alert.id, "name": alert.name, "subject": alert.subject, "state": alert.state,
            "at_ms": event.at_ms, "data": _json(alert.to_dict()),
        })  # fmt: skip
        due = {"deployment": deployment, "attempts": 0, "next_ms": event.at_ms, "done_ms": event.at_ms if told else None, "fault": ""}
        if new and owed and event.id in news:
            connection.execute(insert(DELIVERIES), [{"event": event.id, "target": target, **due} for target in owed])


def keep_live(connection: Connection, deployment: str, live: Iterable[Finding], now_ms: int) -> None:
    """Of what is judged all the time only the newest is kept."""
    connection.execute(delete(FINDINGS).where(FINDINGS.c.deployment == deployment, FINDINGS.c.live == 1))
    rows = [{"deployment": deployment, "source": "monitor", "name": finding.name, "subject": finding.subject, "verdict": finding.verdict,
             "start_ms": now_ms, "end_ms": now_ms, "live": 1, "data": _json(finding.to_dict())} for finding in live]  # fmt: skip
    if rows:
        connection.execute(insert(FINDINGS), rows)


def _moved(before: Alerts, rules: Sequence[Rule], rows: Sequence[tuple[int, int, str, Finding]],
           deployment: str) -> tuple[Mapping[tuple[str, str], Alert], list[Event]]:  # fmt: skip
    """The alerts after the findings of spans, one span's after the other."""
    events = list[Event]()
    for end_ms, group in groupby(rows, key=lambda row: row[1]):
        before, more = judged(before, rules, [finding for _, _, _, finding in group], end_ms, deployment)
        events += more
    return before, events


def _findings(connection: Connection, deployment: str, seq: int) -> list[tuple[int, int, str, Finding]]:
    """(seq, end of the span, source, finding) since the cursor."""
    table = FINDINGS.c
    query = select(table.seq, table.end_ms, table.source, table.data)
    query = query.where(table.deployment == deployment, table.seq > seq, table.live == 0)
    rows = connection.execute(query.order_by(table.seq).limit(AT_ONCE))
    return [(row[0], row[1], row[2], Finding.from_dict(json.loads(row[3]))) for row in rows]


def _json(data: Mapping[str, object]) -> str:
    return json.dumps(data, ensure_ascii=False, default=str)
