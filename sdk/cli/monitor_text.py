"""What `portside monitor` prints: the state of a deployment, its alerts with their evidence, a replay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ...cloud.alerts.state import Alert
from ...cloud.monitoring.reading import Status
from ...cloud.monitoring.replay import Result as Replayed
from .console import fields, table

SHOWN = 2
"""Ids of records that stand under an alert; they are long."""
NEVER = """no monitor has been here: a section [monitor] in the deployment file starts one within its server, see docs/monitoring.md
what was served all the same: portside records"""


def shown_status(status: Status) -> str:
    """One screen: is it watched, what was served, what is wrong. Without a monitor nothing was counted, which is not 0 requests."""
    if not status.at_ms and not status.monitored:
        return f"{fields({'deployment': status.deployment})}\n\n{NEVER}"
    hour, day = status.last_hour, status.last_day
    head = {
        "deployment": status.deployment, "monitor": "acts" if status.monitored else "nobody acts", "last written": moment(status.at_ms),
        "last hour": f"{hour.requests} requests, {hour.rows} rows, {hour.late} late",
        "last day": f"{day.requests} requests, {day.rows} rows",
        "alerts": f"{sum(alert.state == 'firing' for alert in status.alerts)} fire, "
                  f"{sum(alert.state == 'pending' for alert in status.alerts)} are pending",
    }  # fmt: skip
    parts = [fields(head)]
    for title, name in (("drift", "portside_monitor_drift"), ("quality", "portside_monitor_quality")):
        if held := status.gauges.get(name):
            ranked = sorted(held.items(), key=lambda item: -item[1])[:8]
            parts.append(table([[subject_of(labels), f"{value:.3f}"] for labels, value in ranked], head=[title, ""]))
    if held := status.gauges.get("portside_monitor_slo_budget_left"):
        least = sorted(held.items(), key=lambda item: item[1])[:8]
        parts.append(table([[subject_of(labels), _left(value)] for labels, value in least], head=["error budget left", ""]))
    return "\n\n".join([*parts, *([shown_alerts(status.alerts)] if status.alerts else [])])


def shown_alerts(alerts: Sequence[Alert]) -> str:
    """Alerts, each with what was found, the first step, and records that show it."""
    if not alerts:
        return "no alerts"
    return "\n\n".join(_alert(alert) for alert in alerts)


def shown_replay(result: Replayed) -> str:
    """What would have been told, and when."""
    head = {"records": result.records, "labels": result.labels, "spans judged": result.spans,
            "from": moment(result.start_ms), "to": moment(result.end_ms)}  # fmt: skip
    rows = [[moment(event["at_ms"]), event["state"], event["name"], event["subject"], event["data"]["finding"]["what"][:100]]
            for event in result.events]  # fmt: skip
    told = table(rows, head=["time", "state", "alert", "subject", "what"]) if rows else "nothing would have been told"
    return f"{fields(head)}\n\n{told}"


def moment(unix_ms: int) -> str:
    """UTC, to the second; "never" for 0."""
    return datetime.fromtimestamp(unix_ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M:%S") if unix_ms else "never"


def subject_of(labels: str) -> str:
    """The subject among the labels of a figure."""
    held: dict[str, Any] = json.loads(labels)
    return str(held.get("subject", ""))


def _left(share: float) -> str:
    """Of a budget; below 0 more is gone than there was."""
    return f"overspent by {-share:.1%}" if round(share, 3) < 0 else f"{abs(share):.1%}"


def _alert(alert: Alert) -> str:
    finding = alert.finding
    head = f"{alert.state.upper()}  {alert.name}{f' ({alert.subject})' if alert.subject else ''}  {alert.severity}"
    since = f"since {moment(alert.since_ms)}{', comes and goes' if alert.flapping else ''}"
    found = [str(record) for record in finding.evidence.get("records", ())]
    records = ", ".join(found[:SHOWN]) + (f", and {len(found) - SHOWN} more with --json" if len(found) > SHOWN else "")
    lines = [f"{head}  {since}", f"  {finding.what}", f"  first: {alert.runbook}" if alert.runbook else "",
             f"  records: {records}" if records else ""]  # fmt: skip
    return "\n".join(line for line in lines if line)
