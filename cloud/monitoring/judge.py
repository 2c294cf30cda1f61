"""Spans that have ended: put together, held against their reference, findings written; each span once.

The span, what was found in it, the state of the watch and the cursor are written in one transaction. Hooks of others look at the same
spans with cursors of their own (consuming.py).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert
from sqlalchemy.exc import SQLAlchemyError

from ...sdk.core.errors import PortsideError
from ...sdk.core.window import Window
from ..monitor import Finding
from ..records.database import Database
from . import builtin
from .about import About
from .counting import Note, quiet
from .cursors import JUDGE, Cursor, cursor_of, move, read_cursor
from .drifting import Reference
from .examples import examples
from .levels import DAY_MS, MINUTE_MS, floor
from .packages import comparable, runs
from .reading import windows_between
from .spans import Span, ended
from .storing import TRAFFIC, at, put, starts
from .tables import FINDINGS
from .turn import Turn

GRACE_MS = 5_000
"""So long after its end a minute is closed: records are written within a tenth of a second, unless the disk is slow."""
log = logging.getLogger("portside.monitor")


def judge(turn: Turn, about: About, now_ms: int, note: Note = quiet) -> int:
    """Judge the spans that have ended; how many. Raises LostTurnError, FormatError, SQLAlchemyError."""
    database, name, spans = turn.database, about.name, about.settings.spans
    held = read_cursor(database, name, JUDGE)
    with database.read() as connection:
        fresh = starts(connection, name, "minute", TRAFFIC, held.windows, now_ms)
    found = ended(fresh.items(), spans.rows, spans.minutes, now_ms - GRACE_MS)
    for window in (window for span in found for window in _windows(database, about, span)):
        reference = reference_of(database, about, window)
        findings, data = _judged(held.data, comparable(window, about.champion), reference, about)
        findings = [_shown(database, about, window, reference, finding) for finding in findings]
        note("judging")
        with turn.write() as connection:
            if cursor_of(connection, name, JUDGE).windows != held.windows:
                return 0
            put(connection, name, "judged", TRAFFIC, window)
            write_findings(connection, about, window, [(builtin.SOURCE, finding) for finding in findings])
            held = Cursor(windows=window.end_ms, data=data)
            move(connection, name, JUDGE, held)
            note("judgement committing")
        note("judged")
    return len(found)


def reference_of(database: Database, about: About, window: Window) -> Reference:
    """What a window is held against: the training profile, or the days before it; None: nothing yet."""
    days = about.settings.reference
    if days == "profile":
        return about.profile
    if days == "early":
        return None
    held = windows_between(database, about.name, floor("minute", window.start_ms - days * DAY_MS), window.start_ms)
    past = Window.merge_all([comparable(one, about.champion) for one in held])
    return past if past.rows else None


def write_findings(connection: Connection, about: About, window: Window, findings: Iterable[tuple[str, Finding]]) -> None:
    """Append what was found in a span: (source, finding)."""
    rows = [{"deployment": about.name, "source": source, "name": finding.name, "subject": finding.subject, "verdict": finding.verdict,
             "start_ms": window.start_ms, "end_ms": window.end_ms, "live": 0, "data": json.dumps(finding.to_dict(), default=str)}
            for source, finding in findings]  # fmt: skip
    if rows:
        connection.execute(insert(FINDINGS), rows)


def _judged(data: Mapping[str, Any], window: Window, reference: Reference, about: About) -> tuple[list[Finding], Mapping[str, Any]]:
    """What is found. Whatever odd data does to it is a finding too, and the next span is judged."""
    try:
        return builtin.judged(data, window, reference, about)
    except Exception as error:  # recorded, told, and the next span is judged
        log.exception("A span of %s cannot be judged", about.name)
        return [Finding("hook", builtin.SOURCE, 1.0, "breach", f"drift cannot be judged: {type(error).__name__}: {error}")], data


def _shown(database: Database, about: About, window: Window, reference: Reference, finding: Finding) -> Finding:
    """The finding with ids of records that show it."""
    if finding.verdict != "breach" or not finding.subject:
        return finding
    profile = reference.flat() if isinstance(reference, Window) else reference
    try:
        field = finding.subject.split(", ")[0]
        ids = examples(database, about, window.start_ms, window.end_ms, field, profile)
    except (PortsideError, SQLAlchemyError, ValueError, TypeError, IndexError) as error:  # evidence is not worth a judgement
        log.warning("No examples of %s: %s", finding.subject, error)
        return finding
    return replace(finding, evidence={**finding.evidence, "records": ids})


def _windows(database: Database, about: About, span: Span) -> list[Window]:
    """The minutes of a span as one window; as several where the server took up another package meanwhile."""
    with database.read() as connection:
        parts = at(connection, about.name, "minute", TRAFFIC, span.minutes)
    merged = [(some[0], some[-1] + MINUTE_MS, Window.merge_all([parts[start] for start in some])) for some in runs(parts)]
    return [replace(whole, deployment=about.name, start_ms=start, end_ms=end) for start, end, whole in merged]
