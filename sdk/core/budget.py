"""What a user may spend and what may not be lost: limits of a search, gates of a compile. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

from .errors import InputError


@dataclass(frozen=True)
class Budget:
    """Limits; None is no limit. The first five are measured on the target's runtime, the last three on the evidence set.

    Attributes:
        size_mb: what has to be shipped to run the model, in 10^6 bytes.
        p95_ms, p99_ms: latency of one row on one thread.
        memory_mb: peak memory of the runtime, in 10^6 bytes.
        cost_per_1k: price of a thousand predictions, by the user's price table.
        max_drop: loss of the primary metric against the ancestor: the upper end of its paired 95% interval.
        max_slice_drop: the same for the worst slice that has enough rows.
        max_flips: share of decisions that differ from the ancestor's: its one-sided 95% upper bound.
    """

    size_mb: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    memory_mb: float | None = None
    cost_per_1k: float | None = None
    max_drop: float | None = None
    max_slice_drop: float | None = None
    max_flips: float | None = None

    def __post_init__(self) -> None:
        for name, held in self.limits.items():
            if isinstance(held, bool) or not isinstance(held, int | float) or not isfinite(held) or held < 0:  # type: ignore[reportUnnecessaryIsInstance]
                raise InputError(f"{name} is a limit of a budget, and so a finite number, 0 or more", field=name, got=repr(held))

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: held for name, held in asdict(self).items() if held is not None}

    @property
    def gates(self) -> Budget:
        """The limits on quality alone: what travels in a recipe and stops a compile."""
        return Budget(max_drop=self.max_drop, max_slice_drop=self.max_slice_drop, max_flips=self.max_flips)

    def to_dict(self) -> dict[str, float]:
        """JSON-ready: the limits that are set."""
        return self.limits

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Budget:
        """Parse. Raises InputError for a limit that does not exist."""
        known = [held.name for held in fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise InputError(f"A budget has no limit {unknown[0]!r}", field=unknown[0], expected=", ".join(known))
        return cls(**data)
