"""Where alerts are told: a webhook, an Alertmanager. One call each, bounded in time; whoever calls tries again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from ...sdk.core.errors import StoreError
from .messages import alertmanager, cloud_event
from .state import Alert, Event

TIMEOUT_S = 5.0
MOST_BYTES = 1000
"""Of an answer."""
WEBHOOK, ALERTMANAGER = "webhook", "alertmanager"
MOST_WAIT_S = 300.0


class Targets:
    """Those of a deployment, by name.

    Args:
        webhook, alertmanager: URLs, None where there is none.
        timeout_s: of a call, from its beginning to the end of what is read of the answer: one that drips holds nobody up.
    """

    def __init__(self, webhook: str | None = None, alertmanager: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        given = {WEBHOOK: webhook, ALERTMANAGER: None if alertmanager is None else f"{alertmanager.rstrip('/')}/api/v2/alerts"}
        self.urls: Mapping[str, str] = {name: url for name, url in given.items() if url is not None}
        self._timeout_s = timeout_s

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

    def _post(self, target: str, body: Any, headers: Mapping[str, str]) -> None:
        try:
            status, said = asyncio.run(self._sent(self.urls[target], body, headers))
        except (httpx.HTTPError, TimeoutError) as error:
            raise StoreError(f"The {target} cannot be reached: {type(error).__name__}", got=str(error)[:200]) from error
        if not 200 <= status < 300:
            raise StoreError(f"The {target} does not take it", got=f"{status} {said[:200]}", expected="2xx")

    async def _sent(self, url: str, body: Any, headers: Mapping[str, str]) -> tuple[int, str]:
        """Status and the beginning of what was said."""
        said = b""
        async with (
            asyncio.timeout(self._timeout_s),
            httpx.AsyncClient(timeout=self._timeout_s) as client,
            client.stream("POST", url, json=body, headers=dict(headers)) as answer,
        ):
            async for part in answer.aiter_bytes():
                if len(said := said + part) >= MOST_BYTES:
                    break
        return answer.status_code, said.decode(errors="replace")


def wait_s(attempts: int) -> float:
    """How long to wait after so many attempts that failed: 1 s, 2 s, 4 s, up to five minutes."""
    return min(2.0 ** (attempts - 1), MOST_WAIT_S)
