"""Targets side by side: one row per target of a verification, with what a reader compares.

A flip on a firm row is a fault of the target; a flip on a fragile row is a decision that moves within float tolerance and
moves elsewhere too. So they are counted apart, each with its exact interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sdk.core.decisions import Judgement
from ..sdk.core.statistics import Estimate, clopper_pearson
from .fidelity import Fidelity, OutputCheck

DISCRETE = ("decision", "ranking", "sequence")


@dataclass(frozen=True)
class Flips:
    """Flips over rows, on one sort of rows, with the exact 95% interval of their rate."""

    count: int
    rate: Estimate

    @classmethod
    def of(cls, count: int, rows: int) -> Flips:
        """This many in this many."""
        return cls(count, clopper_pearson(count, rows))

    def __str__(self) -> str:
        return f"{self.count}/{self.rate.rows} [{100 * self.rate.low:.2g}, {100 * self.rate.high:.2g}]%" if self.rate.rows else "no rows"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"flips": self.count, **self.rate.to_dict()}


@dataclass(frozen=True)
class Difference:
    """How far numbers are off: of the output that came nearest to its limit, in its kind's own unit."""

    output: str
    kind: str
    largest: float
    mean: float
    limit: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Parity:
    """A target's answers beside the package's, over golden and held-out rows together.

    Attributes:
        rows: rows compared.
        firm, fragile: flips of discrete outputs; None where the package decides nothing.
        difference: of the other outputs; None where there are none.
    """

    rows: int
    firm: Flips | None
    fragile: Flips | None
    difference: Difference | None

    @classmethod
    def of(cls, *runs: Fidelity | None) -> Parity:
        """What these runs found; runs that are None were not made."""
        made = [run for run in runs if run is not None]
        checks = [check for run in made for check in run.checks]
        discrete = [check.judgement for check in checks if check.judgement.kind in DISCRETE]
        firm, fragile = _flips(discrete) if discrete else (None, None)
        rest = [check for check in checks if check.judgement.kind not in DISCRETE]
        return cls(sum(run.rows for run in made), firm, fragile, _nearest(rest))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        parts = {"firm": self.firm, "fragile": self.fragile, "difference": self.difference}
        return {"rows": self.rows, **{name: part.to_dict() if part else None for name, part in parts.items()}}


def weights_text(weights_bytes: Mapping[str, int]) -> str:
    """ "float 99%, int64 1%": the dtypes of the weights by share of bytes, largest first; smaller than 1% left out."""
    percents = whole_percents(weights_bytes)
    shown = [f"{name} {percents[name]}%" for name in sorted(percents, key=lambda name: -weights_bytes[name]) if percents[name]]
    return ", ".join(shown) or "none"


def whole_percents(parts: Mapping[str, int]) -> dict[str, int]:
    """Shares in whole percents that sum to 100, by the largest remainder.

    >>> whole_percents({"a": 985, "b": 8, "c": 7})
    {'a': 98, 'b': 1, 'c': 1}
    """
    total = sum(parts.values())
    floors = {name: 100 * held // total for name, held in parts.items()} if total else {}
    left = 100 - sum(floors.values()) if floors else 0
    most = sorted(floors, key=lambda name: 100 * parts[name] % total, reverse=True)[:left]
    return {name: floor + (name in most) for name, floor in floors.items()}


def figure(value: float) -> str:
    """Three digits as people write them: never with an exponent above one.

    >>> [figure(value) for value in (0.0123, 4.567, 123.4, 1060.2)]
    ['0.0123', '4.57', '123', '1,060']
    """
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def _flips(found: list[Judgement]) -> tuple[Flips, Flips]:
    firm_rows = sum(judgement.rows - judgement.fragile_rows for judgement in found)
    firm = sum(judgement.firm_flips for judgement in found)
    fragile = sum(judgement.flips - judgement.firm_flips for judgement in found)
    return Flips.of(firm, firm_rows), Flips.of(fragile, sum(judgement.fragile_rows for judgement in found))


def _nearest(checks: list[OutputCheck]) -> Difference | None:
    """Over golden and held-out rows of the output that came nearest to its limit."""
    if not checks:
        return None
    worst = max(checks, key=lambda check: (_used_up(check.judgement), check.judgement.max_abs))
    same = [check.judgement for check in checks if check.output == worst.output]
    rows = sum(judgement.rows for judgement in same)
    mean = sum(judgement.mean_abs * judgement.rows for judgement in same) / rows if rows else 0.0
    return Difference(worst.output, worst.judgement.kind, max(judgement.max_abs for judgement in same), mean, worst.judgement.limit)


def _used_up(found: Judgement) -> float:
    """The share of the limit that was used."""
    return found.measured / found.limit if found.limit else 0.0
