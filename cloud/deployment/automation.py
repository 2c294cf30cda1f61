"""The `[automation]` section: who decides, from which score on, how often a decision of the model is looked at, and what a caller gets
while a person decides."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ..automation import BLIND, Level, Waiting
from .base import Count, Section, Share

SliceName = Annotated[str, Field(pattern=r"^[^=]+=.*$")]


class SliceDial(Section):
    """One slice of the rows; what is not said is as for the others."""

    level: Level | None = None
    check_share: Share | None = None
    while_waiting: Waiting | None = None


class Automation(Section):
    """Where the dial stands.

    Attributes:
        level: see docs/automation.md.
        target_error: error rate allowed among the rows that the model decides alone; what thresholds are fitted for.
        delta: chance with which that may not hold, in spite of the labels.
        people_error: rate at which people's labels are wrong, where it is known.
        score: how sure an answer is: "confidence", "either(OUTPUT)", "top(OUTPUT)" or "margin(OUTPUT)"; None: as the outputs say.
        check_share: of the rows that the model decides, the share that a person looks at all the same.
        while_waiting: what a caller gets while a person has not decided.
        thresholds: the file that `portside automation fit` writes, relative to the deployment file. Not there yet: nothing is automated.
        threshold: a threshold by hand, in place of the file: without any guarantee.
        slices: "field=value" -> the dial of those rows; the first that fits counts.
        queue: checks that may wait to be written; more are lost, and counted.
    """

    level: Level
    target_error: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    delta: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    people_error: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    score: str | None = None
    check_share: Share = 0.05
    while_waiting: Waiting = "pending"
    thresholds: str = "automation.json"
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    slices: dict[SliceName, SliceDial] = Field(default_factory=dict)
    queue: Count = 1000

    @model_validator(mode="after")
    def _meant(self) -> Automation:
        if self.threshold is not None and (told := sorted({"thresholds", "target_error"} & self.model_fields_set)):
            raise ValueError(f"{told[0]} has no meaning beside a threshold by hand")
        if "partial" in self.levels and self.threshold is None and self.target_error is None:
            raise ValueError("level 'partial' needs a target_error, or a threshold by hand")
        for name, level, waiting in self.dials():
            if level in BLIND and waiting == "champion":
                where = f"slice {name!r}: " if name else ""
                raise ValueError(f"{where}at level {level!r} nobody is given the model's answer, so while_waiting cannot be 'champion'")
        return self

    @property
    def levels(self) -> set[str]:
        """All that occur."""
        return {level for _, level, _ in self.dials()}

    def dials(self) -> list[tuple[str, Level, Waiting]]:
        """(slice, level, while_waiting); "" is of all other rows."""
        return [("", self.level, self.while_waiting), *(self._dial(name, held) for name, held in self.slices.items())]

    def _dial(self, name: str, held: SliceDial) -> tuple[str, Level, Waiting]:
        return name, held.level or self.level, held.while_waiting or self.while_waiting
