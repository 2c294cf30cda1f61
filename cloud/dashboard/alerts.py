"""Alerts as data: what fires, since when, what a person does first; one alert with its evidence and the records behind it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..alerts.state import Alert

EXAMPLES = 12
_NUMBERS = ("value", "low", "high", "limit")


def brief(alert: Alert) -> dict[str, Any]:
    """Its line in a list."""
    found = alert.finding.to_dict()
    return {
        "id": alert.id, "name": alert.name, "subject": alert.subject, "state": alert.state, "severity": alert.severity,
        "since_ms": alert.since_ms, "began_ms": alert.began_ms, "seen_ms": alert.seen_ms, "flapping": alert.flapping,
        "what": found["what"], "runbook": alert.runbook, "finding": found["name"], **{name: found[name] for name in _NUMBERS},
    }  # fmt: skip


def whole(alert: Alert, events: Sequence[Mapping[str, Any]], examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Its page: what was told when, the evidence, records."""
    evidence = dict(alert.finding.evidence)
    records = records_of(alert)
    return {**brief(alert), "events": list(events), "evidence": {name: held for name, held in evidence.items() if name != "records"},
            "records": list(examples), "gone": [number for number in records if number not in {one["id"] for one in examples}],
            "field": field_of(alert), "slice": slice_of(alert)}  # fmt: skip


def records_of(alert: Alert) -> list[str]:
    """Ids of the records in its evidence, at most EXAMPLES."""
    held = alert.finding.evidence.get("records", ())
    return [str(number) for number in held][:EXAMPLES] if isinstance(held, list | tuple) else []  # pyright: ignore[reportUnknownVariableType]


def field_of(alert: Alert) -> str | None:
    """The field that it is about, as windows name it; None: it is about something else."""
    name = alert.subject.partition(" @ ")[0]
    return name if name.partition(".")[0] in ("in", "out", "feature", "trait") else None


def slice_of(alert: Alert) -> str | None:
    """The slice that it is about; None: all rows."""
    return alert.subject.partition(" @ ")[2] or None
