"""The tables of the monitor, beside the records they are made from.

- `monitor_windows`: a Window of a minute, an hour or a day (`level`) as JSON, and the spans that were judged ("judged"). `part` "traffic"
  grows as records come; "quality" is made anew from labelled records whenever a label comes. The window of a span is both, merged.
  Where an hour's row is there, its minutes are in it; where a day's is there, its hours are.
- `monitor_counts`: good and bad answers per minute and objective, counted exactly.
- `monitor_cursors`: how far each consumer has come, changed in the transaction that holds what it made.
- `monitor_leases`: who acts.
- `monitor_findings`: what was found in judged spans, in order; of what is judged all the time ("live") the newest alone.
- `monitor_gauges`: figures for `/metrics`.
- `alerts`: one row per alert and subject; `alert_events`: what was to be told, appended; `alert_deliveries`: to whom, and whether it was.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text

from ..records.database import Database
from ..records.tables import METADATA, sequence


def _text(name: str, key: bool = False) -> Column[str]:
    return Column(name, Text(), primary_key=key, nullable=False)


def _whole(name: str, key: bool = False, empty: bool = False) -> Column[int]:
    return Column(name, BigInteger(), primary_key=key, nullable=empty, autoincrement=False)


WINDOWS = Table(
    "monitor_windows", METADATA, _text("deployment", True), _text("level", True), _text("part", True), _whole("start_ms", True),
    _whole("end_ms"), _whole("rows"), _text("data"),
)  # fmt: skip
COUNTS = Table(
    "monitor_counts", METADATA, _text("deployment", True), _text("name", True), _whole("start_ms", True), _whole("good"), _whole("bad"),
)  # fmt: skip
CURSORS = Table(
    "monitor_cursors", METADATA, _text("deployment", True), _text("consumer", True), _whole("records"), _whole("labels"), _whole("windows"),
    _text("data"),
)  # fmt: skip
LEASES = Table("monitor_leases", METADATA, _text("deployment", True), _text("holder"), _whole("until_ms"))
FINDINGS = Table(
    "monitor_findings", METADATA, sequence(), _text("deployment"), _text("source"), _text("name"), _text("subject"), _text("verdict"),
    _whole("start_ms"), _whole("end_ms"), _whole("live"), _text("data"), sqlite_autoincrement=True,
)  # fmt: skip
GAUGES = Table(
    "monitor_gauges", METADATA, _text("deployment", True), _text("name", True), _text("labels", True),
    Column("value", Float(53), nullable=False), _whole("at_ms"),
)  # fmt: skip
ALERTS = Table(
    "alerts", METADATA, _text("deployment", True), _text("name", True), _text("subject", True), _text("id"), _text("state"),
    _whole("since_ms"), _text("severity"), _text("data"),
)  # fmt: skip
EVENTS = Table(
    "alert_events", METADATA, sequence(), Column("id", Text(), nullable=False, unique=True), _text("deployment"), _text("alert"),
    _text("name"), _text("subject"), _text("state"), _whole("at_ms"), _text("data"), sqlite_autoincrement=True,
)  # fmt: skip
DELIVERIES = Table(
    "alert_deliveries", METADATA, _text("event", True), _text("target", True), _text("deployment"),
    Column("attempts", Integer(), nullable=False), _whole("next_ms"), _whole("done_ms", empty=True), _text("fault"),
)  # fmt: skip
Index("monitor_findings_by_time", FINDINGS.c.deployment, FINDINGS.c.end_ms)
Index("alert_deliveries_due", DELIVERIES.c.deployment, DELIVERIES.c.done_ms, DELIVERIES.c.next_ms)
OWN = (WINDOWS, COUNTS, CURSORS, LEASES, FINDINGS, GAUGES, ALERTS, EVENTS, DELIVERIES)


def prepare(database: Database) -> None:
    """Make the tables where they are not there. Raises SQLAlchemyError."""
    database.prepare(*OWN)
