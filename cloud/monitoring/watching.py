"""What is judged all the time, at the clock's time: error budgets, lost records, quality on labels, hooks, whether the monitor keeps up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...sdk.core.quality import Quality
from ...sdk.core.statistics import CONFIDENCE
from ...sdk.core.window import Window
from ..alerts.slo import BURNS, Counts
from ..alerts.slo import judge as judge_objective
from ..deployment.monitor import Quality as Wanted
from ..monitor import Finding, Verdict
from ..records.database import Database
from .about import About
from .absorbing import RECORDS
from .calibration import calibrated
from .levels import DAY_MS, MINUTE_MS, floor
from .reading import counts_between, counts_since

LOST_MS = 5 * MINUTE_MS
FALSE = 0.001
"""Probability of a false alarm of quality in one look, over all outputs and slices."""


def objectives(database: Database, about: About, now_ms: int) -> list[Finding]:
    """Burn rates and budgets. A window ends with this minute."""
    end, found = floor("minute", now_ms) + MINUTE_MS, list[Finding]()
    for one in about.objectives:
        spans = sorted({one.period_s, *(seconds for burn in BURNS for seconds in (burn.long_s, burn.short_s))})
        counts = counts_since(database, about.name, one.name, [end - max(int(seconds * 1e3), MINUTE_MS) for seconds in spans], end)
        found += judge_objective(one, dict(zip(spans, counts, strict=True)).__getitem__)
    return found


def lost(counts: Counts, span_s: float, fault: str = "") -> Finding:
    """Records that could not be written."""
    what = f"{counts.bad} records were lost within {span_s:g} s" + (f": {fault}" if fault else "") if counts.bad else "no record was lost"
    known = counts.total > 0
    verdict: Verdict = "breach" if counts.bad else "ok" if known else "not enough data"
    return Finding("records-lost", "", float(counts.bad), verdict, what, "critical", limit=0.0,
                   evidence={"written": counts.good, "lost": counts.bad, "fault": fault})  # fmt: skip


def failing(faults: Sequence[str]) -> Finding:
    """Whether records can be written now: while they cannot they wait, and are lost when too many do."""
    what = f"records cannot be written: {faults[0]}" if faults else "records are written"
    verdict: Verdict = "breach" if faults else "ok"
    return Finding("records-failing", "", float(bool(faults)), verdict, what, "critical", evidence={"faults": list(faults)})


def lost_lately(database: Database, about: About, now_ms: int, fault: str = "") -> Finding:
    """The same, of the last minutes."""
    return lost(counts_between(database, about.name, RECORDS, now_ms - LOST_MS, now_ms + MINUTE_MS), LOST_MS / 1e3, fault)


def behind(waiting: int, step_s: float, every_s: float) -> Finding:
    """Whether records come faster than they are counted. waiting: that were left when the round ended."""
    what = f"{waiting} records wait to be counted" if waiting else f"a round takes {step_s:.2f} s of {every_s:g} s"
    late = waiting > 0 or step_s > 4 * every_s
    return Finding("monitor-behind", "", float(waiting), "breach" if late else "ok", what, limit=0.0, evidence={"round_s": step_s})


def quality(window: Window, about: About) -> list[Finding]:
    """Accuracy with label coverage, and calibration, of outputs and their slices.

    Args:
        window: of the days that count, with slices.
    """
    parts = {"": window, **{f" @ {name}": part for name, part in window.slices.items()}}
    found = [(output, where, held, part.rows) for where, part in parts.items() for output, held in part.quality.items() if held.rows]
    share = FALSE / max(len(found), 1)
    return [finding for output, where, held, rows in found
            for finding in _judged(f"{output}{where}", held, rows, about.settings.quality.get(output, Wanted()), share)]  # fmt: skip


def quality_window(about: About, now_ms: int) -> tuple[int, int]:
    """From when to when records count for quality: the longest that an output asks for."""
    days = max((one.window_days for one in about.settings.quality.values()), default=Wanted().window_days)
    end = floor("minute", now_ms) + MINUTE_MS
    return end - int(days * DAY_MS), end


def _judged(subject: str, held: Quality, rows: int, wanted: Wanted, share: float) -> Iterable[Finding]:
    coverage = held.rows / rows if rows else 1.0
    evidence: Mapping[str, object] = {"labelled": held.rows, "rows": rows, "coverage": coverage, "confusion": held.confusion}
    if held.numbers:
        error = held.mean_error()
        yield Finding("quality", subject, error.value, "ok", f"{subject}: mean error {error} on {held.rows} labelled rows", "info",
                      error.low, error.high, evidence=evidence)  # fmt: skip
        return
    shown, sure = held.accuracy(CONFIDENCE), held.accuracy(1 - 2 * share)
    enough, limit = held.rows >= wanted.min_labels, wanted.min_accuracy
    verdict: Verdict = "not enough data" if not enough else "breach" if limit is not None and sure.high < limit else "ok"
    what = f"{subject}: accuracy {shown} on {held.rows} labelled rows, {coverage:.1%} of {rows}"
    yield Finding("quality", subject, shown.value, verdict, what, "critical", shown.low, shown.high, limit,
                  {**evidence, "plot": {"kind": "confusion", "confusion": held.confusion}})  # fmt: skip
    if (finding := calibrated(subject, held, wanted.max_calibration_error, wanted.min_labels)) is not None:
        yield finding
