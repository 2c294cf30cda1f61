"""What is told of an alert, as others want to hear it: a CloudEvent for webhooks, Alertmanager's v2 API. Pure.

Sources: CloudEvents 1.0 (JSON format); Alertmanager's OpenAPI document, `POST /api/v2/alerts`. An event that is sent twice has the same
id, which CloudEvents asks receivers to look at; Alertmanager tells alerts apart by their labels, and a repetition changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from .state import Alert, Event

RESOLVE_MS = 300_000
"""How long Alertmanager believes in an alert that is not repeated; the monitor repeats it each minute."""


def cloud_event(event: Event) -> dict[str, Any]:
    """One event for a webhook: `application/cloudevents+json`."""
    alert, finding = event.alert, event.alert.finding
    return {
        "specversion": "1.0", "id": event.id, "source": f"/portside/deployments/{alert.deployment}",
        "type": f"portside.alert.{alert.state}", "subject": f"{alert.name}/{alert.subject}", "time": moment(event.at_ms),
        "datacontenttype": "application/json",
        "data": {
            "alert": alert.name, "episode": alert.id, "deployment": alert.deployment, "subject": alert.subject, "state": alert.state,
            "severity": alert.severity, "since": moment(alert.since_ms), "began": moment(alert.began_ms), "flapping": alert.flapping,
            "what": finding.what, "value": finding.to_dict()["value"], "limit": finding.to_dict()["limit"], "runbook": alert.runbook,
            "records": list(finding.evidence.get("records", ())), "evidence": dict(finding.evidence),
        },
    }  # fmt: skip


def alertmanager(alerts: Iterable[Alert], now_ms: int) -> list[dict[str, Any]]:
    """Alerts that fire or have just been resolved, as the body of `POST /api/v2/alerts`."""
    return [_posted(alert, now_ms) for alert in alerts if alert.state != "pending"]


def _posted(alert: Alert, now_ms: int) -> dict[str, Any]:
    finding = alert.finding
    ends = alert.since_ms if alert.state == "resolved" else now_ms + RESOLVE_MS
    records = ", ".join(map(str, finding.evidence.get("records", ())))
    said = {"summary": finding.what, "runbook": alert.runbook, "value": "" if finding.value != finding.value else f"{finding.value:.6g}",
            "limit": "" if finding.limit is None else f"{finding.limit:.6g}", "records": records}  # fmt: skip
    labels = {"alertname": alert.name, "deployment": alert.deployment, "subject": alert.subject, "severity": alert.severity}
    return {"labels": {name: held for name, held in labels.items() if held},  # an empty label is no label
            "annotations": {name: text for name, text in said.items() if text},
            "startsAt": moment(fired_ms(alert)), "endsAt": moment(ends)}  # fmt: skip


def fired_ms(alert: Alert) -> int:
    """When this episode fired: stays as it is while the alert does, and when it has ended."""
    return alert.firings[-1] if alert.firings else alert.since_ms


def moment(unix_ms: int) -> str:
    """RFC 3339 in UTC, milliseconds kept."""
    return datetime.fromtimestamp(unix_ms / 1e3, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
