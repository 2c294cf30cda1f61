"""All alerts of a deployment after a round of findings: every rule beside every finding it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..monitor import Finding, Verdict
from .rule import Rule
from .state import Alert, Event, advance, settle

Alerts = Mapping[tuple[str, str], Alert]
NEWS_MS = 3_600_000
_WEIGHT: Mapping[Verdict, int] = {"not enough data": 0, "ok": 1, "breach": 2}


def judged(alerts: Alerts, rules: Sequence[Rule], findings: Iterable[Finding], now_ms: int,
           deployment: str = "") -> tuple[dict[tuple[str, str], Alert], list[Event]]:  # fmt: skip
    """The alerts afterwards by (name, subject), and what is to be told.

    Of several findings about one subject in one round the worst counts: otherwise their order would decide.
    """
    kept, events = _settled(alerts, rules, now_ms)
    for (place, subject), finding in _worst(rules, findings).items():
        rule = rules[place]
        key = (rule.name, subject)
        after, event = advance(kept.get(key), rule, finding, now_ms, deployment)
        if after is None:
            kept.pop(key, None)
        else:
            kept[key] = after
        events += [event] if event is not None else []
    kept, more = _settled(kept, rules, now_ms)
    return kept, [*events, *more]


def worth_telling(events: Sequence[Event], now_ms: int) -> list[Event]:
    """Those that people are told: news, and of what is older than an hour (a monitor was away, or reads old records) what still is.

    Of an alert's old events the last one stands for all; where it only says that something has ended that nobody was told of, none.
    """
    old: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if now_ms - event.at_ms > NEWS_MS:
            old.setdefault(event.alert.key, []).append(event)
    told = {held[-1].id for held in old.values() if not (held[0].alert.state == "firing" and held[-1].alert.state == "resolved")}
    return [event for event in events if now_ms - event.at_ms <= NEWS_MS or event.id in told]


def _settled(alerts: Alerts, rules: Sequence[Rule], now_ms: int) -> tuple[dict[tuple[str, str], Alert], list[Event]]:
    """Alerts that have been well for long enough are resolved, whether or not anything is found about them."""
    known, kept, events = {rule.name: rule for rule in rules}, dict[tuple[str, str], Alert](), list[Event]()
    for key, alert in alerts.items():
        kept[key], event = settle(alert, known.get(alert.name, Rule(alert.name, when=alert.name)), now_ms)
        events += [event] if event is not None else []
    return kept, events


def _worst(rules: Sequence[Rule], findings: Iterable[Finding]) -> dict[tuple[int, str], Finding]:
    """The finding that counts for each rule (by place) and subject."""
    found: dict[tuple[int, str], Finding] = {}
    for finding in findings:
        for place, rule in enumerate(rules):
            if not rule.concerns(finding):
                continue
            key = (place, finding.subject)
            if key not in found or _WEIGHT[rule.judge(finding)] > _WEIGHT[rule.judge(found[key])]:
                found[key] = finding
    return found
