"""Answers that were given before, by the content of the typed input: bounded by entries and bytes, the least recently used leave first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from ...sdk.core.signature import Array
from ..deployment.sections import Cache

Outputs: TypeAlias = Mapping[str, Array]
OVERHEAD_BYTES = 300
"""About what one kept answer costs beside its arrays' bytes: the key, the mapping, the array objects."""
OBJECT_BYTES = 64
"""About what a text costs in an array of objects."""


class Found(NamedTuple):
    """A kept answer. `age_ms`: since it was given; None where that is not known."""

    outputs: Outputs
    stale: bool = False
    age_ms: float | None = None


class _Kept(NamedTuple):
    outputs: Outputs
    at: float
    size: int


class CacheEntry:
    """Answers of the champion. One event loop only.

    Attributes:
        first: it is asked before the champion.
        size_bytes: about what is kept.
        hits, misses, stale: counts of lookups; a hit may be stale.
    """

    name, version, target = "cache", "", "cache"

    def __init__(self, settings: Cache, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock, self.first = settings, clock, settings.first
        self._most = int(settings.max_mb * (1 << 20))
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self.size_bytes, self.hits, self.misses, self.stale = 0, 0, 0, 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: bytes, outputs: Outputs) -> None:
        """Keep an answer, unless it alone is more than fits."""
        own = owned(outputs)
        kept = _Kept(own, self._clock(), size_of(own))
        self._drop(key)
        if kept.size > self._most:
            return
        self._kept[key] = kept
        self.size_bytes += kept.size
        while len(self._kept) > self._settings.max_entries or self.size_bytes > self._most:
            self._drop(next(iter(self._kept)))

    def get(self, key: bytes, fresh: bool = False) -> Found | None:
        """The answer to this content; `fresh`: only one within its time to live."""
        kept = self._kept.get(key)
        age_s = 0.0 if kept is None else self._clock() - kept.at
        stale = age_s > self._settings.ttl_s
        if kept is None or (stale and (fresh or not self._settings.stale)):
            self.misses += 1
            if not self._settings.stale:
                self._drop(key)
            return None
        self._kept.move_to_end(key)
        self.hits, self.stale = self.hits + 1, self.stale + stale
        return Found(kept.outputs, stale, age_s * 1e3)

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size_bytes -= kept.size


def owned(outputs: Outputs) -> dict[str, Array]:
    """The outputs, where they are parts of a larger array as copies: a row must not keep its whole batch alive."""
    return {name: array if array.base is None else np.array(array) for name, array in outputs.items()}


def size_of(outputs: Outputs) -> int:
    """About what these arrays cost in memory."""
    return OVERHEAD_BYTES + sum(array.size * OBJECT_BYTES if array.dtype.kind == "O" else array.nbytes for array in outputs.values())
