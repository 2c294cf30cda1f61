"""Whether to train again: a function of what is seen now and of what was seen when training last began. No clock, no database.

| trigger | asks when |
|---|---|
| alert | one of the named alerts fires, and this episode of it has not been trained for |
| labels | so many labels have come since |
| schedule | so much time has passed; where nothing was ever trained, since the first label |
| upstream | a package that the model is built on is another one |

What asks is answered only where there are enough labels, the last run began long enough ago, and no candidate is being tried.

    >>> asked = Settings(on_labels=500, min_labels=100, cooldown_ms=0)
    >>> due(asked, Past(), Seen(now_ms=9, labels=700, rows=700)).verdict, due(asked, Past(), Seen(now_ms=9, labels=40, rows=40)).verdict
    ('due', 'not due')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
Kind: TypeAlias = Literal["alert", "labels", "schedule", "upstream", "asked"]
Said: TypeAlias = Literal["due", "not due", "waits", "not enough data"]


@dataclass(frozen=True)
class Settings:
    """What asks, see `[retrain]`; times in milliseconds."""

    on_alerts: tuple[str, ...] = ("drift",)
    on_labels: int | None = None
    every_ms: int | None = None
    on_upstream: tuple[str, ...] = ()
    min_labels: int = 100
    cooldown_ms: int = DAY_MS


@dataclass(frozen=True)
class Past:
    """What earlier runs knew.

    Attributes:
        began_ms: of the last run, whatever became of it; None: there was none.
        done_ms: what the last run that was not in vain began with: labels and time count from there.
        alerts: ids of episodes that were trained for.
        upstream: reference -> digest that it was then.
    """

    began_ms: int | None = None
    done_ms: int | None = None
    alerts: frozenset[str] = frozenset()
    upstream: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Fired:
    """An alert that fires: the id of its episode, its name, what it is about, since when."""

    id: str
    name: str
    subject: str = ""
    since_ms: int = 0


@dataclass(frozen=True)
class Seen:
    """What there is now.

    Attributes:
        now_ms: the time.
        labels: that came since `Past.done_ms`.
        rows: labelled rows that a dataset would be made of.
        first_ms: of the first label; None: there is none.
        alerts: that fire.
        upstream: reference -> digest that it is now; one that is nowhere is left out.
        trying: a candidate is being tried, in words; None: none is.
    """

    now_ms: int
    labels: int = 0
    rows: int = 0
    first_ms: int | None = None
    alerts: tuple[Fired, ...] = ()
    upstream: Mapping[str, str] = field(default_factory=dict[str, str])
    trying: str | None = None


@dataclass(frozen=True)
class Trigger:
    """One thing that asks. `id`: of an alert's episode."""

    kind: Kind
    why: str
    id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


@dataclass(frozen=True)
class Due:
    """The answer. Truthy only when it is "due".

    Attributes:
        verdict: "due"; "not due": nothing asks; "waits": something does, and `why` says what for; "not enough data": too few labels.
        triggers: what asks.
        why: a sentence.
    """

    verdict: Said
    triggers: tuple[Trigger, ...]
    why: str

    def __bool__(self) -> bool:
        return self.verdict == "due"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"verdict": self.verdict, "why": self.why, "triggers": [held.to_dict() for held in self.triggers]}


def due(settings: Settings, past: Past, seen: Seen, asked: str | None = None) -> Due:
    """Whether to train now. `asked`: who asks besides, and does not wait for the cooldown."""
    found = triggers(settings, past, seen, asked)
    if not found:
        return Due("not due", (), "nothing asks for it: " + _quiet(settings, past, seen))
    if seen.rows < settings.min_labels:
        return Due("not enough data", found, f"{seen.rows} labelled rows, and {settings.min_labels} are needed")
    if seen.trying is not None:
        return Due("waits", found, seen.trying)
    over = None if past.began_ms is None or asked else past.began_ms + settings.cooldown_ms
    if over is not None and seen.now_ms < over:
        return Due("waits", found, f"the last run began {_long(seen.now_ms - (past.began_ms or 0))} ago; "
                                   f"the next may in {_long(over - seen.now_ms)}")  # fmt: skip
    return Due("due", found, "; ".join(trigger.why for trigger in found))


def triggers(settings: Settings, past: Past, seen: Seen, asked: str | None = None) -> tuple[Trigger, ...]:
    """Everything that asks, whether or not it is answered."""
    found = [Trigger("asked", f"{asked} asked for it")] if asked else []
    found += [_alert(fired, seen.now_ms) for fired in seen.alerts if fired.name in settings.on_alerts and fired.id not in past.alerts]
    if settings.on_labels is not None and seen.labels >= settings.on_labels:
        found.append(Trigger("labels", f"{seen.labels} labels came since, {settings.on_labels} ask for it"))
    since = past.done_ms if past.done_ms is not None else seen.first_ms
    if settings.every_ms is not None and since is not None and seen.now_ms - since >= settings.every_ms:
        found.append(Trigger("schedule", f"{_long(seen.now_ms - since)} have passed, {_long(settings.every_ms)} ask for it"))
    for reference in settings.on_upstream:
        now, then = seen.upstream.get(reference), past.upstream.get(reference)
        if now is not None and then is not None and now != then:
            found.append(Trigger("upstream", f"{reference} is {now[7:19]} now, it was {then[7:19]}"))
    return tuple(found)


def _alert(fired: Fired, now_ms: int) -> Trigger:
    about, since = fired.subject or "the deployment", _long(now_ms - fired.since_ms)
    return Trigger("alert", f"the alert {fired.name} fires for {about}, since {since}", fired.id)


def _quiet(settings: Settings, past: Past, seen: Seen) -> str:
    parts = [f"none of the alerts {', '.join(settings.on_alerts)} fires" + (" that was not trained for" if past.alerts else "")]
    parts = parts if settings.on_alerts else []
    if settings.on_labels is not None:
        parts.append(f"{seen.labels} of {settings.on_labels} labels")
    since = past.done_ms if past.done_ms is not None else seen.first_ms
    if settings.every_ms is not None:
        parts.append("no label ever came" if since is None else f"{_long(seen.now_ms - since)} of {_long(settings.every_ms)}")
    parts += [f"{reference} is as it was" for reference in settings.on_upstream]
    return "; ".join(parts) or "no trigger is set"


def _long(span_ms: int) -> str:
    """A span in words of one unit.

    >>> _long(90 * 60_000), _long(3 * DAY_MS), _long(59_000)
    ('1.5 hours', '3 days', '59 seconds')
    """
    for unit, size in (("days", DAY_MS), ("hours", HOUR_MS), ("minutes", 60_000)):
        if span_ms >= size * (2 if unit == "days" else 1):
            return f"{span_ms / size:.3g} {unit}"
    return f"{max(span_ms, 0) / 1000:.3g} seconds"
