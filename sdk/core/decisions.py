"""Judging: is an answer still the answer? One rule per kind of output, as data, so that every language can judge.

| kind | float artifacts (limit) | lossy artifacts (limit) |
|---|---|---|
| decision | no flip on a firm row | 95% upper bound of all flips <= max_flips (0.01) |
| score | largest difference <= atol (1e-4) | 99th percentile of rows <= p99 (0.05) |
| value | largest difference <= max (1e-4) x scale | 95th percentile of rows <= p95 (0.02) x scale |
| embedding | cosine >= cosine (0.99999) | min cosine >= lossy_cosine (0.99), neighbour overlap@10 >= overlap (0.95) |
| ranking | same order but between scores within atol (1e-4) x scale | mean overlap@k >= overlap (0.95) |
| detections | all matched: same label, IoU >= iou (0.9) | >= matched (0.98) of boxes matched, both ways |
| sequence | every step by the kind of its element | the same |

- Rows are axis 0. A row's distance is the largest of its elements' (a number, so that the worst row has a name).
- NaN equals NaN in the same place only; infinities likewise. Another shape or dtype fails with a line that says so.
- Rows that are not *firm* never fail a float artifact; they are counted apart.
- "Not enough data" is a verdict: no rows at all; lossy decisions on fewer than 3 / max_flips rows (unless their 95%
  lower bound is already over the budget: that is "failed"); other lossy kinds on fewer than 32 rows.
- Percentiles take the higher neighbour: sorted[ceil(q x (n - 1))].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite, isnan
from typing import Any, Literal, TypeAlias

import numpy as np

from .contract import Rule
from .measures import Measured, limit_of, measure, misfit
from .signature import Array, Kind
from .statistics import MIN_ROWS, Estimate, clopper_pearson, lower_bound, upper_bound

Verdict: TypeAlias = Literal["passed", "failed", "not enough data"]
NOT_ENOUGH: Verdict = "not enough data"


@dataclass(frozen=True)
class Judgement:
    """What was found for one output. Truthy only when it passed.

    Attributes:
        kind: of the output.
        verdict: "passed", "failed" or "not enough data".
        rows: rows compared.
        flips: rows off: discrete answers that differ, other answers outside the float tolerance.
        firm_flips: those of them on firm rows.
        fragile_rows: rows that are not firm.
        worst_row: position of the row farthest off (a firm one where any is off), None when all agree.
        max_abs, mean_abs: largest and mean distance over rows, in the kind's unit; infinite for NaN against a number.
        measured, limit: the figure that decided and what it was held against.
        upper_bound: 95% one-sided upper bound of the rate of flips.
        lossy: judged by the column for lossy artifacts.
        note: one line for people.
        slices: "name=group" -> rows and flips with the interval of their rate, worst first.
        row_flips: per row whether it is off; not in `to_dict`.
    """

    kind: Kind
    verdict: Verdict
    rows: int
    flips: int = 0
    firm_flips: int = 0
    fragile_rows: int = 0
    worst_row: int | None = None
    max_abs: float = 0.0
    mean_abs: float = 0.0
    measured: float = 0.0
    limit: float = 0.0
    upper_bound: float = 1.0
    lossy: bool = False
    note: str = ""
    slices: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    row_flips: Array = field(default_factory=lambda: np.zeros(0, bool), repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    @property
    def flip_rate(self) -> Estimate:
        """Flips over rows with its exact 95% interval."""
        return clopper_pearson(self.flips, self.rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; infinite figures as "inf"."""
        hidden = ("slices", "row_flips")
        data = {key: _plain(held) for key, held in self.__dict__.items() if key not in hidden}
        return data | {"slices": {key: held.to_dict() for key, held in self.slices.items()}}


def judge(rule: Rule, reference: Array, got: Array, firm: Array | None = None, lossy: bool = False,
          slices: Mapping[str, Array] | None = None) -> Judgement:  # fmt: skip
    """Judge one output against its reference.

    Args:
        rule: kind and tolerances.
        reference: (rows, ...) what the answer should be.
        got: (rows, ...) what it was; must have the same shape and dtype.
        firm: (rows,) bool; None: every row is firm.
        lossy: judge by the column for lossy artifacts.
        slices: name -> group per row; gives flips per group.
    """
    reference, got = np.asarray(reference), np.asarray(got)
    if fault := misfit(rule, reference, got):
        count = len(reference) if reference.ndim else 1
        return Judgement(rule.kind, "failed", count, count, count, 0, 0, float("inf"), float("inf"), lossy=lossy, note=fault)
    rows = len(reference)
    if rows == 0:
        return Judgement(rule.kind, NOT_ENOUGH, 0, lossy=lossy, note="there are no rows")
    sure = np.ones(rows, bool) if firm is None else np.asarray(firm, bool)
    measured = measure(rule, reference, got)
    return _decide(rule, measured, sure, lossy, _grouped(measured.off, slices or {}))


def rows_needed(rule: Rule) -> int:
    """Rows without which a lossy artifact cannot pass on an output of this rule: 3 / max_flips, or 32."""
    if rule.kind == "decision" or rule.element == "decision":
        return ceil(round(3 / limit_of(rule, "max_flips", "decision"), 6))
    return MIN_ROWS


def merge(rule: Rule, parts: Sequence[Judgement]) -> Judgement:
    """One judgement of an output that was judged in parts, because its shapes differ from call to call.

    Counts add up and the verdict of lossy decisions is taken again on all rows; other lossy kinds pass when a part with
    enough rows passes and none fails. `worst_row` counts rows over the parts, in order.
    """
    if not parts:
        return Judgement(rule.kind, NOT_ENOUGH, 0, note="there are no rows")
    if len(parts) == 1:
        return parts[0]
    verdicts = [part.verdict for part in parts]
    rows = sum(part.rows for part in parts)
    worst = max(range(len(parts)), key=lambda at: (verdicts[at] == "failed", parts[at].firm_flips > 0, parts[at].max_abs))
    flips = sum(part.flips for part in parts)
    place, first = parts[worst].worst_row, sum(part.rows for part in parts[:worst])
    whole = replace(
        parts[worst], rows=rows, flips=flips, firm_flips=sum(part.firm_flips for part in parts),
        fragile_rows=sum(part.fragile_rows for part in parts), upper_bound=upper_bound(flips, rows),
        worst_row=None if place is None else first + place,
        max_abs=max(part.max_abs for part in parts), mean_abs=sum(part.mean_abs * part.rows for part in parts) / max(rows, 1),
        verdict="failed" if "failed" in verdicts else ("passed" if "passed" in verdicts else NOT_ENOUGH),
        slices={}, row_flips=np.concatenate([part.row_flips for part in parts]),
    )  # fmt: skip
    discrete = "decision" in (rule.kind, rule.element)
    counted = whole.lossy and discrete and len(whole.row_flips) == rows
    return _lossy_decision(rule, replace(whole, verdict="passed", note="")) if counted else whole


def combine(verdicts: list[Verdict]) -> Verdict:
    """One failed fails all; then one without enough data; none at all is not enough data."""
    if "failed" in verdicts:
        return "failed"
    return NOT_ENOUGH if NOT_ENOUGH in verdicts or not verdicts else "passed"


def _decide(rule: Rule, found: Measured, firm: Array, lossy: bool, slices: Mapping[str, Estimate]) -> Judgement:
    rows, flips = len(found.off), int(found.off.sum())
    off_firm = found.off & firm
    base = Judgement(
        rule.kind, "passed", rows, flips, int(off_firm.sum()), int((~firm).sum()), _worst(found.distance, found.off, off_firm),
        float(found.distance.max()), float(found.distance.mean()), limit=found.limit, upper_bound=upper_bound(flips, rows),
        lossy=lossy, slices=slices, row_flips=found.off,
    )  # fmt: skip
    if not lossy:
        return _float_verdict(base, found.distance, firm)
    return _lossy_decision(rule, base) if found.lossy is None else _lossy_distance(base, *found.lossy())


def _float_verdict(base: Judgement, distance: Array, firm: Array) -> Judgement:
    measured = float(distance[firm].max()) if firm.any() else 0.0
    if not base.firm_flips:
        return replace(base, measured=measured)
    return replace(base, verdict="failed", measured=measured, note=f"{base.firm_flips} of {int(firm.sum())} firm rows are off")


def _lossy_decision(rule: Rule, base: Judgement) -> Judgement:
    budget = limit_of(rule, "max_flips", "decision")
    base = replace(base, measured=base.upper_bound, limit=budget)
    if lower_bound(base.flips, base.rows) > budget:
        return replace(base, verdict="failed", note=f"{base.flips} of {base.rows} rows flip, more than {budget:g} allows")
    if base.rows < (needed := rows_needed(rule)):
        return replace(base, verdict=NOT_ENOUGH, note=f"{base.rows} rows, {needed} are needed to prove {budget:g}")
    if base.upper_bound > budget:
        return replace(base, verdict="failed", note=f"{base.flips} flips in {base.rows} rows bound the rate at {base.upper_bound:.3g} only")
    return base


def _lossy_distance(base: Judgement, measured: float, limit: float, what: str) -> Judgement:
    base = replace(base, measured=measured, limit=limit)
    if measured > limit:
        return replace(base, verdict="failed", note=f"{what} is {measured:.3g}, allowed {limit:.3g}")
    if base.rows < MIN_ROWS:
        return replace(base, verdict=NOT_ENOUGH, note=f"{base.rows} rows, {MIN_ROWS} are needed")
    return base


def _grouped(off: Array, slices: Mapping[str, Array]) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    for name, groups in slices.items():
        named = np.asarray(groups).astype(str)
        for group in np.unique(named):
            held = off[named == group]
            found[f"{name}={group}"] = clopper_pearson(int(held.sum()), len(held))
    return dict(sorted(found.items(), key=lambda item: (-item[1].value, item[0])))


def _worst(distance: Array, off: Array, off_firm: Array) -> int | None:
    pool = off_firm if off_firm.any() else off
    if not pool.any():
        return int(distance.argmax()) if distance.max() > 0 else None
    return int(np.where(pool, distance, -1.0).argmax())


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return "nan" if isnan(value) else ("inf" if value > 0 else "-inf")
    return value
