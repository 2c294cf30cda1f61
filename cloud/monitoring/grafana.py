"""A Grafana dashboard of one deployment, as `portside monitor export` writes it: what its `/metrics` page has, in five rows. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from .about import About

SCHEMA = 39
"""Of Grafana 10; newer ones read it."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24


def dashboard(about: About) -> dict[str, Any]:
    """The dashboard's JSON model."""
    where = f'deployment="{about.name}"'
    rows: Sequence[tuple[str, Sequence[dict[str, Any]]]] = (
        ("Is it up", (
            _series("Answers per second", "sum by (model, reason) (rate(portside_requests_total[5m]))", "{{model}} {{reason}}", "reqps"),
            _series("Latency", "histogram_quantile(0.99, sum by (le) (rate(portside_request_seconds_bucket[5m])))", "p99", "s",
                    "histogram_quantile(0.5, sum by (le) (rate(portside_request_seconds_bucket[5m])))", "p50"),
            _series("Refused per second", "sum by (status) (rate(portside_refused_total[5m]))", "{{status}}", "reqps"),
        )),
        ("Alerts and budgets", (
            _table("Alerts that fire", f"portside_alert{{{where}}} > 0"),
            _series("Burn rate", f"portside_monitor_slo_burn_rate{{{where}}}", "{{subject}}", "none"),
            _series("Error budget left", f"portside_monitor_slo_budget_left{{{where}}}", "{{subject}}", "percentunit"),
        )),
        ("Is it right", (
            _series("Accuracy on labels", f"portside_monitor_quality{{{where}}}", "{{subject}}", "percentunit"),
            _series("Label coverage", f"portside_monitor_label_coverage{{{where}}}", "{{subject}}", "percentunit"),
            _series("Calibration error", f"portside_monitor_calibration_error{{{where}}}", "{{subject}}", "percentunit"),
        )),
        ("Has the world changed", (
            _series("Drift", f"portside_monitor_drift{{{where}}}", "{{subject}}", "percentunit"),
            _series("Classes", f"portside_monitor_class_share{{{where}}}", "{{output}} {{value}}", "percentunit"),
            _series("Missing values", f"portside_monitor_missing_share{{{where}}} > 0", "{{field}}", "percentunit"),
        )),
        ("Who answered, and who watches", (
            _series("Failovers per second", "sum by (entry, reason) (rate(portside_failovers_total[5m]))", "{{entry}} {{reason}}", "reqps"),
            _series("Confidence", f"portside_monitor_confidence{{{where}}}", "{{quantile}}", "percentunit"),
            _series("Calls of hooks", f"portside_monitor_hook_calls{{{where}}}", "{{hook}} {{outcome}}", "none"),
        )),
    )  # fmt: skip
    return {
        "uid": hashlib.sha256(about.name.encode()).hexdigest()[:16], "title": f"Portside: {about.name}", "tags": ["portside"],
        "schemaVersion": SCHEMA, "timezone": "browser", "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "editable": True,
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]},
        "panels": _placed(rows),
    }  # fmt: skip


def _placed(rows: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Rows with their panels side by side."""
    panels, top, number = list[dict[str, Any]](), 0, 1
    for title, held in rows:
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": _place(0, top, _WIDTH, 1)})
        width, number = _WIDTH // len(held), number + 1
        for place, panel in enumerate(held):
            panels.append({"id": number, "gridPos": _place(place * width, top + 1, width, 8), **panel})
            number += 1
        top += 9
    return panels


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _series(title: str, query: str, legend: str, unit: str, *more: str) -> dict[str, Any]:
    """Lines over time. more: further queries with their legends."""
    pairs = [(query, legend), *zip(more[::2], more[1::2], strict=True)]
    targets = [{"refId": chr(65 + place), "expr": text, "legendFormat": shown, "datasource": _SOURCE}
               for place, (text, shown) in enumerate(pairs)]  # fmt: skip
    return {"type": "timeseries", "title": title, "datasource": _SOURCE, "targets": targets,
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8}}, "overrides": []}}  # fmt: skip


def _table(title: str, query: str) -> dict[str, Any]:
    target = {"refId": "A", "expr": query, "format": "table", "instant": True, "datasource": _SOURCE}
    return {"type": "table", "title": title, "datasource": _SOURCE, "targets": [target], "fieldConfig": {"defaults": {}, "overrides": []}}
