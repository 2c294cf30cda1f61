"""What is asked of a rollout, as values: the `[rollout]` section with every open end settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from ..sdk.core.errors import FormatError
from .deployment.rollout import Asked, Mode, Rollout

Measure: TypeAlias = Literal["errors", "late", "disagreement", "accuracy"]
"""What is counted. A unit is *bad* where: the answer was an error; it came late; it differs from the champion's; it was wrong."""
Stage: TypeAlias = Literal["before", "shadow", "canary", "switched"]
"""Where a unit was seen. "before": rows of the champion alone before the rollout, what a switched challenger is held against where no
shadow or canary counted the champion."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
EVERYONE = ""
"""The slice of all rows."""
MOST_SLICES = 20
"""Slices that are judged apart: those that were seen first. The chance of a false rollback is divided among so many, seen or not."""


@dataclass(frozen=True)
class Policy:
    """What a challenger must show, and how it comes to traffic. The attributes of the section `Rollout`, and:

    Attributes:
        challengers: digests of packages; one, but in mode "shadow".
        limits: measure -> how much worse a challenger may be; a measure that is not judged is not there.

    Raises FormatError for a policy that cannot be.
    """

    challengers: tuple[str, ...]
    mode: Mode = "canary"
    limits: Mapping[Measure, float] = field(default_factory=lambda: {"errors": 0.01, "accuracy": 0.02})
    shadow_first: bool = True
    steps: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
    first: str | None = None
    slices: tuple[str, ...] = ()
    alpha: float = 0.05
    accuracy: Literal["when there", "required", "off"] = "when there"
    gain: float = 0.0
    slice_factor: float = 2.0
    min_rows: int = 200
    min_minutes: float = 5.0
    watch_minutes: float = 60.0
    max_days: float = 14.0
    approve: tuple[Asked, ...] = ()

    def __post_init__(self) -> None:
        if not self.challengers or (len(self.challengers) > 1 and self.mode != "shadow"):
            raise FormatError("So many challengers cannot be tried", got=len(self.challengers), expected="1, or more in mode 'shadow'")
        if self.mode == "canary" and not (self.steps and self.steps[0] > 0 and self.steps[-1] < 1):
            raise FormatError("The steps of a canary are shares between 0 and 1", got=self.steps,
                              fix="The switch to everyone follows the last step by itself.")  # fmt: skip
        if unknown := set(self.limits) - set(MEASURES):
            raise FormatError("There is no such measure", got=sorted(unknown)[0], expected=", ".join(MEASURES))
        if "errors" not in self.limits:
            raise FormatError("Errors are always judged", got=sorted(self.limits), expected="a limit of errors")

    @classmethod
    def of(cls, section: Rollout, challengers: tuple[str, ...], deadline_ms: float | None = None) -> Policy:
        """The policy of a section.

        Args:
            section: as the deployment file says it.
            challengers: digests of its packages, in its order.
            deadline_ms: of the deployment; without it and without `limits.latency_ms` nobody is late.

        Raises FormatError where the digests are not those of the section, or the section cannot be.
        """
        if len(challengers) != len(section.challengers):
            raise FormatError("Each challenger has a digest", got=len(challengers), expected=len(section.challengers))
        held = section.limits
        limits: dict[Measure, float] = {"errors": held.errors}
        if held.latency_ms is not None or deadline_ms is not None:
            limits["late"] = held.late
        if held.disagreement is not None:
            limits["disagreement"] = held.disagreement
        if section.accuracy != "off":
            limits["accuracy"] = held.accuracy_drop
        same = {name: getattr(section, name) for name in _SAME}
        return cls(challengers, limits=limits, steps=tuple(section.steps), slices=tuple(section.slices), approve=tuple(section.approve),
                   slice_factor=held.slice_factor, **same)  # fmt: skip

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those that a rollout goes through, in order."""
        first: tuple[Stage, ...] = ("shadow",) if self.shadow_first or self.mode == "shadow" else ()
        rest: Mapping[Mode, tuple[Stage, ...]] = {"shadow": (), "canary": ("canary", "switched"), "blue-green": ("switched",)}
        return first + rest[self.mode]

    @property
    def proving(self) -> Stage | None:
        """The stage whose proofs a promotion stands on: the last one before everyone; None: there is none."""
        return next((stage for stage in reversed(self.stages) if stage != "switched"), None)

    def measures(self, stage: Stage) -> tuple[Measure, ...]:
        """What is judged at a stage: answers can be compared in shadow only."""
        return tuple(name for name in MEASURES if name in self.limits and (name != "disagreement" or stage == "shadow"))

    def limit(self, measure: Measure, name: str) -> float:
        """How much worse a challenger may be in a slice, or over everyone."""
        return self.limits[measure] * (1.0 if name == EVERYONE else self.slice_factor)

    def aim(self, measure: Measure, stage: Stage, name: str) -> float:
        """Below what it must be proven to be: the limit, or where an accuracy is asked for that the champion does not have, less than 0."""
        gained = measure == "accuracy" and name == EVERYONE and self.gain > 0 and stage == self.proving
        return -self.gain if gained else self.limit(measure, name)

    def asked(self, measure: Measure, stage: Stage, rows: int) -> bool:
        """Nothing goes on from a stage before this is proven over everyone. rows: units of the challenger."""
        if stage not in ("shadow", self.proving):
            return False
        if measure != "accuracy":
            return True
        needed = stage == self.proving and (self.accuracy == "required" or self.gain > 0)
        return needed or rows >= self.min_rows

    def blame(self, name: str) -> float:
        """The chance with which one limit, in one slice and at one stage, may be called broken although it holds: together at most alpha.

        Half of alpha is for everyone, half for slices, where there are any.
        """
        sliced = bool(self.slices or self.first)
        tests = len(self.stages) * len(self.limits) * (1 if name == EVERYONE else MOST_SLICES)
        return self.alpha / tests / (2 if sliced else 1)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """From `to_dict`, through JSON or not. Raises FormatError."""
        try:
            held: dict[str, Any] = {key: tuple(one) if key in _LISTS else one for key, one in data.items()}
            return cls(**held)
        except TypeError as error:
            raise FormatError("This is not a policy of a rollout", got=str(error)) from error


_SAME = ("mode", "shadow_first", "first", "alpha", "accuracy", "gain", "min_rows", "min_minutes", "watch_minutes", "max_days")
_LISTS = ("challengers", "steps", "slices", "approve")
