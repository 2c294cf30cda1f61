"""What a load found: the steps, the knee, the verdict, the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .knee import Aim, Found
from .tally import Step

HEAD = ["requests/s", "verdict", "in time", "p50", "p90", "p99", "p99.9", "max", "answers/s", "errors", "failovers", "late itself"]


@dataclass(frozen=True)
class Report:
    """A finished load.

    Attributes:
        url: what was asked.
        made: where the body came from.
        aim: what was asked of every rate.
        steps: in the order they ran.
        found: what they say together.
        machine: what ran it; "busy" is the load average before it began, "shared": the server is on this machine too.
        seconds, arrivals: of every step.
    """

    url: str
    made: str
    aim: Aim
    steps: tuple[Step, ...]
    found: Found
    machine: Mapping[str, Any]
    seconds: float
    arrivals: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        steps = [{**step.to_dict(), "verdict": self.aim.judge(step)} for step in self.steps]
        return {
            "url": self.url, "body": self.made, "slo": self.aim.slo, "deadline_ms": self.aim.deadline_ms, **self.found.to_dict(),
            "steps": steps, "machine": dict(self.machine), "seconds": self.seconds, "arrivals": self.arrivals,
        }  # fmt: skip

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """(head, rows) of the table, lowest rate first, without columns that say nothing. Times in ms.

        "late itself" is the p99 of the generator's own lateness, where it matters.
        """
        lines = [HEAD, *(self._row(step) for step in sorted(self.steps, key=lambda step: step.rate))]
        said = [column for column in zip(*lines, strict=True) if any(column[1:])]
        head, *rows = [list(line) for line in zip(*said, strict=True)] or [HEAD]
        return head, rows

    def _row(self, step: Step) -> list[str]:
        times = [_ms(step.latency_ms.get(name)) for name in ("p50", "p90", "p99", "p99.9", "max")]
        late = f"{step.late_p99_ms:.1f}" if step.late(self.aim.deadline_ms) else ""
        return [f"{step.rate:,g}", self.aim.judge(step), f"{step.share_within:.2%}", *times, f"{step.achieved:,.0f}",
                counted(step.errors), counted(step.failovers), late]  # fmt: skip

    @property
    def where(self) -> str:
        """The machine in words."""
        held = self.machine
        count = held["cores"]
        shared = ", shared by server and generator" if held["shared"] else ", of the generator"
        busy = f"; load average {held['busy']:g} before" if held["busy"] > 0.5 * count else ""
        return f"{held['system']}, {held['cpu']}, {count} core{'s' if count > 1 else ''}{shared}{busy}"


def counted(held: Mapping[str, int]) -> str:
    """Counts in words, the largest first; "" where there are none."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(held.items(), key=lambda item: -item[1]))


def kinds(steps: Sequence[Step]) -> list[str]:
    """Every kind of error of any step, the most frequent first."""
    total = {name: sum(step.errors.get(name, 0) for step in steps) for step in steps for name in step.errors}
    return sorted(total, key=lambda name: -total[name])


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
