"""What people are told of a rollout: it went back, it needs somebody, it asks for a yes. What holds now, from the newest rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import inspect

from ...sdk.core.errors import FormatError
from ..monitor import Finding, Severity
from ..records.database import Database
from ..rollouts.explaining import PAGED, pages
from ..rollouts.log import SYSTEM, Entry, read_log
from ..rollouts.storing import Held, names_of, newest
from ..rollouts.tables import ROLLOUTS
from .levels import HOUR_MS

TOLD_MS = HOUR_MS
"""So long after a rollout went back this is an alert."""


def findings(database: Database, deployment: str, now_ms: int) -> list[Finding]:
    """One of each kind, ok or a breach; none where nothing was ever rolled out. Raises SQLAlchemyError."""
    with database.read() as connection:
        if not inspect(connection).has_table(ROLLOUTS.name):
            return []
        try:
            held = newest(connection, deployment)
        except FormatError as error:  # written by a newer version: that is told, and whoever watches goes on
            return [_finding("rollout-paged", f"The rollout cannot be read: {error.what}", "warning")]
    return [] if held is None else judged(held, read_log(database, held.id), now_ms)


def judged(held: Held, log: Sequence[Entry], now_ms: int) -> list[Finding]:
    """Of a rollout with its log; pure. One that its gates stopped never came near traffic: who began it was told."""
    name = ", ".join(names_of(held).get(one) or one.removeprefix("sha256:")[:12] for one in held.policy.challengers)
    entry = next((one for one in reversed(log) if one.after == "rolled back" and one.kind != PAGED), None)
    back = held.state.phase == "rolled back" and now_ms - held.phase_ms < TOLD_MS and entry is not None and entry.before != "gates"
    asks, needs = held.state.asks if not held.closed else None, "; ".join(pages(held.state, log).values())
    evidence = {"rollout": held.id, "place": held.place}
    by, severity = ("", "critical") if entry is None or entry.author == SYSTEM else (f" by {entry.author}", "info")
    told = f"{name} was rolled back{by}{': ' if entry.why else ''}{entry.why}" if back and entry else ""
    return [
        _measured(_finding("rollout-back", told, severity, evidence), entry),
        _finding("rollout-paged", f"The rollout of {name} needs somebody: {needs}" if needs else "", "warning", evidence),
        _finding("rollout-asks", f"The rollout of {name} asks a person for a yes: {asks}" if asks else "", "info", evidence),
    ]


def _measured(finding: Finding, entry: Entry | None) -> Finding:
    """With the figures of the limit that was broken, where one was."""
    held = () if entry is None or finding.verdict == "ok" else entry.evidence.get("verdicts", ())
    broken: Mapping[str, Any] | None = next((one for one in held if one["told"] == "beyond"), None)
    if broken is None:
        return finding
    evidence = {**finding.evidence, "measure": broken["measure"], "slice": broken["slice"] or "everyone", "units": broken["rows"]}
    return replace(finding, value=broken["estimate"], low=broken["low"], high=broken["high"], limit=broken["limit"], evidence=evidence)


def _finding(name: str, what: str, severity: Severity, evidence: dict[str, str] | None = None) -> Finding:
    return Finding(name, "", float(bool(what)), "breach" if what else "ok", what, severity, evidence=evidence or {})
