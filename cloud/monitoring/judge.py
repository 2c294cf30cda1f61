"""Spans that have ended: put together, held against their reference by the built-in hooks, findings written; each span once.

The span, what was found in it and the cursor are written in one transaction. Hooks of others look at the same spans with cursors of
their own (consuming.py).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, insert

from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from ..monitor import Finding
from ..records.database import Database
from .about import About
from .counting import Note, quiet
from .cursors import JUDGE, Cursor, cursor_of, move, read_cursor
from .levels import DAY_MS, floor
from .reading import window_between
from .spans import Span, ended
from .storing import TRAFFIC, at, put, starts
from .tables import FINDINGS
from .turn import Turn

GRACE_MS = 5_000
"""So long after its end a minute is closed: records are written within a tenth of a second, unless the disk is slow."""
Reference = Window | Profile | None
Builtin = Callable[[Window, Reference, About], Iterable[Finding]]
log = logging.getLogger("portside.monitor")


def judge(turn: Turn, about: About, builtins: Sequence[tuple[str, Builtin]], now_ms: int, note: Note = quiet) -> int:
    """Judge the spans that have ended; how many. Raises LostTurnError, FormatError, SQLAlchemyError."""
    database, name, spans = turn.database, about.name, about.settings.spans
    held = read_cursor(database, name, JUDGE)
    with database.read() as connection:
        fresh = starts(connection, name, "minute", TRAFFIC, held.windows, now_ms)
    found = ended(fresh.items(), spans.rows, spans.minutes, now_ms - GRACE_MS)
    for span in found:
        window = _window(database, about, span)
        findings = [(source, finding) for source, hook in builtins for finding in asked(source, hook, window, about, database)]
        note("judging")
        with turn.write() as connection:
            if cursor_of(connection, name, JUDGE) != held:
                return 0
            put(connection, name, "judged", TRAFFIC, window)
            write_findings(connection, about, window, findings)
            held = Cursor(windows=span.end_ms, data={"rows": span.rows})
            move(connection, name, JUDGE, held)
            note("judged")
    return len(found)


def reference_of(database: Database, about: About, window: Window) -> Reference:
    """What a window is held against: the training profile, or the days before it."""
    days = about.settings.reference
    if days == "profile":
        return about.profile
    past = window_between(database, about.name, floor("minute", window.start_ms - days * DAY_MS), window.start_ms)
    return past if past.rows else None


def asked(source: str, hook: Builtin, window: Window, about: About, database: Database) -> list[Finding]:
    """What one of ours finds. What it cannot do with odd data is a finding too, and the others go on."""
    try:
        return list(hook(window, reference_of(database, about, window), about))
    except Exception as error:  # whatever records hold: counted, told, and the next one is asked
        log.exception("%s cannot judge a span of %s", source, about.name)
        return [Finding("hook", source, 1.0, "breach", f"{source} failed: {type(error).__name__}: {error}")]


def write_findings(connection: Connection, about: About, window: Window, findings: Iterable[tuple[str, Finding]]) -> None:
    """Append what was found in a span."""
    rows = [{"deployment": about.name, "source": source, "name": finding.name, "subject": finding.subject, "verdict": finding.verdict,
             "start_ms": window.start_ms, "end_ms": window.end_ms, "live": 0, "data": json.dumps(finding.to_dict(), default=str)}
            for source, finding in findings]  # fmt: skip
    if rows:
        connection.execute(insert(FINDINGS), rows)


def _window(database: Database, about: About, span: Span) -> Window:
    """The minutes of a span as one window."""
    with database.read() as connection:
        parts = at(connection, about.name, "minute", TRAFFIC, span.minutes)
    whole = Window.merge_all([parts[start] for start in sorted(parts)])
    return replace(whole, deployment=about.name, start_ms=span.start_ms, end_ms=span.end_ms)
