"""The state of updates as JSON with a revision and a checksum: what `state.json` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sdk.core.canonical import check_digest, digest_of, read_object
from ..sdk.core.errors import FormatError, IntegrityError
from .update_state import SLOTS, Active, Held, Idle, Phase, Refused, RolledBack, Slot, Staged, Trial, Update, Wanted

STATE_FORMAT = 1


@dataclass(frozen=True)
class Record:
    """A state and its number: of two copies, the one with the higher revision is the later one."""

    update: Update
    revision: int

    def to_bytes(self) -> bytes:
        """JSON with its checksum. The state must be `durable`."""
        now = self.update
        data: dict[str, Any] = {
            "format": STATE_FORMAT, "revision": self.revision, "phase": _phase(now.phase), "active": _held(now.active),
            "fallback": _held(now.fallback), "seen": _wanted(now.seen), "halted": now.halted,
            "refused": [{**_some(held.wanted), "why": held.why} for held in now.refused],
        }  # fmt: skip
        return json.dumps({**data, "checksum": digest_of(data)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Record:
        """Parse. Raises FormatError, and IntegrityError where the checksum is wrong."""
        data = read_object(text, "The state of updates")
        if data.pop("checksum", None) != digest_of(data):
            raise IntegrityError("The state of updates is torn or was edited")
        if data.get("format") != STATE_FORMAT:
            raise FormatError("The state of updates has an unknown format version", got=data.get("format"), expected=STATE_FORMAT)
        try:
            refused = tuple(Refused(_to_some(held), str(held["why"])) for held in data["refused"])
            update = Update(_to_phase(data["phase"]), _to_held(data["active"]), _to_held(data["fallback"]), refused,
                            _to_wanted(data["seen"]), data["halted"])  # fmt: skip
            return cls(update, int(data["revision"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"The state of updates is malformed: {error!r}") from error


def _phase(phase: Phase) -> dict[str, Any]:
    match phase:
        case Idle(why):
            return {"is": "idle", "why": why}
        case Staged(wanted, slot):
            return {"is": "staged", **_some(wanted), "slot": slot}
        case Trial(wanted, slot, count):
            return {"is": "trial", **_some(wanted), "slot": slot, "interruptions": count}
        case Active(wanted):
            return {"is": "active", **_some(wanted)}
        case RolledBack(wanted, why):
            return {"is": "rolled back", **_some(wanted), "why": why}
        case _:
            raise FormatError("This phase does not outlive a restart", got=type(phase).__name__)


def _to_phase(data: Mapping[str, Any]) -> Phase:
    match data["is"]:
        case "idle":
            return Idle(str(data["why"]))
        case "staged":
            return Staged(_to_some(data), _slot(data))
        case "trial":
            return Trial(_to_some(data), _slot(data), int(data["interruptions"]))
        case "active":
            return Active(_to_some(data))
        case "rolled back":
            return RolledBack(_to_some(data), str(data["why"]))
        case other:
            raise ValueError(f"there is no phase {other!r}")


def _some(wanted: Wanted) -> dict[str, Any]:
    return {"release": wanted.release, "sequence": wanted.sequence}


def _wanted(wanted: Wanted | None) -> dict[str, Any] | None:
    return None if wanted is None else _some(wanted)


def _held(held: Held | None) -> dict[str, Any] | None:
    return None if held is None else {**_some(held.wanted), "slot": held.slot}


def _to_some(data: Mapping[str, Any]) -> Wanted:
    return Wanted(check_digest(data["release"], "A release"), int(data["sequence"]))


def _to_wanted(data: Mapping[str, Any] | None) -> Wanted | None:
    return None if data is None else _to_some(data)


def _to_held(data: Mapping[str, Any] | None) -> Held | None:
    return None if data is None else Held(_slot(data), _to_some(data))


def _slot(data: Mapping[str, Any]) -> Slot:
    return next(slot for slot in SLOTS if slot == data["slot"])
