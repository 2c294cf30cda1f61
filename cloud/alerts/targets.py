"""Where alerts are told: a webhook, an Alertmanager. One call each, bounded in time; whoever calls tries again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from ...sdk.core.errors import StoreError
from .messages import alertmanager, cloud_event
from .state import Alert, Event

TIMEOUT_S = 5.0
WEBHOOK, ALERTMANAGER = "webhook", "alertmanager"
MOST_WAIT_S = 300.0


class Targets:
    """Those of a deployment, by name. `webhook`, `alertmanager`: URLs, None where there is none."""

    def __init__(self, webhook: str | None = None, alertmanager: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        given = {WEBHOOK: webhook, ALERTMANAGER: None if alertmanager is None else f"{alertmanager.rstrip('/')}/api/v2/alerts"}
        self.urls: Mapping[str, str] = {name: url for name, url in given.items() if url is not None}
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False)

    def tell(self, target: str, event: Event, now_ms: int) -> None:
        """Tell one event once. Raises StoreError unless it was taken."""
        if target == ALERTMANAGER:
            self.repeat([event.alert], now_ms)
        else:
            self._post(target, cloud_event(event), {"content-type": "application/cloudevents+json", "idempotency-key": event.id})

    def repeat(self, alerts: list[Alert], now_ms: int) -> None:
        """Tell Alertmanager, where there is one, that these alerts go on. Raises StoreError."""
        if ALERTMANAGER in self.urls and alerts:
            self._post(ALERTMANAGER, alertmanager(alerts, now_ms), {})

    def close(self) -> None:
        """End connections."""
        self._client.close()

    def _post(self, target: str, body: Any, headers: Mapping[str, str]) -> None:
        try:
            answer = self._client.post(self.urls[target], json=body, headers=dict(headers))
        except httpx.HTTPError as error:
            raise StoreError(f"The {target} cannot be reached: {type(error).__name__}", got=str(error)[:200]) from error
        if not answer.is_success:
            raise StoreError(f"The {target} does not take it", got=f"{answer.status_code} {answer.text[:200]}", expected="2xx")


def wait_s(attempts: int) -> float:
    """How long to wait after so many attempts that failed: 1 s, 2 s, 4 s, up to five minutes."""
    return min(2.0 ** (attempts - 1), MOST_WAIT_S)
