"""The parts of an agent, made from its settings: slots and their installer, the outbox and its way home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..sdk.core.errors import FormatError
from .files import OsFiles
from .health import Limits
from .installer import Installer
from .mirror import Mirror
from .outbox import Outbox
from .settings import AgentSettings, Updates
from .signed_source import Room, SignedSource
from .slots import Slots
from .trial import TrialJudge
from .trust import Trust
from .update_state import SLOTS
from .updating import NoSource, Updating
from .upload_http import Uploader, UploadSettings

MB = 1 << 20


def updating(settings: AgentSettings, closing: Callable[[], bool]) -> Updating:
    """The updates of an agent, not booted. closing: says that a download shall end. Raises FormatError."""
    slots, asked = Slots(OsFiles(), settings.root / "slots"), settings.updates
    link = next((link for link in settings.failover.chain if link.slot), None)
    trust_host = link is not None and link.trust
    if asked is None:
        judge = TrialJudge(threads=settings.limits.threads, trust=trust_host)
        return Updating(Installer(slots, NoSource(), judge), judge)
    judge = TrialJudge(Limits(asked.p95_ms, asked.max_disagreement, most_rows=asked.most_rows), settings.limits.threads, trust=trust_host)
    trust = Trust(settings.root / "trust", _root(settings, asked), lambda: Mirror(asked.mirror, cancelled=closing))
    room = Room(None if asked.quota_mb is None else int(asked.quota_mb * MB), int(asked.reserve_mb * MB))
    source = SignedSource(trust, settings.root / "incoming", asked.name, asked.platform, room=room,
                          held=lambda: [slots.artifact(slot) for slot in SLOTS if slots.artifact(slot).is_dir()])  # fmt: skip
    return Updating(Installer(slots, source, judge), judge, trust, asked.name, asked.platform, every_s=asked.every_s,
                    server=asked.follow == "server", source=source)  # fmt: skip


def outbox(settings: AgentSettings) -> Outbox:
    """The outbox. Raises StoreError."""
    return Outbox(settings.root / "outbox.sqlite", int(settings.outbox.quota_mb * MB))


def uploader(settings: AgentSettings, held: Outbox, versions: Callable[[], Mapping[str, str]],
             desired: Callable[[str], None]) -> Uploader | None:  # fmt: skip
    """The way home; None where there is none. Raises FormatError, InputError."""
    asked = settings.upload
    if asked is None:
        return None
    ca = str(settings.at(asked.ca)) if asked.ca else None
    home = UploadSettings(asked.url, settings.secret(asked.key_file), asked.every_s, asked.hello_s, ca=ca)
    return Uploader(held, settings.device, home, versions, desired)


def clean_stop(root: Path) -> bool:
    """Whether the last agent here ended orderly; said once."""
    mark = root / "clean"
    found = mark.exists()
    mark.unlink(missing_ok=True)
    return found


def _root(settings: AgentSettings, asked: Updates) -> bytes:
    try:
        return settings.at(asked.root).read_bytes()
    except OSError as error:
        raise FormatError(f"The root of trust cannot be read: {error}", fix="It is metadata/1.root.json of the repository.") from error
