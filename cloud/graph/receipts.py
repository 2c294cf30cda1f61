"""The receipt of a graph: that of the whole, with what every step did in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ...sdk.core.failover import PRIMARY
from ...sdk.core.records import Receipt

State: TypeAlias = Literal["answered", "default", "skipped", "failed"]


@dataclass(frozen=True)
class StepReceipt:
    """What one step did.

    Attributes:
        name: of the step.
        state: "answered" (by its package or another entry of its chain), "default", "skipped" (no row needed it) or "failed".
        why: "" where it answered as it should; else the reason of its receipt, "condition", "no-input" or "deadline".
        rows, of: rows that have an answer, of so many that were asked.
        began_ms: from the arrival of the request until it began.
        time_ms: how long it took.
        ready, parts: parts that something else than the default answered, of so many.
        receipts: of its engine, one for each part that has one.
    """

    name: str
    state: State
    why: str = ""
    rows: int = 0
    of: int = 0
    began_ms: float = 0.0
    time_ms: float = 0.0
    ready: int = 0
    parts: int = 0
    receipts: tuple[Receipt, ...] = ()

    @property
    def fault(self) -> bool:
        """It did not do what it was there for."""
        return self.state in ("failed", "default") or (self.state == "answered" and bool(self.why))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; of several parts the receipt of the slowest, and how many were answered by whom and why."""
        data: dict[str, Any] = {"step": self.name, "state": self.state, "why": self.why, "rows": self.rows, "of": self.of,
                                "began_ms": round(self.began_ms, 3), "time_ms": round(self.time_ms, 3)}  # fmt: skip
        if self.parts > 1:
            by = Counter(f"{receipt.model}:{receipt.reason}" for receipt in self.receipts)
            data |= {"ready": self.ready, "parts": self.parts, "by": dict(by)}
        if self.receipts:
            data["receipt"] = max(self.receipts, key=lambda receipt: receipt.time_ms).to_dict()
        return data


@dataclass(frozen=True)
class GraphReceipt(Receipt):
    """A receipt whose `steps` say what each step did, in the order of the graph."""

    steps: tuple[StepReceipt, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As the base, with `steps`."""
        return {**super().to_dict(), "steps": [step.to_dict() for step in self.steps]}


def reason_of(steps: tuple[StepReceipt, ...]) -> str:
    """"primary", or why the first step that was not as it should be was not."""
    return next((step.why for step in steps if step.fault), PRIMARY)


def bounded(receipt: Receipt, budget_ms: float | None) -> Receipt:
    """A step's receipt with the budget that this call had."""
    return receipt if budget_ms is None else replace(receipt, deadline_ms=budget_ms, within_deadline=receipt.time_ms <= budget_ms)
