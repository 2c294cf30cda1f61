"""The automation dial: who decides one row of an answer, the model or a person. Values in, a value out; no clock, no dice, no storage.

| level | who decides | what the person sees | what a caller gets at once |
|---|---|---|---|
| human | a person; the model is not even asked | the inputs | what `while_waiting` says |
| shadow | a person; the model's answer is recorded, and shown to nobody | the inputs | the same |
| assist | a person | the inputs and the model's proposal | the same |
| partial | the model where it is sure enough, else a person | the inputs and the proposal | the answer, or as above |
| full | the model | | the answer |

- A threshold that does not exist ("not enough data") is reached by no score, and neither by NaN.
- Only the champion's score is held against the threshold: it was fitted on the champion's answers and says nothing of a backup's.
- Of the rows that the model decides, a share `check_share` is drawn for a person all the same, blind: the answer stands, and the label
  says how often such answers are wrong. The probability of that draw is part of the route of every such row, drawn or not.

    >>> dial = Dial("partial", threshold=0.9, check_share=0.1)
    >>> decide(dial, score=0.95, draw=0.5).reason, decide(dial, score=0.95, draw=0.05).reason, decide(dial, score=0.6, draw=0.5).reason
    ('confident', 'check', 'low-confidence')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

from ..sdk.core.errors import FormatError

Level: TypeAlias = Literal["human", "shadow", "assist", "partial", "full"]
Waiting: TypeAlias = Literal["champion", "default", "pending"]
Decider: TypeAlias = Literal["model", "person", "both"]
Caller: TypeAlias = Literal["model", "champion", "default", "pending"]
Reason: TypeAlias = Literal["confident", "check", "level", "low-confidence", "no-threshold", "not-champion"]
LEVELS: tuple[Level, ...] = get_args(Level)
BLIND: tuple[Level, ...] = ("human", "shadow")
"""Levels at which nobody is given the model's answer, so that it cannot be what a caller gets meanwhile."""


class Route(NamedTuple):
    """What becomes of one row. (A NamedTuple, for one is made per row: see docs/decisions/029.)

    Attributes:
        answered_by: whose answer stands: the model's, a person's, or "both": a person who sees the model's proposal.
        review: a person is to look at the row.
        selection: the probability with which that was decided, known before the draw; 0: nobody ever looks.
        reason: why this is so.
        caller: what the caller is given now: the model's answer as the decision, or meanwhile the champion's, the default's, or none.
    """

    answered_by: Decider
    review: bool
    selection: float
    reason: Reason
    caller: Caller

    @property
    def waits(self) -> bool:
        """The decision is a person's, and not there yet."""
        return self.answered_by != "model"


@dataclass(frozen=True)
class Dial:
    """Where the dial stands, for a deployment or one slice of it.

    Attributes:
        level: see the table above.
        threshold: level "partial": the least score that is automated; None: nothing is.
        check_share: of the rows that the model decides, the share that a person looks at.
        while_waiting: what a caller is given while a person has not decided.
        slices: "field=value" -> the dial of that slice; those have no slices of their own.

    Raises FormatError for a dial that cannot be.
    """

    level: Level
    threshold: float | None = None
    check_share: float = 0.05
    while_waiting: Waiting = "pending"
    slices: Mapping[str, Dial] = field(default_factory=dict[str, "Dial"])

    def __post_init__(self) -> None:
        if not 0 <= self.check_share <= 1:
            raise FormatError("The share of checks is a share", got=self.check_share, expected="0 to 1")
        if self.level in BLIND and self.while_waiting == "champion":
            raise FormatError(f"At level {self.level!r} nobody is given the model's answer", got="while_waiting = \"champion\"",
                              fix="Say \"pending\" or \"default\", or level = \"assist\".")  # fmt: skip
        if nested := [name for name, dial in self.slices.items() if dial.slices]:
            raise FormatError("A slice has no slices", got=nested[0])

    @property
    def asleep(self) -> bool:
        """No row needs the model."""
        return self.level == "human" and all(dial.level == "human" for dial in self.slices.values())

    def of(self, name: str | None) -> Dial:
        """The dial of a slice; its own where the slice has none."""
        return self if name is None else self.slices.get(name, self)


def decide(dial: Dial, score: float, draw: float, name: str | None = None, champion: bool = True) -> Route:
    """Who decides one row.

    Args:
        dial: of the deployment.
        score: how sure the model is of its answer, in [0, 1]; NaN where that cannot be said.
        draw: uniform in [0, 1), independent of everything else.
        name: the slice of the row; None: of no slice.
        champion: the answer is the champion's, given now or kept.
    """
    held = dial if name is None else dial.slices.get(name, dial)
    level = held.level
    if level == "partial":
        threshold = held.threshold
        if threshold is None:
            return _person("both", "no-threshold", held.while_waiting)
        if not champion:
            return _person("both", "not-champion", held.while_waiting)
        if not score >= threshold:  # NaN reaches nothing
            return _person("both", "low-confidence", held.while_waiting)
        return _model("confident", draw < held.check_share, held.check_share)
    if level == "full":
        return _model("level", draw < held.check_share, held.check_share)
    return _person("both" if level == "assist" else "person", "level", held.while_waiting)


@lru_cache(maxsize=256)
def _person(by: Decider, reason: Reason, caller: Waiting) -> Route:
    return Route(by, True, 1.0, reason, caller)


@lru_cache(maxsize=256)
def _model(reason: Reason, drawn: bool, share: float) -> Route:
    return Route("model", drawn, share, "check" if drawn else reason, "model")
