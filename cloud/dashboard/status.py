"""A deployment at a glance, and down to a feature, a slice, an alert: what the page's views ask for, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...sdk.core.drift.compare import compare
from ...sdk.core.profile import Profile
from ...sdk.core.window import Window
from ..deployment.sections import KINDS
from ..desk.desk import Desk
from ..desk.naming import brief as record_line
from ..records.reading import between, find, labels_of
from ..rollouts import showing, storing
from . import alerts as alerts_data
from . import rollout as rollout_data
from .changed import changed, line
from .feature import feature
from .kept import Kept
from .right import right
from .source import Seen, Source
from .spans import SPANS, Span
from .up import up, who
from .watched import Watched

Data = dict[str, Any]
ROLLOUT_S = 2.0
"""So long a rollout's page is kept."""
HOLD = 5000
"""An answer about a span is kept for a 5,000th of it: under a second for an hour, two minutes for a week."""


class Board:
    """What a desk's dashboard tells. Safe to share by threads.

    Args:
        clock: Unix milliseconds.
    """

    def __init__(self, desk: Desk, clock: Callable[[], int]) -> None:
        self._desk, self._clock = desk, clock
        self.watched = Watched(desk)
        self._source = Source(desk, self.watched)
        self._kept: Kept[Any] = Kept(128)

    def deployments(self, names: tuple[str, ...]) -> list[Data]:
        """Each with its newest record, what fires, and whether a monitor has been here."""
        return [{"name": name, "last_ms": self._last(name), "monitor_ms": self.watched.at_ms(name),
                 "firing": sum(alert.state == "firing" for alert in self.watched.alerts(name))} for name in names]  # fmt: skip

    def status(self, name: str, span: str) -> Data:
        """Up, who, right, changed, alerts. Raises FormatError, SQLAlchemyError."""
        return self._held(("status", name, span), span, lambda: self._status(name, SPANS[span]))

    def feature(self, name: str, span: str, field: str, part: str) -> Data | None:
        """One field, of all rows or of a slice; None: neither side knows it."""
        return self._held(("feature", name, span, field, part), span, lambda: self._feature(name, SPANS[span], field, part))

    def slice(self, name: str, span: str, part: str) -> Data | None:
        """One slice as a deployment of its own; None: there is no such slice in the span."""
        return self._held(("slice", name, span, part), span, lambda: self._slice(name, SPANS[span], part))

    def alert(self, name: str, number: str) -> Data | None:
        """One alert with its evidence and records; None: there never was one."""
        alert, events = self.watched.alert(name, number)
        if alert is None:
            return None
        held = [record for number in alerts_data.records_of(alert) if (record := find(self._desk.database, number)) is not None]
        labels = labels_of(self._desk.database, [record.id for record in held])
        lines = [record_line(record, {row: label for (owner, row), label in labels.items() if owner == record.id},
                             self._desk.signature(record)) for record in held]  # fmt: skip
        return alerts_data.whole(alert, events, lines)

    def rollout(self, name: str, number: str) -> Data:
        """A rollout by its id, or the newest ("" asks for it), and the others in a line each. Raises FormatError, SQLAlchemyError."""
        return self._kept.get(("rollout", name, number), ROLLOUT_S, lambda: self._rollout(name, number))

    def _rollout(self, name: str, number: str) -> Data:
        database = self._desk.database
        found = showing.seen(database, name, number)
        looks, counts = (showing.looks(database, found.held.id), showing.counted(database, found.held.id)) if found else ([], [])
        return rollout_data.page(found, storing.every(database, name), looks, counts, self._clock())

    def _held(self, key: tuple[str, ...], span: str, make: Callable[[], Any]) -> Any:
        return self._kept.get(key, SPANS[span].ms / 1000 / HOLD, make)

    def _seen(self, name: str, span: Span) -> Seen:
        return self._source.seen(name, span, self._clock())

    def _status(self, name: str, span: Span) -> Data:
        seen = self._seen(name, span)
        whole = seen.whole
        found = [alerts_data.brief(alert) for alert in self.watched.alerts(name)]
        budgets = [finding.to_dict() for finding in self.watched.findings(name, "slo-budget")]
        return {
            **self._head(name, span, seen),
            "up": {**up(whole, seen.steps, seen.cut), "budgets": budgets, "deadline_ms": self._deadline(name)},
            "who": who(whole, seen.steps, seen.cut), "right": right(whole, seen.steps, seen.cut),
            "changed": {**changed(whole, *self.watched.reference(name, whole)), "suspicions": self._suspicions(name)},
            "alerts": found, "entries": self._entries(name), "people": self.watched.waiting(name, self._clock()),
            "rollout": rollout_data.told(next(iter(storing.every(self._desk.database, name)), None), self._clock()),
        }  # fmt: skip

    def _feature(self, name: str, span: Span, field: str, part: str) -> Data | None:
        seen = self._seen(name, span)
        steps = [window.slices.get(part) if part else window for window in seen.steps]
        there = seen.whole.slices.get(part) if part else seen.whole
        reference, against, beside = self._reference(name, seen, part)
        held = None if reference is None else reference.fields.get(field)
        if there is None or (field not in there.profile.fields and held is None):
            return None
        summaries = [None if window is None else window.profile.fields.get(field) for window in steps]
        shown = feature(field, held, there.profile.fields.get(field), summaries, seen.cut)
        report = None if reference is None else compare(reference, there.profile)
        drift = None if report is None else next((line(one) for one in report.fields if one.field == field), None)
        flags = {key: count for key, count in there.flags.items() if f"in.{key.partition('|')[0]}" == field.partition("[")[0]}
        return {**self._head(name, span, seen), **shown, "slice": part, "drift": drift, "against": None if held is None else against,
                "beside": beside, "flags": flags, "slices": sorted(seen.whole.slices)}  # fmt: skip

    def _slice(self, name: str, span: Span, part: str) -> Data | None:
        seen = self._seen(name, span)
        whole = seen.whole.slices.get(part)
        if whole is None:
            return None
        steps = tuple(_or_empty(window.slices.get(part)) for window in seen.steps)
        reference, against, beside = self._reference(name, seen, part)
        return {**self._head(name, span, seen), "name": part, "rows": seen.whole.rows, "up": up(whole, steps, seen.cut),
                "who": who(whole, steps, seen.cut), "right": right(whole, steps, seen.cut),
                "changed": {**changed(whole, reference, against), "beside": beside}}  # fmt: skip

    def _reference(self, name: str, seen: Seen, part: str) -> tuple[Profile | None, str, bool]:
        """What is held against what. True: a slice beside all rows of its span, which says how it differs, and nothing of a change."""
        reference, against = self.watched.reference(name, seen.whole, part)
        return (seen.whole.profile, "all rows of this span", True) if part and reference is None else (reference, against, False)

    def _head(self, name: str, span: Span, seen: Seen) -> Data:
        return {"deployment": name, "span": {"name": span.name, "start_ms": seen.cut.start_ms, "end_ms": seen.cut.end_ms,
                                             "step_ms": seen.cut.step_ms}, "source": seen.by, "complete": seen.complete,
                "last_ms": self._last(name), "monitor_ms": self.watched.at_ms(name)}  # fmt: skip

    def _last(self, name: str) -> int | None:
        """When its newest record was written; where it has none, the newest minute that devices summed up."""
        newest = next(between(self._desk.database, 0, 1 << 53, name, 1, newest_first=True), None)
        return self.watched.newest(name) if newest is None else newest.server_ms

    def _deadline(self, name: str) -> float | None:
        deployment = self._desk.deployment(name)
        return None if deployment is None else deployment.failover.deadline_ms

    def _entries(self, name: str) -> list[str]:
        """What stands at each place of the chain, for people."""
        deployment = self._desk.deployment(name)
        if deployment is None or deployment.champion is None:
            return []
        links = [next(kind for kind in KINDS if getattr(link, kind) is not None) for link in deployment.failover.chain]
        named = [link.package if kind == "package" else kind for link, kind in zip(deployment.failover.chain, links, strict=True)]
        return [deployment.champion.package, *(str(one) for one in named)]

    def _suspicions(self, name: str) -> list[Data]:
        """What looks like a mistake: swapped columns, another unit, a field that stands still."""
        return [finding.to_dict() for finding in self.watched.findings(name, "suspicion") if finding.verdict == "breach"]


def _or_empty(window: Window | None) -> Window:
    return Window() if window is None else window
