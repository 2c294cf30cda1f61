"""How a device stands, from what is known of it: is it heard of, does it run what is wanted, did it refuse that. Pure.

What an agent says of itself, beside its entries:

- `versions` of each batch: "release", the digest that answers there, and "refused", the one that it refused last, where it did; others
  ("agent", "platform", ...) are shown as they are.
- events: "release" when another one answers, "rolled-back" when one was refused or taken back; each with "release", and "why".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .devices import Device

RELEASE = "release"
"""Under this name the versions of a device say what runs there."""
ACTIVE, REFUSED = "release", "rolled-back"
"""Events of updates."""
SILENT_MS = 15 * 60_000
"""Three of its empty batches were missed: see `UploadSettings.hello_s`."""
STATES = ("blocked", "refused", "silent", "new", "updating", "current", "free")
"""Of two that apply the earlier one is told."""


@dataclass(frozen=True)
class Outcome:
    """What an event of an update said: its name, the release, why, and when (Unix milliseconds)."""

    name: str
    release: str
    why: str
    at_ms: int

    @classmethod
    def of(cls, name: str, at_ms: int, data: Mapping[str, Any]) -> Outcome:
        """From an event as a device sent it."""
        return cls(name, str(data.get("release", "")), str(data.get("why", ""))[:500], at_ms)


@dataclass(frozen=True)
class Standing:
    """state: one of STATES. why: in words."""

    state: str
    why: str


def standing(device: Device, outcomes: Sequence[Outcome], now_ms: int) -> Standing:
    """How a device stands.

    Args:
        outcomes: that it told of, the newest first.
        now_ms: Unix milliseconds.
    """
    if device.blocked is not None:
        return Standing("blocked", device.blocked)
    running, told = device.versions.get(RELEASE), next((one for one in outcomes if one.release == device.desired), None)
    refused = device.versions.get("refused") == device.desired or (told is not None and told.name == REFUSED)
    if device.desired is not None and running != device.desired and refused:
        return Standing("refused", told.why if told is not None and told.why else "it refused it, or went back to the release before")
    if device.seen_ms is None:
        return Standing("new", "it was never heard of")
    if now_ms - device.seen_ms > SILENT_MS:
        return Standing("silent", "it was not heard of for more than 15 minutes")
    if device.desired is None:
        return Standing("free", "nobody said which release it is to run")
    if running == device.desired:
        return Standing("current", "it runs what is wanted")
    return Standing("updating", "it runs another release than is wanted" if running else "it does not say which release it runs")
