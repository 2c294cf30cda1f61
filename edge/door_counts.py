"""What the doors count, and their metrics page: a few lines of Prometheus text."""

from __future__ import annotations

import threading
from collections import Counter


class DoorCounts:
    """Counts of the doors, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statuses: Counter[int] = Counter()
        self._seconds, self._answers = 0.0, 0
        self._turned_away = 0

    def reply(self, status: int) -> None:
        """A reply went out."""
        with self._lock:
            self._statuses[status] += 1

    def answer(self, seconds: float) -> None:
        """An answer was made, in that time."""
        with self._lock:
            self._answers, self._seconds = self._answers + 1, self._seconds + seconds

    def turn_away(self) -> None:
        """A connection found no room."""
        with self._lock:
            self._turned_away += 1

    def text(self, **now: float) -> str:
        """The page. now: gauge -> its value."""
        with self._lock:
            lines = ["# HELP portside_edge_replies_total Replies by HTTP status.", "# TYPE portside_edge_replies_total counter",
                     *(f'portside_edge_replies_total{{status="{status}"}} {number}' for status, number in sorted(self._statuses.items())),
                     "# HELP portside_edge_answer_seconds Time to make an answer, the wait for a place included.",
                     "# TYPE portside_edge_answer_seconds summary",
                     f"portside_edge_answer_seconds_sum {self._seconds:.6f}", f"portside_edge_answer_seconds_count {self._answers}",
                     "# HELP portside_edge_turned_away_total Connections for which there was no room.",
                     "# TYPE portside_edge_turned_away_total counter", f"portside_edge_turned_away_total {self._turned_away}"]  # fmt: skip
        for name, value in now.items():
            lines += [f"# TYPE portside_edge_{name} gauge", f"portside_edge_{name} {value:g}"]
        return "\n".join(lines) + "\n"
