"""The parts of an agent, made from its settings: slots and their installer, the outbox and its way home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from .files import OsFiles
from .health import Limits
from .installer import Installer
from .outbox import Outbox
from .settings import AgentSettings
from .slots import Slots
from .trial import TrialJudge
from .trial_file import TrialFile
from .updating import NoSource, Updating
from .upload_http import Uploader, UploadSettings

MB = 1 << 20


def updating(settings: AgentSettings, closing: Callable[[], bool]) -> Updating:
    """The updates of an agent, not booted. closing: says that a download shall end. Raises FormatError."""
    slots, asked = Slots(OsFiles(), settings.root / "slots"), settings.updates
    link = next((link for link in settings.failover.chain if link.slot), None)
    trust_host, kept = link is not None and link.trust, TrialFile(slots.files, slots.root)
    if asked is None:
        judge = TrialJudge(threads=settings.limits.threads, trust=trust_host, file=kept)
        return Updating(Installer(slots, NoSource(), judge), judge)
    agree = None if asked.agree is None else tuple(asked.agree)
    limits = Limits(asked.p95_ms, asked.max_disagreement, most_rows=asked.most_rows, agree=agree)
    judge = TrialJudge(limits, settings.limits.threads, trust=trust_host, file=kept)
    held = import_module(".assembling_signed", __package__)  # what reads signatures is loaded where they are asked for
    trust, source = held.signed(settings, asked, slots, closing)
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
