"""Whom a device believes, and where its signed releases come from, made from its settings. Loads the client of signatures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..sdk.core.errors import FormatError
from .mirror import Mirror
from .settings import AgentSettings, Updates
from .signed_source import Room, SignedSource
from .slots import Slots
from .trust import Trust
from .update_state import SLOTS

MB = 1 << 20


def signed(settings: AgentSettings, asked: Updates, slots: Slots, closing: Callable[[], bool]) -> tuple[Trust, SignedSource]:
    """closing: says that a download shall end. Raises FormatError where the root cannot be read."""
    trust = Trust(settings.root / "trust", _root(settings, asked), lambda: Mirror(asked.mirror, cancelled=closing))
    room = Room(None if asked.quota_mb is None else int(asked.quota_mb * MB), int(asked.reserve_mb * MB))

    def held() -> list[Path]:
        return [slots.artifact(slot) for slot in SLOTS if slots.artifact(slot).is_dir()]

    return trust, SignedSource(trust, settings.root / "incoming", asked.name, asked.platform, room=room, held=held)


def _root(settings: AgentSettings, asked: Updates) -> bytes:
    try:
        return settings.at(asked.root).read_bytes()
    except OSError as error:
        raise FormatError(f"The root of trust cannot be read: {error}", fix="It is metadata/1.root.json of the repository.") from error
