"""Figures for `/metrics`, OpenTelemetry and dashboards: made from what is known after a round, written whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import isfinite

from sqlalchemy import delete, insert

from ...sdk.core.window import Window
from ..alerts.state import Alert
from ..monitor import Finding
from .hook_caller import Stats
from .tables import GAUGES
from .turn import Turn

Figures = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
SHARES = (0.05, 0.5, 0.95)
ABOUT = {
    "portside_monitor_window_requests": "Requests within the last hour, as the monitor counted them.",
    "portside_monitor_window_rows": "Rows within the last hour.",
    "portside_monitor_answers": "Requests within the last hour by who answered and why.",
    "portside_monitor_class_share": "Share of rows of the last hour by decided class.",
    "portside_monitor_confidence": "Quantiles of the confidence within the last hour.",
    "portside_monitor_missing_share": "Share of missing values within the last hour, by field.",
    "portside_monitor_flagged_rows": "Rows of the last hour that the door flagged, by field and why.",
    "portside_monitor_late_requests": "Requests of the last hour past their deadline.",
    "portside_monitor_drift": "Share of rows that lie elsewhere than in the reference, by field.",
    "portside_monitor_quality": "Accuracy (or mean error) on labelled rows.",
    "portside_monitor_label_coverage": "Share of rows that have a label.",
    "portside_monitor_calibration_error": "Expected calibration error on labelled rows.",
    "portside_monitor_performance": "Evidence that answers are wrong more often than was promised; an alarm at 1.",
    "portside_monitor_slo_burn_rate": "How many times faster than allowed the error budget burns.",
    "portside_monitor_slo_budget_left": "Share of the error budget that is left.",
    "portside_monitor_records_lost": "Records lost within the last minutes.",
    "portside_monitor_hook_calls": "Calls of hooks by outcome since the monitor started.",
    "portside_monitor_records_behind": "Records that wait to be counted.",
    "portside_monitor_found": "Findings of own hooks.",
    "portside_alert": "1: the alert fires; 0.5: it is pending; 0: it is resolved.",
    "portside_monitor_up": "A monitor acts.",
}
"""Name -> what it is."""
_VALUES = {
    "quality": "portside_monitor_quality", "performance": "portside_monitor_performance",
    "calibration": "portside_monitor_calibration_error", "slo": "portside_monitor_slo_burn_rate",
    "slo-budget": "portside_monitor_slo_budget_left", "records-lost": "portside_monitor_records_lost",
    "monitor-behind": "portside_monitor_records_behind",
}  # fmt: skip
_STATES = {"firing": 1.0, "pending": 0.5, "resolved": 0.0}


def figures(window: Window, findings: Iterable[Finding], alerts: Iterable[Alert], hooks: Mapping[str, Stats]) -> Figures:
    """name and labels -> value. window: of the last hour; findings: the newest of each name and subject."""
    return {key: value for key, value in (*_of_window(window), *_of_findings(findings), *_of_alerts(alerts), *_of_hooks(hooks),
                                          (("portside_monitor_up", ()), 1.0)) if isfinite(value)}  # fmt: skip


def write(turn: Turn, found: Figures, now_ms: int) -> None:
    """Put them in the place of those before. Raises LostTurnError, SQLAlchemyError."""
    rows = [{"deployment": turn.deployment, "name": name, "labels": json.dumps(dict(labels), ensure_ascii=False), "value": value,
             "at_ms": now_ms} for (name, labels), value in found.items()]  # fmt: skip
    with turn.write() as connection:
        connection.execute(delete(GAUGES).where(GAUGES.c.deployment == turn.deployment))
        connection.execute(insert(GAUGES), rows)


def _key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(labels.items())


def _of_window(window: Window) -> Iterable[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]:
    yield _key("portside_monitor_window_requests"), float(window.requests)
    yield _key("portside_monitor_window_rows"), float(window.rows)
    yield _key("portside_monitor_late_requests"), float(window.late)
    for answer, count in window.answers.items():
        model, _, reason = answer.partition("|")
        yield _key("portside_monitor_answers", model=model, reason=reason), float(count)
    for output, classes in window.classes.items():
        total = sum(classes.values())
        for name, count in classes.items():
            yield _key("portside_monitor_class_share", output=output, value=name), count / total if total else 0.0
    for share, value in zip(SHARES, window.confidence.quantiles(SHARES).tolist(), strict=True):
        yield _key("portside_monitor_confidence", quantile=f"{share:g}"), value
    for field, held in window.profile.fields.items():
        yield _key("portside_monitor_missing_share", field=field), held.missing / held.count if held.count else 0.0
    for flag, count in window.flags.items():
        field, _, why = flag.partition("|")
        yield _key("portside_monitor_flagged_rows", field=field, why=why), float(count)


def _of_findings(findings: Iterable[Finding]) -> Iterable[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]:
    for finding in findings:
        if finding.name in ("drift", "drift-fields"):  # the one has every field, those that drift too
            for field, held in finding.evidence.get("fields", {}).items():
                yield _key("portside_monitor_drift", subject=field), float(held[0])
            continue
        name = _VALUES.get(finding.name)
        labels = {"subject": finding.subject} if finding.subject else {}
        yield (_key(name, **labels) if name else _key("portside_monitor_found", finding=finding.name, **labels)), finding.value
        if finding.name == "quality":
            yield _key("portside_monitor_label_coverage", **labels), float(finding.evidence.get("coverage", float("nan")))


def _of_alerts(alerts: Iterable[Alert]) -> Iterable[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]:
    for alert in alerts:
        labels = {"subject": alert.subject} if alert.subject else {}
        yield _key("portside_alert", alert=alert.name, severity=alert.severity, **labels), _STATES[alert.state]


def _of_hooks(hooks: Mapping[str, Stats]) -> Iterable[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]:
    for name, stats in hooks.items():
        for outcome in ("done", "failed", "hung", "skipped"):
            yield _key("portside_monitor_hook_calls", hook=name, outcome=outcome), float(getattr(stats, outcome))
