"""What is asked of a rollout, as values: the `[rollout]` section with every open end settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .deployment.rollout import Asked, Mode, Rollout

Measure: TypeAlias = Literal["errors", "late", "disagreement", "accuracy"]
"""What is counted. A unit is *bad* where: the answer was an error; it came late; it differs from the champion's; it was wrong."""
MOST_SLICES = 20
"""Slices that are judged apart: those that were seen first. The chance of a false rollback is divided among so many, seen or not."""


@dataclass(frozen=True)
class Policy:
    """What a challenger must show, and how it comes to traffic. The attributes of the section `Rollout`, and:

    Attributes:
        challengers: digests of packages; one, but in mode "shadow".
        limits: measure -> how much worse a challenger may be; a measure that is not judged is not there.
    """

    challengers: tuple[str, ...]
    mode: Mode = "canary"
    limits: Mapping[Measure, float] = field(default_factory=lambda: {"errors": 0.01, "accuracy": 0.02})
    shadow_first: bool = True
    steps: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
    first: str | None = None
    alpha: float = 0.05
    accuracy: Literal["when there", "required", "off"] = "when there"
    gain: float = 0.0
    slice_factor: float = 2.0
    min_rows: int = 200
    min_minutes: float = 5.0
    watch_minutes: float = 60.0
    max_days: float = 14.0
    approve: tuple[Asked, ...] = ()

    @classmethod
    def of(cls, section: Rollout, challengers: tuple[str, ...], deadline_ms: float | None = None) -> Policy:
        """The policy of a section. challengers: its packages' digests, in their order. deadline_ms: of the deployment.

        Raises FormatError where there are not as many digests as challengers.
        """
        raise NotImplementedError

    @property
    def shadows(self) -> bool:
        """The rollout has a phase "shadow"."""
        return self.mode == "shadow" or self.shadow_first

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it again."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Policy:
        """From `to_dict`. Raises FormatError."""
        raise NotImplementedError
