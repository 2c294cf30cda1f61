"""Where the dashboard's windows come from: the monitor's where one has been here, else made from the newest records.

A deployment that nobody monitors is shown all the same, from at most `NEWEST` records: the page says which of both it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Literal

from ...sdk.core.labels import Label
from ...sdk.core.records import UNANSWERED, Record
from ...sdk.core.signature import Signature
from ...sdk.core.window import Window
from ..desk.desk import Desk
from ..monitoring.reading import windows_between
from ..records.reading import between, labels_of
from .kept import Kept
from .spans import Cut, Span
from .watched import Watched

NEWEST = 5000
PAST_S = 60.0
"""How long the windows of a step that is over are kept: late records and labels show within this."""
SLICED, SLICES = 12, 3
"""Without a `[monitor]` section slices are the first input fields of at most so many categories."""


@dataclass(frozen=True)
class Seen:
    """What a span holds, in steps.

    Attributes:
        by: "monitor", or "records": no monitor has been here.
        steps: one window per step of `cut`, the empty window where nothing was asked.
        complete: nothing of the span was left out.
    """

    by: Literal["monitor", "records"]
    cut: Cut
    steps: tuple[Window, ...]
    complete: bool = True

    @cached_property
    def whole(self) -> Window:
        """All of the span."""
        return Window.merge_all(self.steps)


class Source:
    """The windows of a desk's deployments."""

    def __init__(self, desk: Desk, watched: Watched) -> None:
        self._desk, self._watched = desk, watched
        self._past: Kept[Window] = Kept(256)

    def seen(self, name: str, span: Span, now_ms: int) -> Seen:
        """What the span that ends now holds. Raises FormatError."""
        cut = span.cut(now_ms)
        if self._watched.at_ms(name) is None:
            return self._recorded(name, cut)
        return Seen("monitor", cut, tuple(self._step(name, cut, start) for start in cut.starts))

    def _step(self, name: str, cut: Cut, start: int) -> Window:
        """One step as the monitor has it; those that are over are kept for a while."""
        def make() -> Window:
            return Window.merge_all(windows_between(self._desk.database, name, start, start + cut.step_ms))

        newest = start >= cut.starts[-1] - cut.step_ms
        return make() if newest else self._past.get((name, start, cut.step_ms), PAST_S, make)

    def _recorded(self, name: str, cut: Cut) -> Seen:
        """From records, and what devices summed up: while no monitor has been here, that is all that its minutes hold."""
        database = self._desk.database
        found = list(between(database, cut.start_ms, cut.end_ms, name, NEWEST + 1, newest_first=True))
        held = [record for record in reversed(found[:NEWEST]) if record.exposed or record.arm == UNANSWERED]
        labels = labels_of(database, [record.id for record in held])
        made = {place: self._summed(name, part, labels) for place, part in _by_step(held, cut)}
        steps = [made.get(place, Window()) for place in range(len(cut.starts))]
        if self._watched.tables:
            steps = [Window.merge_all([held, self._step(name, cut, start)]) for held, start in zip(steps, cut.starts, strict=True)]
        return Seen("records", cut, tuple(steps), len(found) <= NEWEST)

    def _summed(self, name: str, records: Sequence[Record], labels: Mapping[tuple[str, int], Label]) -> Window:
        """Records as one window, with the slices and the confidence that the deployment names."""
        deployment, parts = self._desk.deployment(name), list[Window]()
        settings = None if deployment is None else deployment.monitor
        confidence = None if settings is None else settings.confidence
        for part in _versions(records):
            signature = self._desk.signature(part[0])
            slices = slices_of(signature) if settings is None else tuple(settings.slices)
            window = Window.of(part, labels, signature=signature, slices=slices, confidence=confidence)
            parts.append(replace(window, deployment=name))
        return Window.merge_all(parts)


def slices_of(signature: Signature | None) -> tuple[str, ...]:
    """Input fields of few categories."""
    specs = signature.inputs if signature else ()
    return tuple(spec.name for spec in specs if spec.categories and len(spec.categories) <= SLICED and not spec.redact)[:SLICES]


def _by_step(records: Sequence[Record], cut: Cut) -> list[tuple[int, list[Record]]]:
    return [(place, list(part)) for place, part in groupby(records, lambda record: (record.server_ms - cut.start_ms) // cut.step_ms)]


def _versions(records: Sequence[Record]) -> list[list[Record]]:
    """Records apart by the version of the deployment that wrote them, which has a signature of its own."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.deployment, []).append(record)
    return list(found.values())
