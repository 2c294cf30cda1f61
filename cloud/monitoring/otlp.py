"""The monitor's figures for OpenTelemetry: OTLP over HTTP in its JSON form, when the deployment file asks for it.

Source: opentelemetry-proto, `ExportMetricsServiceRequest`, in the JSON encoding of protobuf; `POST URL/v1/metrics`. Written by hand: it
is one gauge per figure, and the SDK's exporter would bring protobuf along.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import httpx

from ...sdk.core.errors import StoreError
from .gauges import ABOUT, Figures

TIMEOUT_S = 5.0


def exported(figures: Figures, deployment: str, at_ms: int) -> dict[str, Any]:
    """The figures as the body of one export."""
    points: dict[str, list[dict[str, Any]]] = {}
    for (name, labels), value in figures.items():
        point = {"timeUnixNano": str(at_ms * 1_000_000), "asDouble": value, "attributes": [_text(key, held) for key, held in labels]}
        points.setdefault(name, []).append(point)
    metrics = [{"name": name, "description": ABOUT.get(name, ""), "unit": "1", "gauge": {"dataPoints": held}}
               for name, held in points.items()]  # fmt: skip
    resource = [_text("service.name", deployment), _text("service.namespace", "portside"), _text("service.version", version("portside"))]
    return {"resourceMetrics": [{"resource": {"attributes": resource},
                                 "scopeMetrics": [{"scope": {"name": "portside.monitor"}, "metrics": metrics}]}]}  # fmt: skip


def send(client: httpx.Client, url: str, figures: Figures, deployment: str, at_ms: int) -> None:
    """Send them once. Raises StoreError unless they were taken."""
    where = url if url.endswith("/v1/metrics") else f"{url.rstrip('/')}/v1/metrics"
    try:
        answer = client.post(where, json=exported(figures, deployment, at_ms), timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise StoreError(f"OpenTelemetry cannot be reached: {type(error).__name__}", got=where) from error
    if not answer.is_success:
        raise StoreError("OpenTelemetry does not take the figures", got=f"{answer.status_code} {answer.text[:200]}", expected="2xx")


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
