"""The time of a search."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Time that a search has, in seconds; it starts when it is made."""

    seconds: float
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds until the end, negative after it."""
        return self.seconds - self.spent

    def over(self, share: float = 1.0) -> bool:
        """This share of the time is spent."""
        return self.spent >= share * self.seconds
