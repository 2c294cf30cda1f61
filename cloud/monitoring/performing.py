"""Whether answers have become wrong more often, valid however often one looks: evidence (an e-detector) over labels as they come.

A label counts when it comes, and a correction is the difference that it makes. Labels that stand for others (drawn for review with a
probability) are left out: who is drawn is no random row. The state moves with the cursor of whoever counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...sdk.core.drift.evidence import Evidence
from ...sdk.core.window import Window
from ..monitor import Finding, Verdict
from .about import About
from .levels import DAY_MS

LOOKS = 500_000
"""Of a month: a round every five seconds."""
State = Mapping[str, Mapping[str, Any]]


def performed(state: State, before: Mapping[int, Window], after: Mapping[int, Window], about: About, now_ms: int) -> dict[str, Any]:
    """The state by output after the quality of some minutes has changed. An alarm is forgotten when its records are out of the window."""
    held: dict[str, Any] = dict(state)
    for output, wanted in about.settings.quality.items():
        errors, rows = _changed(output, before, after)
        if wanted.min_accuracy is None or wanted.min_accuracy >= 1 or rows <= 0:
            continue
        one = held.get(output, {})
        evidence = _evidence(one, 1 - wanted.min_accuracy)
        if evidence.alarm and now_ms - one["alarm_ms"] > wanted.window_days * DAY_MS:
            evidence = evidence.reset()
        grown = evidence.update(min(max(errors, 0), rows), rows)
        alarm_ms = one["alarm_ms"] if evidence.alarm else now_ms if grown.alarm else None
        held[output] = {**vars(grown), "sums": list(grown.sums), "alarm_ms": alarm_ms}
    return held


def findings(state: State, about: About) -> Iterable[Finding]:
    """One for each output with a limit."""
    for output, wanted in about.settings.quality.items():
        if wanted.min_accuracy is None:
            continue
        held = _evidence(state.get(output, {}), 1 - wanted.min_accuracy)
        verdict: Verdict = "breach" if held.alarm else "ok" if held.rows else "not enough data"
        what = f"{output}: {held.errors} of {held.rows} labels were against the answer; " + (
            f"that is more than {held.limit:.0%}" if held.alarm else f"no evidence that it is more than {held.limit:.0%}")  # fmt: skip
        yield Finding("performance", output, held.strength, verdict, what, "critical", limit=1.0,
                      evidence={"errors": held.errors, "labels": held.rows, "looks": held.looks_done})  # fmt: skip


def _evidence(held: Mapping[str, Any], limit: float) -> Evidence:
    """The evidence as it was, unless the limit is another one now."""
    if held.get("limit") != limit:
        return Evidence(limit, LOOKS)
    values: dict[str, Any] = {name: value for name, value in held.items() if name != "alarm_ms"}
    values["sums"] = tuple(held["sums"])
    return Evidence(**values)


def _changed(output: str, before: Mapping[int, Window], after: Mapping[int, Window]) -> tuple[int, int]:
    """(errors, labels) that came, of minutes in which every label stands for itself."""
    errors = rows = 0
    for start, window in after.items():
        new, old = window.quality.get(output), before[start].quality.get(output) if start in before else None
        if new is None or new.weight != new.rows or (old is not None and old.weight != old.rows):
            continue
        errors += round(new.weight - new.correct) - (round(old.weight - old.correct) if old else 0)
        rows += new.rows - (old.rows if old else 0)
    return errors, rows
