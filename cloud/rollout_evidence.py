"""What was seen of a rollout: counts, in cells that can be added up; and what they say of a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

from ..sdk.core.errors import FormatError
from .rollout_policy import EVERYONE, Measure, Stage

Told: TypeAlias = Literal["within", "beyond", "not enough data"]


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
        """With those units too. Raises FormatError where the chances differ: such units are counted apart."""
        if self.share != other.share:
            raise FormatError("Units of different chances are not one tally", got=other.share, expected=self.share)
        return Tally(self.rows + other.rows, self.bad + other.bad, self.champion_rows + other.champion_rows,
                     self.champion_bad + other.champion_bad, self.both + other.both, self.share)  # fmt: skip


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

    def of(self, stage: Stage, challenger: str, measure: Measure, name: str) -> list[Tally]:
        """The tallies of all steps of a stage, of one measure in one slice."""
        return [held for cell, held in self.counts.items() if cell[0] == stage and cell[2:] == (challenger, measure, name)]

    def champion(self, challenger: str, measure: Measure, name: str) -> tuple[int, int]:
        """Units of the champion that were seen before the switch, and bad ones, of one measure in one slice."""
        held = [one for cell, one in self.counts.items()
                if cell.stage != "switched" and cell.challenger in (challenger, "") and cell[3:] == (measure, name)]  # fmt: skip
        return sum(one.champion_rows for one in held), sum(one.champion_bad for one in held)

    def slices(self) -> list[str]:
        """All that were seen but EVERYONE, sorted."""
        return sorted({cell.slice for cell in self.counts} - {EVERYONE})


@dataclass(frozen=True)
class Verdict:
    """What the counts say of one limit of one challenger in one slice, at the stage it is at.

    Attributes:
        challenger, measure, slice: of what.
        rows: units of the challenger behind it.
        estimate: how much worse it looks (a share; negative: better); NaN without units to compare.
        low: it is at least so much worse; wrong with the chance `Policy.blame`, over all looks together.
        high: it is at most so much worse; wrong with the chance alpha, over all looks together.
        limit: how much worse it may be.
        aim: below what it is to be proven: the limit, or less than 0 where a gain is asked for.
        told: "within": proven below the aim; "beyond": proven above the limit.
        asked: nothing goes on before it is "within".
        enough: there are min_rows of it, so that its estimate counts.
    """

    challenger: str
    measure: Measure
    slice: str
    rows: int
    estimate: float
    low: float
    high: float
    limit: float
    aim: float
    told: Told
    asked: bool
    enough: bool

    @property
    def suspect(self) -> bool:
        """It looks worse than it may be, and that is not for want of rows."""
        return self.enough and self.estimate > self.limit

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; figures that do not exist are None."""
        return {key: None if isinstance(held, float) and not isfinite(held) else held for key, held in asdict(self).items()}
