"""The record writer that a deployment asks for."""

from __future__ import annotations

from pathlib import Path

from ..deployment.records import Records
from .forgetting import Keep
from .store import RecordStore


def open_store(settings: Records, folder: Path, before: RecordStore | None = None) -> RecordStore | None:
    """A writer as `[records]` says, or `before` where that writes to the same place already; None: nothing is recorded.

    Raises FormatError, MissingExtraError.
    """
    if not settings.enabled:
        return None
    where = settings.place(folder)
    if before is not None and before.where == where:
        return before
    keep = Keep(settings.keep_days, settings.keep_mb)
    return RecordStore(where, settings.queue, settings.raw_limit_bytes, int(settings.queue_mb * (1 << 20)), keep)
