"""Counters and histograms, as Prometheus text. One object per worker process, written from the event loop only.

Names: `portside_requests_total{model,reason}`, `portside_refused_total{status}`, `portside_failovers_total{entry,reason}`,
`portside_breaker_openings_total{entry}`, `portside_request_seconds` and `portside_stage_seconds{stage}` (histograms), and what
engine_page.py and tallies.py read when asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from .stages import Stages

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What one worker has served. `gauges` gives name (with its labels) -> value when the page is asked for; `pages` give whole lines."""

    def __init__(self, gauges: Callable[[], Mapping[str, float]] | None = None) -> None:
        self._gauges = gauges or dict[str, float]
        self._page: Callable[[], Iterable[str]] = list[str]
        self.pages: list[Callable[[], Iterable[str]]] = []
        self.reloads: Counter[Labels] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[Labels] = Counter()
        self.unrecorded: Counter[int] = Counter()
        self.failovers: Counter[Labels] = Counter()
        self.openings: Counter[Labels] = Counter()
        self.stages = Stages()
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._seconds = 0.0

    def answered(self, model: str, reason: str, seconds: float, attempts: Iterable[str]) -> None:
        """One answer. `attempts`: "entry:reason" of those that did not answer."""
        self.requests[model, reason] += 1
        self._buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self._seconds += seconds
        for attempt in attempts:
            entry, _, why = attempt.partition(":")
            self.failovers[("entry", entry), ("reason", why)] += 1

    def opened(self, entry: int | str) -> None:
        """The breaker of an entry has opened."""
        self.openings[(("entry", str(entry)),)] += 1

    def show(self, gauges: Callable[[], Mapping[str, float]], page: Callable[[], Iterable[str]]) -> None:
        """From now on the page shows what these say: gauges, and whole lines."""
        self._gauges, self._page = gauges, page

    def reloaded(self, outcome: str) -> None:
        """A new version was taken up ("swapped"), or the old one goes on ("failed")."""
        self.reloads[(("outcome", outcome),)] += 1

    def refuse(self, status: int, record: bool = False) -> None:
        """One request that got an error instead of an answer. `record`: there is a record that says so."""
        self.refused[(("status", str(status)),)] += 1
        if not record:
            self.unrecorded[status] += 1

    def text(self) -> str:
        """Prometheus exposition format, version 0.0.4."""
        requests = Counter({(("model", model), ("reason", reason)): count for (model, reason), count in self.requests.items()})
        lines = [
            *_counter("portside_requests_total", "Answers by who gave them and why.", requests),
            *_counter("portside_refused_total", "Requests answered with an error, by status.", self.refused),
            *_counter("portside_failovers_total", "Entries of the chain that did not answer, by reason.", self.failovers),
            *_counter("portside_breaker_openings_total", "How often the breaker of an entry opened.", self.openings),
            *self.stages.lines(),
            *self.histogram("portside_request_seconds", "Time from arrival to answer."),
        ]
        lines += _counter("portside_reloads_total", "New versions taken up beside the running one, or refused.", self.reloads)
        lines += [line for more in (self._page, *self.pages) for line in more()]
        gauges = self._gauges()
        for name in dict.fromkeys(key.partition("{")[0] for key in gauges):
            lines.append(f"# TYPE {name} gauge")
            lines += [f"{key} {value:g}" for key, value in gauges.items() if key.partition("{")[0] == name]
        return "\n".join(lines) + "\n"

    def histogram(self, name: str, about: str, label: str = "") -> list[str]:
        """Seconds of answers as Prometheus text; without `about` it has no head. label: such as `arm="challenger"`."""
        lines, total = [f"# HELP {name} {about}", f"# TYPE {name} histogram"] if about else [], 0
        first, only = f"{label}," if label else "", f"{{{label}}}" if label else ""
        for limit, count in zip((*BUCKETS_S, float("inf")), self._buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{first}le="{"+Inf" if limit == float("inf") else f"{limit:g}"}"}} {total}')
        return [*lines, f"{name}_sum{only} {self._seconds:.6f}", f"{name}_count{only} {total}"]


def _counter(name: str, about: str, values: Counter[Labels]) -> list[str]:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} counter"]
    for labels, value in values.items():
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        lines.append(f"{name}{{{shown}}} {value}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
