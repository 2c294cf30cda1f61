"""Gates: an interval and a limit become a verdict. Pure decisions: they take values and return values.

- The *upper* end of the interval is held against the limit: "passed" means that the rows rule out a larger loss.
- A rate below `limit` needs at least 3 / limit rows (no event in n rows bounds the rate at 3 / n), and 32 in any case. Fewer
  rows are "not enough data", never "passed"; a limit of 0 is proven by no number of rows.
- Where even the lower end is over the limit, few rows are enough to say "failed".

    >>> judge("max_flips", 0.01, 0.0, 0.0005, rows=6000).verdict, judge("max_flips", 0.01, 0.0, 0.03, rows=100).verdict
    ('passed', 'not enough data')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from .decisions import NOT_ENOUGH, Verdict
from .statistics import MIN_ROWS

_NOTHING = 1e-12
"""A limit that no data set in the world has the rows for."""


@dataclass(frozen=True)
class Gate:
    """One limit and what was found of it. Truthy only when it passed.

    Attributes:
        name: "max_drop", "max_slice_drop", "max_flips", or an expectation.
        limit: what was allowed.
        verdict: "passed", "failed" or "not enough data".
        measured: the upper end of the interval, which was held against the limit; None: nothing was measured.
        rows: rows behind it.
        where: the metric, output or slice that decided.
        note: one line for people.
    """

    name: str
    limit: float
    verdict: Verdict
    measured: float | None = None
    rows: int = 0
    where: str = ""
    note: str = ""

    def __bool__(self) -> bool:
        return self.verdict == "passed"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; an infinite loss is "inf", one that is no number "nan"."""
        measured = str(self.measured) if self.measured is not None and not isfinite(self.measured) else self.measured
        return {**self.__dict__, "measured": measured}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gate:
        """Parse what `to_dict` made. Raises TypeError, ValueError for what it did not."""
        held = dict(data)
        measured = held.pop("measured", None)
        return cls(measured=None if measured is None else float(measured), **held)

    def __str__(self) -> str:
        measured = "nothing measured" if self.measured is None else f"{self.measured:.4g}"
        return f"{self.name}: {self.verdict}, {measured} against {self.limit:g}" + (f"; {self.note}" if self.note else "")


def rows_needed(limit: float, rate: bool = True) -> int | None:
    """Rows without which a limit cannot be met: 3 / limit and at least 32; None where no number of rows is enough.

    `rate` is False for a metric in a unit of its own (a mean error), for which 32 rows are all that can be asked.
    """
    if not rate:
        return MIN_ROWS
    return max(MIN_ROWS, ceil(round(3 / limit, 6))) if limit > _NOTHING else None


def judge(name: str, limit: float, low: float, high: float, rows: int, where: str = "", *, rate: bool = True) -> Gate:
    """The verdict on an interval.

    Args:
        name: of the gate.
        limit: the largest loss or share that is allowed.
        low, high: the interval of what was measured.
        rows: rows behind it.
        where: what was measured, for the reader.
        rate: the figure is a share of rows, see `rows_needed`.
    """
    found = Gate(name, limit, "passed", high, rows, where)
    needed = rows_needed(limit, rate)
    if low > limit:
        return _as(found, "failed", f"at least {low:.3g}, allowed {limit:g}")
    if needed is None:
        return _as(found, NOT_ENOUGH, f"no number of rows proves a limit of 0; {rows} rows bound it at {max(high, 3 / max(rows, 1)):.3g}")
    if rows < needed:
        return _as(found, NOT_ENOUGH, f"{rows} rows, {needed} are needed to prove {limit:g}")
    if not high <= limit:
        return _as(found, "failed", f"up to {high:.3g} cannot be ruled out, allowed {limit:g}")
    return found


def unjudged(name: str, limit: float, why: str) -> Gate:
    """A gate about which the data say nothing."""
    return Gate(name, limit, NOT_ENOUGH, note=why)


def _as(gate: Gate, verdict: Verdict, note: str) -> Gate:
    return Gate(gate.name, gate.limit, verdict, gate.measured, gate.rows, gate.where, note)
