"""A fleet in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...cloud.fleet.overview import Line, Told
from ...cloud.fleet.standing import RELEASE, STATES
from .console import short, table
from .moments import shown_ms


def shown_fleet(lines: Sequence[Line], now_ms: int) -> str:
    """How many there are of each state, then a line each."""
    if not lines:
        return "no devices\nportside fleet enrol SOURCE DEVICE adds one"
    counts = Counter(line.standing.state for line in lines)
    rows = [_row(line, now_ms) for line in lines]
    head = ["device", "labels", "state", "seen", "runs", "wanted", "missing", "lost", "errors", "why"]
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) + "\n\n" + table(rows, head=head)


def shown_log(found: Sequence[Told], device: str) -> str:
    """The newest first."""
    if not found:
        return f"nothing came from {device} yet, and nothing was wanted of it"
    rows = [[shown_ms(told.at_ms), told.kind, "" if told.kind == "desired" else told.name, short(told.data.get("release")), told.what]
            for told in found]  # fmt: skip
    return table(rows, head=["time", "kind", "name", "release", "what"])


def ago(past_ms: int) -> str:
    """In the largest unit that fits.

    >>> ago(5_000), ago(190_000), ago(7_300_000), ago(-5)
    ('5s ago', '3m ago', '2h ago', '0s ago')
    """
    seconds = max(0, past_ms // 1000)
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit} ago"
    return f"{seconds}s ago"


def _row(line: Line, now_ms: int) -> list[object]:
    held = line.device
    seen = "never" if held.seen_ms is None else ago(now_ms - held.seen_ms)
    labels = ",".join(f"{name}={value}" for name, value in sorted(held.labels.items()))
    why = "" if line.standing.state in ("current", "free", "new") else line.standing.why[:60]
    return [held.id, labels, line.standing.state, seen, short(held.versions.get(RELEASE)), short(held.desired), held.missing,
            sum(held.lost.values()), line.errors, why]  # fmt: skip
