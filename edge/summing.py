"""Summaries instead of raw data: what the answers of a span say together, as a window that merges at the server.

A record goes home whole (an error, a review, a check, or where the agent was asked for it) or it is counted here: never both, so that
windows and records together are what was answered. A window is sent when its span is over and it stands for enough rows that none of them
is told alone; what is fewer waits for more. A window that is open is in memory: a `kill -9` loses the counts of one span.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sdk.core.records import Record
from ..sdk.core.signature import Signature
from ..sdk.core.window import Window
from .leaving import countable

AT_ONCE = 256
"""Records that are summarised together: one alone costs as much."""


@dataclass(frozen=True)
class SummarySettings:
    """span_s: how long a window is open. least_rows: one of fewer stays open. slices, confidence: see `Window.of`."""

    span_s: float = 300.0
    least_rows: int = 20
    slices: tuple[str, ...] = ()
    confidence: str | None = None


class Summaries:
    """Gathers one deployment's records into windows. Not safe to share by threads.

    Args:
        name: of the deployment; windows of another one do not merge with its.
        signature: says what may leave.
    """

    def __init__(self, name: str, signature: Signature, settings: SummarySettings = SummarySettings()) -> None:
        self.name, self.signature, self.settings = name, signature, settings
        self._records, self._window = list[Record](), Window()
        self._opened: float | None = None

    def add(self, record: Record, now: float) -> None:
        """Count a record. now: monotonic seconds: a clock that jumps moves no window."""
        if self._opened is None:
            self._opened = now
        self._records.append(countable(record, self.signature).changed(name=self.name))
        if len(self._records) >= AT_ONCE:
            self._gather()

    def due(self, now: float, closing: bool = False) -> dict[str, Any] | None:
        """The window as the body of an entry where it is to be sent, else None. closing: the agent ends; what there is, is sent."""
        if self._opened is None or (not closing and now - self._opened < self.settings.span_s):
            return None
        self._gather()
        if self._window.rows < self.settings.least_rows:
            return None
        body = body_of(self._window, self.name, now - self._opened)
        self._window, self._opened = Window(), None
        return body

    def _gather(self) -> None:
        if self._records:
            fresh = Window.of(self._records, signature=self.signature, slices=self.settings.slices, confidence=self.settings.confidence)
            self._window, self._records = self._window.merge(fresh), []


def body_of(window: Window, name: str, span_s: float) -> dict[str, Any]:
    """A window as it goes home. span_s: how long it was open."""
    return {"name": name, "span_ms": round(span_s * 1000), "window": {**window.to_dict(), "deployment": name}}


def of_body(body: Mapping[str, Any]) -> Window:
    """The opposite. Raises FormatError."""
    return Window.from_dict(body["window"])
