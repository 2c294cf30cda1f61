"""Spans of time that the dashboard shows, cut into steps that windows fit into. Pure.

    >>> SPANS["1h"].cut(7_260_000).starts[-1]
    7200000
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...sdk.core.window import Window

MINUTE, HOUR = 60_000, 3_600_000
STEPS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR)


@dataclass(frozen=True)
class Cut:
    """A span in steps. `starts`: Unix milliseconds; the last step is the one that `now` is in, and not over yet."""

    step_ms: int
    starts: tuple[int, ...]

    @property
    def start_ms(self) -> int:
        """Where it begins."""
        return self.starts[0]

    @property
    def end_ms(self) -> int:
        """Where its last step ends."""
        return self.starts[-1] + self.step_ms

    def sort(self, windows: Iterable[Window]) -> list[list[Window]]:
        """The windows of each step, by where they begin; those of another time are left out."""
        found: list[list[Window]] = [[] for _ in self.starts]
        for window in windows:
            place = (window.start_ms - self.start_ms) // self.step_ms
            if 0 <= place < len(found):
                found[place].append(window)
        return found


@dataclass(frozen=True)
class Span:
    """One choice of a viewer: how far back, in which steps."""

    name: str
    ms: int
    step_ms: int

    def cut(self, now_ms: int, longest_ms: int = 0) -> Cut:
        """The span that ends now.

        Args:
            now_ms: a moment within the last step.
            longest_ms: of the windows that there are; a step is no shorter, or some would look empty.
        """
        step = next((step for step in STEPS if step >= max(self.step_ms, longest_ms)), STEPS[-1])
        last = now_ms // step * step
        count = max(-(-self.ms // step), 1)
        return Cut(step, tuple(last - step * back for back in reversed(range(count))))


SPANS = {span.name: span for span in (
    Span("1h", HOUR, MINUTE), Span("6h", 6 * HOUR, 5 * MINUTE), Span("24h", 24 * HOUR, 15 * MINUTE), Span("7d", 168 * HOUR, HOUR),
    Span("30d", 720 * HOUR, 6 * HOUR),
)}  # fmt: skip


def longest(windows: Sequence[Window]) -> int:
    """Length of the longest window, milliseconds, rounded up to whole minutes."""
    return max((-(-(window.end_ms - window.start_ms) // MINUTE) * MINUTE for window in windows), default=0)
