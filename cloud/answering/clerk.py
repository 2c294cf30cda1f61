"""What the dial means for an engine: every row of an answer is routed, and what a person is to look at is handed to the review queue."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import copy

from ...sdk.core.errors import PortsideError
from ...sdk.core.records import Receipt, new_id
from ...sdk.core.signature import Array
from ..automating.items import ItemMaker
from ..automating.plan import Plan
from ..automating.routing import Routes, routes
from ..automating.writer import ReviewWriter
from ..automation import Dial
from ..review.item import Item
from .answers import NotReadyError, Pending
from .consistency import Author
from .walk import Walk

OWN: tuple[str, ...] = ("cache", "precomputed")
"""Targets of entries that keep the champion's own answers."""


class LostReviewError(NotReadyError):
    """A person would have had to decide, and the review could not be written down: there is no answer to wait for."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.what, self.fix = "The review could not be written down", "Ask again."
        self.args = (self._message(),)


class Clerk:
    """One per engine.

    Args:
        plan: of the deployment.
        maker: makes items of its queue.
        writer: writes them.
        draw: a number in [0, 1), anew at each call.

    Attributes:
        counts: (whose answer stands, why) -> rows.
    """

    def __init__(self, plan: Plan, maker: ItemMaker, writer: ReviewWriter, draw: Callable[[], float] | None = None) -> None:
        self.plan, self.writer, self._maker = plan, writer, maker
        self._draw = draw or random.Random().random  # noqa: S311  a lottery, not a secret
        self.counts: Counter[tuple[str, str]] = Counter()
        self._place, self._own = 0, OWN

    @property
    def asleep(self) -> bool:
        """No row needs the model."""
        return self.plan.dial.asleep

    def routes(self, walk: Walk, author: Author, outputs: Mapping[str, Array]) -> Routes:
        """Who decides the rows of an answer."""
        champion = author.place == self._place or author.target in self._own
        found = routes(self.plan, walk.checked.arrays, outputs, walk.rows, champion, self._draw)
        counts = self.counts
        for route in found.rows:
            counts[route.answered_by, route.reason] += 1
        return found

    def beside(self) -> Clerk:
        """The clerk of a rollout's challenger: the same plan, writer and counts. The thresholds are the champion's alone."""
        other = copy(self)
        other._place, other._own = 1, ()  # behind the challenger, whose answers the caches of that chain keep
        return other

    def filed(self, found: Routes, walk: Walk, author: Author, outputs: Mapping[str, Array], receipt: Receipt) -> Pending | None:
        """Make the reviews of an answer. Checks are handed to the writer; the others are what the caller has to wait for."""
        now_ms, question = time.time_ns() // 1_000_000, walk.question
        numbers: list[str | None] = [None] * len(found.rows)
        checks, waiting = list[Item](), list[Item]()
        for row in found.reviewed:
            route, number = found.rows[row], new_id()
            item = self._maker.item(number, receipt.record, row, route, question.wire, outputs, author.package, question.entity, now_ms)
            (waiting if route.waits else checks).append(item)
            numbers[row] = number if route.waits else None
        if checks:
            self.writer.later(checks)
        blank = tuple(row for row in found.reviewed if found.rows[row].caller == "pending")
        return Pending(tuple(numbers), blank, tuple(waiting)) if waiting else None

    async def stored(self, pending: Pending) -> None:
        """Durable when it returns. Raises LostReviewError."""
        try:
            await self.writer.now(pending.items)
        except PortsideError as error:
            raise LostReviewError(str(error)) from error

    def lines(self) -> Iterator[str]:
        """Of the metrics page."""
        yield from ("# HELP portside_decisions_total Rows by whose answer stands and why.", "# TYPE portside_decisions_total counter")
        yield from (f'portside_decisions_total{{by="{by}",reason="{reason}"}} {count}' for (by, reason), count in self.counts.items())
        for name, about, value in (("written", "Reviews that are in the queue or were.", self.writer.written),
                                   ("lost", "Reviews that could not be written.", self.writer.lost)):  # fmt: skip
            yield from (f"# HELP portside_reviews_{name}_total {about}", f"# TYPE portside_reviews_{name}_total counter")
            yield f"portside_reviews_{name}_total {value}"
        yield "# TYPE portside_automation_threshold gauge"
        yield from _thresholds(self.plan.dial)

    def close(self) -> None:
        """Write what waits."""
        self.writer.close()


def _thresholds(dial: Dial) -> Iterator[str]:
    for name, held in (("", dial), *dial.slices.items()):
        if held.level == "partial":
            shown = "+Inf" if held.threshold is None else f"{held.threshold:g}"
            escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            yield f'portside_automation_threshold{{slice="{escaped}"}} {shown}'
