"""One alert as a state machine: a function from an alert, a verdict and a time to the next alert. No clock, nothing stored.

    nothing   -- breach --> pending            (firing at once where `for_s` is 0)
    pending   -- breach for `for_s` --> firing, told
    pending   -- ok --> nothing
    firing    -- ok, and no breach for `clear_s` --> resolved, told
    resolved  -- breach --> pending

"Not enough data" changes nothing: silence is no proof that something is wrong, nor, behind a breach, that it is well again.

Flapping is damped as routers damp routes (RFC 2439): every firing within `memory_s` doubles the time for which the condition must
be well before the alert is resolved. However a signal swings, what is told grows with the logarithm of the time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..monitor import Finding, Severity
from .rule import Rule

State = Literal["pending", "firing", "resolved"]
MOST_DOUBLINGS = 8


@dataclass(frozen=True)
class Alert:
    """One alert about one subject.

    Attributes:
        id: of this episode: what is told of it, and the deliveries, are counted by it.
        deployment, name, subject: what it is about.
        state: see above. since_ms: since when.
        began_ms: when the condition first held in this episode.
        severity, runbook: for a person.
        finding: the newest breach, with its evidence.
        seen_ms: when a verdict last came that was not "not enough data".
        calm_ms: firing: since when the condition does not hold.
        firings: when it fired lately, oldest first.
    """

    id: str
    deployment: str
    name: str
    subject: str
    state: State
    since_ms: int
    began_ms: int
    severity: Severity
    finding: Finding
    seen_ms: int
    runbook: str = ""
    calm_ms: int | None = None
    firings: tuple[int, ...] = field(default=())

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other alerts of the deployment."""
        return self.name, self.subject

    @property
    def flapping(self) -> bool:
        """It has come back so often that it is held longer before it counts as resolved."""
        return len(self.firings) > 2

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**vars(self), "finding": self.finding.to_dict(), "firings": list(self.firings), "flapping": self.flapping}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Alert:
        """Parse what `to_dict` wrote."""
        values: dict[str, Any] = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        values.update(finding=Finding.from_dict(data["finding"]), firings=tuple(data["firings"]))
        return cls(**values)


@dataclass(frozen=True)
class Event:
    """An alert has fired or is resolved: told to people, once. `id` is the same whenever the same thing is told again."""

    id: str
    alert: Alert
    at_ms: int


def advance(alert: Alert | None, rule: Rule, finding: Finding, now_ms: int, deployment: str = "") -> tuple[Alert | None, Event | None]:
    """The alert after one finding, and what is to be told.

    Args:
        alert: before; None: there was none about this subject.
        rule: it is of this rule.
        finding: what was found.
        now_ms: when; never before the last time.
        deployment: name, for a new alert.
    """
    verdict = rule.judge(finding)
    if verdict == "not enough data":
        return alert, None
    if verdict == "ok":
        return (None, None) if alert is None else _well(replace(alert, seen_ms=now_ms), rule, now_ms)
    if alert is None or alert.state == "resolved":
        alert = _begun(alert, rule, finding, now_ms, deployment)
    return _unwell(_told(alert, rule, finding, now_ms), rule, now_ms)


def settle(alert: Alert, rule: Rule, now_ms: int) -> tuple[Alert, Event | None]:
    """The alert when nothing was found until now: it is resolved at the moment at which it has been well for long enough."""
    if alert.state != "firing" or alert.calm_ms is None:
        return alert, None
    ends = alert.calm_ms + int(hold_s(rule, len(_recent(alert, rule, alert.calm_ms))) * 1e3)
    if now_ms < ends:
        return alert, None
    ended = replace(alert, state="resolved", since_ms=ends, calm_ms=None)
    return ended, Event(_id(alert.id, "resolved"), ended, ends)


def hold_s(rule: Rule, firings: int) -> float:
    """How long it must be well before it is resolved, at this many firings within the rule's memory."""
    return rule.clear_s * 2 ** min(max(firings - 1, 0), MOST_DOUBLINGS)


def _begun(before: Alert | None, rule: Rule, finding: Finding, now_ms: int, deployment: str) -> Alert:
    name = deployment if before is None else before.deployment
    firings = () if before is None else before.firings
    return Alert(_id(name, rule.name, finding.subject, str(now_ms)), name, rule.name, finding.subject, "pending", now_ms, now_ms,
                 rule.severity or finding.severity, finding, now_ms, rule.runbook, None, firings)  # fmt: skip


def _told(alert: Alert, rule: Rule, finding: Finding, now_ms: int) -> Alert:
    return replace(alert, finding=finding, severity=rule.severity or finding.severity, seen_ms=now_ms, runbook=rule.runbook)


def _unwell(alert: Alert, rule: Rule, now_ms: int) -> tuple[Alert, Event | None]:
    alert = replace(alert, calm_ms=None)
    if alert.state == "firing" or now_ms - alert.began_ms < rule.for_s * 1e3:
        return alert, None
    firings = (*_recent(alert, rule, now_ms), now_ms)
    fired = replace(alert, state="firing", since_ms=now_ms, firings=firings)
    return fired, Event(_id(alert.id, "firing"), fired, now_ms)


def _well(alert: Alert, rule: Rule, now_ms: int) -> tuple[Alert | None, Event | None]:
    if alert.state == "pending":  # it has not held for long enough; earlier firings are remembered
        return (replace(alert, state="resolved", since_ms=now_ms) if alert.firings else None), None
    if alert.state == "resolved":
        return alert, None
    return replace(alert, calm_ms=now_ms if alert.calm_ms is None else alert.calm_ms), None


def _recent(alert: Alert, rule: Rule, now_ms: int) -> tuple[int, ...]:
    return tuple(moment for moment in alert.firings if now_ms - moment < rule.memory_s * 1e3)


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
