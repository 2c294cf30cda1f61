"""What a device must never go below: versions of signed documents, the time, and the releases that it accepted.

The floor is small, and is all that outlives torn files, a wiped cache and a new agent. A document's version counts only as
long as the keys that vouched for it are the ones that may sign: when a stolen key is rotated, what a thief signed with it,
however high its number, is no floor any more (the specification's recovery from a fast-forward attack).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..sdk.core.canonical import digest_of, read_object
from ..sdk.core.errors import FormatError, PortsideError
from ..sdk.core.replacing import replace_file
from .stopped import Reason, stop

FLOOR_FORMAT = 1
TOLERANCE_S = 300
"""By so much may a clock be set back without a word."""
_MOST = 1 << 20


@dataclass(frozen=True)
class Seen:
    """A version or a sequence, and whose signature vouches for it.

    Attributes:
        number: the highest so far.
        keys: fingerprint of the keys and threshold that signed it.
        release: digest of the release, where this is about one.
    """

    number: int
    keys: str
    release: str = ""


@dataclass(frozen=True)
class Floor:
    """What was there once.

    Attributes:
        roles: by role: root, timestamp, snapshot, targets.
        releases: by "name/platform": the highest sequence that this device accepted.
        last_good: Unix seconds at which everything was in order the last time; 0: never.
        revision: counts what was written: of two copies the higher one is the later.
    """

    roles: Mapping[str, Seen] = field(default_factory=dict[str, Seen])
    releases: Mapping[str, Seen] = field(default_factory=dict[str, Seen])
    last_good: int = 0
    revision: int = 0

    def below(self, now: Mapping[str, Seen]) -> str | None:
        """Which role is older than it was, if one is.

        The timestamp and the snapshot count anew when the keys of either changed, the targets when theirs did; the root always counts.
        """
        for role, seen in now.items():
            held = self.roles.get(role)
            if held is not None and seen.number < held.number and not self._renewed(role, now):
                return f"{role} {seen.number} after {held.number}"
        return None

    def raised(self, now: Mapping[str, Seen], moment: float) -> Floor:
        """The floor after everything was in order."""
        return replace(self, roles=dict(now), last_good=max(self.last_good, int(moment)))

    def accepted(self, place: str, seen: Seen) -> Floor:
        """The floor after a release was accepted."""
        return replace(self, releases={**self.releases, place: seen})

    def _renewed(self, role: str, now: Mapping[str, Seen]) -> bool:
        others = {"root": (), "targets": ("targets",)}.get(role, ("timestamp", "snapshot"))
        return any(self.roles[other].keys != now[other].keys for other in others if other in self.roles and other in now)

    def to_bytes(self) -> bytes:
        """JSON with a checksum, for accidents."""
        data: dict[str, Any] = {
            "format": FLOOR_FORMAT, "last_good": self.last_good, "revision": self.revision,
            "roles": {role: dict(seen.__dict__) for role, seen in self.roles.items()},
            "releases": {place: dict(seen.__dict__) for place, seen in self.releases.items()},
        }  # fmt: skip
        return json.dumps({**data, "checksum": digest_of(data)}).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Floor:
        """Parse. Raises FormatError, also for a wrong checksum."""
        data = read_object(text, "What this device has seen")
        if data.pop("checksum", None) != digest_of(data) or data.get("format") != FLOOR_FORMAT:
            raise FormatError("What this device has seen is torn, was edited, or is of another version")
        try:
            roles, releases = ({key: Seen(**held) for key, held in data[name].items()} for name in ("roles", "releases"))
            return cls(roles, releases, int(data["last_good"]), int(data["revision"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"What this device has seen is malformed: {error!r}") from error


class FloorFiles:
    """The floor on the disk, twice: one copy is whole at every moment.

    Args:
        folder: that exists.
    """

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "seen.json", folder / "seen.copy.json")

    def read(self) -> Floor:
        """The floor; an empty one where none was ever written. Raises StopError where both copies are damaged."""
        there = [file for file in self._files if file.exists()]
        found: list[Floor] = []
        for file in there:
            try:
                if file.stat().st_size <= _MOST:
                    found.append(Floor.from_bytes(file.read_bytes()))
            except (OSError, PortsideError):  # the other copy counts
                continue
        if there and not found:
            raise stop(Reason.STATE, f"What this device has seen so far cannot be read: {self._files[0]}.",
                       "If the device is in your hands, remove both copies: it then trusts its root and nothing else.")  # fmt: skip
        return max(found, key=lambda floor: floor.revision, default=Floor())

    def write(self, floor: Floor) -> Floor:
        """One copy, then the other. Returns what was written. Raises OSError."""
        floor = replace(floor, revision=floor.revision + 1)
        for file in self._files:
            replace_file(file, floor.to_bytes(), 0o600)
        return floor


def fingerprint(keyids: list[str], threshold: int) -> str:
    """Who may sign, as 16 hex digits."""
    return hashlib.sha256(f"{threshold} {' '.join(sorted(keyids))}".encode()).hexdigest()[:16]


def check_clock(floor: Floor, now: float, made: int | None = None) -> None:
    """Raise StopError where this clock is before a moment that has passed: everything may then look as if it were not expired.

    Args:
        floor: of this device.
        now: Unix seconds, its clock.
        made: when a signed document was made that is here already.
    """
    passed = max(floor.last_good, made or 0)
    if now < passed - TOLERANCE_S:
        raise stop(Reason.CLOCK, f"This device's clock is {(passed - now) / 3600:.1f} hours before a moment that has passed.",
                   "Set the clock, or wait for the time to come by network.")  # fmt: skip
