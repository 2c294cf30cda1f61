"""A structure: what is done to a network before its precision is lowered, as data, and how much of its training was done.

A search trains structures short first, so the share of the training is part of what a trial is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..sdk.core.canonical import digest_of
from ..sdk.core.errors import InputError

_SIZES = ("ratio", "rank", "energy")
"""Options that say how much of a network a pass leaves."""


@dataclass(frozen=True)
class Structure:
    """Passes in order.

    Attributes:
        steps: the passes as recipes keep them, each with the epochs of its whole training.
        share: of these epochs that is trained.
    """

    steps: tuple[Mapping[str, Any], ...] = ()
    share: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(dict(step) for step in self.steps))
        if not 0 < self.share <= 1:
            raise InputError("A structure is trained for a share of its epochs", field="share", got=self.share, expected="above 0, up to 1")

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """The same for structures that make the same package."""
        return digest_of(self.to_dict()).removeprefix("sha256:")[:20]

    @property
    def trains(self) -> bool:
        """A pass of it trains, so that a shorter training is another structure."""
        return any(step.get("epochs") for step in self.steps)

    def at(self, share: float) -> Structure:
        """The same passes, trained for this share of their epochs; all of it where nothing is trained."""
        return replace(self, share=share if self.trains else 1.0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the share is left out where all is trained."""
        return {"pass": [dict(step) for step in self.steps]} | ({"share": self.share} if self.share != 1 else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Structure:
        """Parse what `to_dict` made. Raises InputError."""
        if unknown := sorted(set(data) - {"pass", "share"}):
            raise InputError("A structure has no such part", field=unknown[0], expected="pass, share")
        return cls(tuple(data.get("pass", ())), float(data.get("share", 1.0)))

    def __str__(self) -> str:
        if not self:
            return "as it was"
        words = ", ".join(_said(step) for step in self.steps)
        return words if self.share == 1 else f"{words} ({Fraction(self.share).limit_denominator(100)} of its training)"


UNCHANGED = Structure()
"""The network as it is."""


def _said(step: Mapping[str, Any]) -> str:
    """A pass in two words: its kind, and how much it leaves."""
    size = next((f" {step[name]:g}" for name in _SIZES if isinstance(step.get(name), int | float)), "")
    return f"{step.get('kind')}{size}{' features' if step.get('loss') == 'features' else ''}"
