"""Is a trial healthy? A verdict from what was seen of it, as a function from values to values.

| what | unhealthy | healthy |
|---|---|---|
| contract | it failed on this device's own engine | passed here; or lossy, unproven by golden rows alone, and proven when it was released |
| latency | more than 5% of calls are over the budget | fewer are: the 95th percentile is within it |
| outputs | one is missing that the active release gives | none is |
| agreement | answers differ from the old slot's on more rows than allowed | on fewer |

Rates are judged after every row, by tests that allow it (sequential.py); until both are settled the verdict is "not enough data".
What stays unsettled for `most_rows` rows is not healthy: it could not be shown. Agreement is not asked where no release was active
before, or where the two have no output that can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..sdk.core.contract import Rule
from ..sdk.core.decisions import NOT_ENOUGH, Verdict
from ..sdk.core.measures import element_kind, limit_of, measure, misfit
from ..sdk.core.signature import Array
from .installer import Health
from .sequential import Count, judge_rate

SLOW_SHARE = 0.05
"""Of calls that may be over the latency budget."""
NONE = Count()


@dataclass(frozen=True)
class Limits:
    """What a device asks of a new release.

    Attributes:
        p95_ms: latency budget of a call, 95th percentile; None: none.
        max_disagreement: share of rows whose answers may differ from the old release's, per output, in (0, 1).
        same_outputs: a release without an output that the active one gives is refused: whoever reads answers would miss it.
        most_rows: live rows after which a trial that is still unsettled is refused.
        agree: outputs to which `max_disagreement` applies; None: all that can be compared. Scores of two trainings differ nearly always.
    """

    p95_ms: float | None = None
    max_disagreement: float = 0.05
    same_outputs: bool = True
    most_rows: int = 10_000
    agree: tuple[str, ...] | None = None

    def asks(self, output: str) -> bool:
        """Whether the two releases have to agree on this output."""
        return self.agree is None or output in self.agree


@dataclass(frozen=True)
class Evidence:
    """What was seen of a trial.

    Attributes:
        contract: verdict on the golden rows here.
        proven: a lossy artifact that was proven when it was released, so that "not enough data" on golden rows is no surprise.
        why: what failed, where something did.
        missing: outputs of the active release that it lacks.
        live: live rows that both releases answered.
        calls: calls over the latency budget, of all.
        outputs: output -> rows that differ, of all compared.
        compared: agreement is asked.
    """

    contract: Verdict = NOT_ENOUGH
    proven: bool = False
    why: str = ""
    missing: tuple[str, ...] = ()
    live: int = 0
    calls: Count = NONE
    outputs: Mapping[str, Count] = field(default_factory=dict[str, Count])
    compared: bool = True

    def with_call(self, took_ms: float, budget_ms: float | None) -> Evidence:
        """With one more call."""
        return replace(self, calls=self.calls.plus(int(budget_ms is not None and took_ms > budget_ms), 1))

    def with_rows(self, rows: int, off: Mapping[str, Array]) -> Evidence:
        """With more live rows. off: output that can be compared -> (rows,) bool, whether they differ."""
        more = {name: self.outputs.get(name, NONE).plus(int(held.sum()), len(held)) for name, held in off.items()}
        return replace(self, live=self.live + rows, outputs={**self.outputs, **more})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for status."""
        outputs = {name: {"off": count.off, "rows": count.rows} for name, count in self.outputs.items()}
        return {
            "contract": self.contract,
            "why": self.why,
            "live": self.live,
            "slow": self.calls.off,
            "calls": self.calls.rows,
            "outputs": outputs,
        }


def verdict(evidence: Evidence, limits: Limits) -> Health:
    """Judge a trial.

    Returns:
        Health: "healthy", "unhealthy" or "not enough data", and the figure that decided.
    """
    if evidence.contract == "failed":
        return Health("unhealthy", f"the contract failed on this device: {evidence.why}")
    if evidence.contract == NOT_ENOUGH and not evidence.proven:
        return Health("unhealthy", "the contract has too few rows to prove it, and nobody proved it before")
    if evidence.missing and limits.same_outputs:
        return Health("unhealthy", f"it does not give {', '.join(map(repr, evidence.missing))}, which the active release gives")
    found = {**_latency(evidence, limits), **_agreement(evidence, limits)}
    if bad := [what for what, one in found.items() if one == "failed"]:
        return Health("unhealthy", bad[0])
    waiting = [what for what, one in found.items() if one == NOT_ENOUGH]
    if not waiting:
        return Health("healthy", "; ".join(["the contract holds", *found]))
    if evidence.live >= limits.most_rows:
        return Health("unhealthy", f"after {evidence.live} rows it could not be shown that it is healthy: {waiting[0]}")
    return Health("not enough data", "; ".join(waiting))


def differ(rule: Rule, old: Array, new: Array) -> Array | None:
    """(rows,) bool: whether two releases' answers differ by more than precision may change; None where they cannot be compared.

    Two models need not agree as an artifact has to agree with its own package: scores and values have the tolerances of lossy
    artifacts, per row. Of embeddings, rankings and boxes of two models there is no rule that would hold for both.
    """
    if misfit(rule, old, new) or not comparable(rule, old.dtype):
        return None
    wide = {"score": {"atol": limit_of(rule, "p99")}, "value": {"max": limit_of(rule, "p95")}}.get(rule.kind, rule.limits)
    return np.asarray(measure(replace(rule, limits=wide), old, new).off, bool)


def comparable(rule: Rule, dtype: np.dtype[Any]) -> bool:
    """Two releases' answers to one row can be held against each other."""
    return rule.kind in ("decision", "score", "value") or (rule.kind == "sequence" and element_kind(rule, np.zeros(0, dtype)) == "decision")


def _latency(evidence: Evidence, limits: Limits) -> dict[str, Verdict]:
    if limits.p95_ms is None:
        return {}
    what = f"{evidence.calls} calls took more than {limits.p95_ms:g} ms, {SLOW_SHARE:.0%} may"
    return {what: judge_rate(evidence.calls, SLOW_SHARE)}


def _agreement(evidence: Evidence, limits: Limits) -> dict[str, Verdict]:
    if not evidence.compared:
        return {}
    outputs = {name: count for name, count in evidence.outputs.items() if limits.asks(name)}
    if not outputs:
        return {"no live row was seen": NOT_ENOUGH} if not evidence.live else {"no answer has the shape of the old release's": "failed"}
    allowed = limits.max_disagreement
    return {f"{name!r} differs on {count} rows, {100 * allowed:.3g}% may": judge_rate(count, allowed)
            for name, count in outputs.items()}  # fmt: skip
