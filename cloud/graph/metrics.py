"""Metrics of a graph: those of any deployment for the whole, and for each step the same under `portside_step_*{step="..."}`.

Beside them `portside_steps_total{step,state}` counts what became of each step, `portside_step_rows_total{step,kind}` the rows that
were asked and answered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from ..answering.answers import Answerer
from ..answering.metrics import Metrics
from ..doors.metrics_page import merged
from .receipts import StepReceipt

_LEFT_OUT = re.compile(r"portside_records_")


class GraphMetrics(Metrics):
    """Counters of a graph.

    Attributes:
        engines: by step; their own metrics are shown with the step's name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engines: Mapping[str, Answerer] = {}
        self._states: Counter[tuple[str, str]] = Counter()
        self._rows: Counter[tuple[str, str]] = Counter()

    def settled(self, steps: Iterable[StepReceipt]) -> None:
        """What became of the steps of one request."""
        for step in steps:
            self._states[step.name, step.state] += 1
            if step.of:
                self._rows[step.name, "asked"] += step.of
                self._rows[step.name, "answered"] += step.rows

    def text(self) -> str:
        """The page of the whole, then that of the steps."""
        steps = [({"step": name}, _of_step(engine.metrics.text())) for name, engine in self.engines.items()]
        own = "\n".join(self._lines())
        return f"{super().text()}{own}\n{merged(steps)}"

    def _lines(self) -> Iterable[str]:
        yield "# HELP portside_steps_total What became of each step."
        yield "# TYPE portside_steps_total counter"
        yield from (f'portside_steps_total{{step="{name}",state="{state}"}} {count}' for (name, state), count in self._states.items())
        yield "# HELP portside_step_rows_total Rows that a step was asked for, and has answered."
        yield "# TYPE portside_step_rows_total counter"
        yield from (f'portside_step_rows_total{{step="{name}",kind="{kind}"}} {count}' for (name, kind), count in self._rows.items())


def _of_step(page: str) -> str:
    lines = (line for line in page.splitlines() if not _LEFT_OUT.search(line))
    return "\n".join(line.replace("portside_", "portside_step_", 1) for line in lines)
