"""From a resolved chain to entries that can be asked: models opened in their lanes, caches, endpoints, defaults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...sdk.core.errors import PortsideError
from ...sdk.core.signature import Signature
from ..deployment.file import Cache, Endpoint
from ..deployment.resolving import ResolvedModel
from ..deployment.tables import Table
from .absent import absent, why_absent
from .cache import CacheEntry
from .chain import open_model
from .endpoint import EndpointEntry
from .engine import ChainEntry
from .precomputed import PrecomputedEntry


def open_entries(entries: Iterable[Any], signature: Signature) -> tuple[ChainEntry, ...]:
    """Every entry opened, or none: what was open is closed again when one cannot be.

    A model whose target cannot run on this machine (no GPU) is passed over where the chain has anything else.

    Args:
        entries: as `Resolved.entries`.
        signature: the champion's.

    Raises PortsideError.
    """
    opened: list[ChainEntry] = []
    chain = list(entries)
    try:
        for entry in chain:
            opened.append(_opened(entry, signature, len(chain) > 1))
    except PortsideError:
        for entry in opened:
            if close := getattr(getattr(entry, "lane", None), "close", None):
                close()
        raise
    return tuple(opened)


def _opened(entry: Any, signature: Signature, others: bool) -> ChainEntry:
    if isinstance(entry, ResolvedModel):
        return absent(entry, why) if others and (why := why_absent(entry)) is not None else open_model(entry)
    if isinstance(entry, Cache):
        return CacheEntry(entry)
    if isinstance(entry, Table):
        return PrecomputedEntry(entry, signature)
    return EndpointEntry(entry.url, signature) if isinstance(entry, Endpoint) else entry
