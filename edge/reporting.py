"""How an agent stands: one JSON-ready object, and the file in its folder by which others see it."""

from __future__ import annotations

import json
import mmap
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from ..sdk.core.errors import PortsideError
from .chain import Chain, Cloud, OpenModel
from .files import OsFiles, read_whole
from .lock import holder
from .outbox import Outbox
from .outbox_writer import OutboxWriter
from .settings import AgentSettings
from .slots import STATE, STATE_BYTES
from .update_record import Record
from .update_state import Update
from .updating import Updating, described
from .upload_http import Uploader

STATUS = "status.json"


@dataclass(frozen=True)
class Said:
    """What a report is made of."""

    settings: AgentSettings
    chain: Chain
    updates: Updating
    outbox: Outbox
    writer: OutboxWriter
    uploader: Uploader | None
    counts: dict[str, int]
    started_ms: int
    fault: str


def reported(said: Said) -> dict[str, Any]:
    """JSON-ready."""
    settings, updates, champion = said.settings, said.updates, said.chain.champion
    evidence = updates.judge.evidence
    return {
        "name": settings.name, "device": settings.device, "process": os.getpid(), "started_ms": said.started_ms, "fault": said.fault,
        "answers": None if champion is None else {"model": champion.name, "package": champion.digest, "target": champion.target,
                                                  "entry": said.chain.place},
        "chain": _chain(said), "escalation_fault": said.chain.escalation_fault,
        "release": {**described(updates.installer.update), "trial": evidence.to_dict() if evidence else None,
                    "stopped": updates.stopped.to_dict() if updates.stopped else None, "failures": updates.failures},
        "counts": said.counts, "outbox": _outbox(said),
        "upload": None if said.uploader is None else {
            "url": said.uploader.settings.url, "sent": said.uploader.sent, "heard_ms": said.uploader.heard_ms,
            "failures": said.uploader.failures, "fault": said.uploader.fault,
        },
        "memory_bytes": memory_bytes(),
    }  # fmt: skip


def versions(update: Update) -> dict[str, str]:
    """What runs here, for the server: the agent, the release that answers, and the one that was refused last."""
    active, refused = update.active, update.refused[-1].wanted.release if update.refused else None
    running = active.wanted.release if active else None
    return {"agent": version("portside"), **({"release": running} if running else {}),
            **({"refused": refused} if refused and refused != running else {})}  # fmt: skip


def write_status(root: Path, status: dict[str, Any]) -> None:
    """Let others see it; not synced, for it is made anew. Raises OSError."""
    fresh = root / f"{STATUS}.new"
    fresh.write_text(json.dumps(status), encoding="utf-8")
    os.replace(fresh, root / STATUS)


def seen(settings: AgentSettings) -> dict[str, Any]:
    """How the agent of a folder stands, seen from another process: what it wrote last, and whether it runs. Changes nothing."""
    root, held = settings.root, dict[str, Any]()
    with suppress(OSError, ValueError):
        held = cast("dict[str, Any]", json.loads((root / STATUS).read_text(encoding="utf-8")))
    with suppress(OSError, PortsideError):
        files = OsFiles()
        record = Record.from_bytes(read_whole(files, root / "slots" / STATE, STATE_BYTES))
        held["release"] = {**cast("dict[str, Any]", held.get("release", {})), **described(record.update)}
    process = holder(root)
    return {"name": settings.name, "device": settings.device, **held, "running": process is not None, "process": process}


def memory_bytes() -> int:
    """Resident memory of this process; 0 where that cannot be known."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * mmap.PAGESIZE


def _chain(said: Said) -> list[dict[str, Any]]:
    found = list[dict[str, Any]]()
    for place, (entry, link) in enumerate(zip(said.chain.entries, said.settings.failover.chain, strict=True)):
        kind = next(name for name in ("slot", "artifact", "endpoint", "cache", "default") if getattr(link, name) is not None)
        shown: dict[str, Any] = {"entry": place, "kind": kind, "fault": said.chain.faults[place]}
        if isinstance(entry, OpenModel | Cloud):
            shown |= {"name": entry.name, "ready": entry.lane.ready, "breaker": said.chain.breakers[place].state}
        if isinstance(entry, OpenModel):
            shown |= {"package": entry.digest, "target": entry.target, "abandoned": entry.lane.abandoned_total}
        found.append(shown)
    return found


def _outbox(said: Said) -> dict[str, Any]:
    try:
        status = said.outbox.status()
    except PortsideError as error:
        return {"fault": str(error), "lost": said.writer.lost}
    return {"waiting": dict(status.waiting), "aside": status.aside, "dropped": dict(status.dropped), "next": status.next,
            "size_bytes": status.size_bytes, "quota_bytes": status.quota_bytes, "lost": said.writer.lost,
            "fault": said.writer.fault}  # fmt: skip
