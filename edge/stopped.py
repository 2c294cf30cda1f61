"""Why nothing is installed: a verdict, not an exception. What runs goes on running whichever it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..sdk.core.errors import IntegrityError, PortsideError, StoreError, TrustError


class Reason(StrEnum):
    """What stands in the way of an installation."""

    OFFLINE = "offline"
    """The repository cannot be reached, or answers with an error."""
    EXPIRED = "expired"
    """What is signed is too old to be believed: nobody signed anew, or somebody hides it."""
    CLOCK = "clock"
    """This device's clock is before a moment that has passed for certain."""
    UNTRUSTED = "untrusted"
    """Signed by too few of the keys that may."""
    ROLLBACK = "rollback"
    """Older than what was seen before."""
    MISMATCH = "mismatch"
    """Other bytes than those that were signed."""
    ENDLESS = "endless"
    """More bytes than were signed, or than such a document may have."""
    SLOW = "slow"
    """Too few bytes in the time that they may take."""
    WRONG_SOFTWARE = "wrong software"
    """Of another package or platform than was asked for."""
    MISSING = "missing"
    """No such release is signed."""
    MALFORMED = "malformed"
    """Signed, but not understood."""
    STATE = "state"
    """What this device remembers cannot be read, so that nothing can be compared with it."""
    NO_SPACE = "no space"
    """The disk, or the part of it that may be used, is too small."""
    CANCELLED = "cancelled"
    """Somebody asked to stop; it goes on from here."""


LATER = frozenset({Reason.OFFLINE, Reason.EXPIRED, Reason.CLOCK, Reason.SLOW, Reason.MISSING, Reason.NO_SPACE, Reason.CANCELLED})
"""Nobody need be at fault: the same attempt may succeed another day."""


@dataclass(frozen=True)
class Stopped:
    """Nothing is installed.

    Attributes:
        reason: which kind.
        what: one sentence.
        fix: what a person can do; None: wait.
    """

    reason: Reason
    what: str
    fix: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"installs": "stopped", "reason": self.reason.value, "what": self.what, **({"fix": self.fix} if self.fix else {})}

    def error(self) -> PortsideError:
        """As an error, for callers that want one: StoreError where it may pass, TrustError or IntegrityError where it will not."""
        kind = StoreError if self.reason in LATER else IntegrityError if self.reason in (Reason.MISMATCH, Reason.MALFORMED) else TrustError
        return kind(f"Not installed ({self.reason.value}): {self.what}", fix=self.fix)


class StopError(Exception):
    """Carries a verdict from deep inside to the call that returns it; it never leaves this package's public functions."""

    def __init__(self, stopped: Stopped) -> None:
        self.stopped = stopped
        super().__init__(stopped.what)


def stop(reason: Reason, what: str, fix: str | None = None) -> StopError:
    """The exception for a verdict."""
    return StopError(Stopped(reason, what, fix))
