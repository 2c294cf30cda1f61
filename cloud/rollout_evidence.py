"""What was seen of a rollout, as counts, and what it says of each limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from .rollout_policy import Measure, Policy

Told: TypeAlias = Literal["within", "beyond", "not enough data"]
Stage: TypeAlias = Literal["before", "shadow", "canary", "switched"]
"""Where a unit was seen. "before": rows of the champion alone before the rollout, what a switched challenger is held against where no
shadow or canary counted the champion."""
EVERYONE = ""
"""The slice of all rows."""


class Cell(NamedTuple):
    """Where a unit is counted.

    Attributes:
        stage: see Stage.
        step: of the canary, from 0; else 0.
        challenger: digest; "" at the stage "before".
        measure: see Measure.
        slice: EVERYONE, or "field=value". Units of a first step that is for one slice alone count in that slice, and not in EVERYONE.
    """

    stage: Stage
    step: int
    challenger: str
    measure: Measure
    slice: str = EVERYONE


@dataclass(frozen=True)
class Tally:
    """Counts of units; two tallies of one cell are added. A unit is an entity once, or one row that is about nobody.

    | stage | rows, bad | champion_rows, champion_bad | both |
    |---|---|---|---|
    | shadow | rows that both answered; bad by the challenger | the same rows; bad by the champion | bad by both |
    | canary | units given the challenger; bad ones | units given the champion; bad ones | 0 |
    | switched | units; bad ones | 0 | 0 |
    | before | 0 | units; bad ones | 0 |

    Attributes:
        share: of a canary: the chance with which the units of this cell were given the challenger.
    """

    rows: int = 0
    bad: int = 0
    champion_rows: int = 0
    champion_bad: int = 0
    both: int = 0
    share: float = 1.0

    def plus(self, other: Tally) -> Tally:
        """With those units too. Raises FormatError where the shares differ."""
        raise NotImplementedError


class Assigned(NamedTuple):
    """Units of one step of a canary, answered or not: a chance that is not the promised one would make every comparison wrong."""

    share: float
    challenger: int
    champion: int


@dataclass(frozen=True)
class Observed:
    """All that was seen of a rollout until now.

    Attributes:
        now_ms: of the controller's clock, which never runs backwards.
        counts: every cell, of earlier steps and stages too.
        assigned: step of the canary -> units by arm.
    """

    now_ms: int
    counts: Mapping[Cell, Tally] = field(default_factory=dict[Cell, Tally])
    assigned: Mapping[int, Assigned] = field(default_factory=dict[int, Assigned])


@dataclass(frozen=True)
class Verdict:
    """What the counts say of one limit of one challenger in one slice, at the stage it is at.

    Attributes:
        challenger, measure, slice: of what.
        rows: units of the challenger behind it.
        estimate: how much worse it looks (a share; negative: better); NaN without units.
        low, high: how much worse it is, at the least and at the most: each wrong with a small chance over all looks together.
        limit: how much worse it may be.
        told: "within": proven below the limit; "beyond": proven above it.
        asked: a promotion needs it "within".
    """

    challenger: str
    measure: Measure
    slice: str
    rows: int
    estimate: float
    low: float
    high: float
    limit: float
    told: Told
    asked: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; figures that do not exist are None."""
        raise NotImplementedError


def judge(policy: Policy, stage: Stage, slices: tuple[str, ...], challenger: str, observed: Observed) -> tuple[Verdict, ...]:
    """Every limit of a challenger: over everyone, then in each of `slices`."""
    raise NotImplementedError
