"""Answers of the first model that were given before, by the content of the typed input: bounded, the least recently used leave first."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..sdk.core.signature import Array
from .settings import Cache

OVERHEAD_BYTES = 300
"""About what one kept answer costs beside its arrays' bytes."""


class Found(NamedTuple):
    """A kept answer. age_ms: since it was given."""

    outputs: Mapping[str, Array]
    stale: bool
    age_ms: float


class Kept:
    """Safe to share by threads.

    Args:
        clock: monotonic seconds.
    """

    name = target = "cache"

    def __init__(self, settings: Cache, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock, self._most = settings, clock, int(settings.max_mb * (1 << 20))
        self._held: OrderedDict[bytes, tuple[dict[str, Array], float, int]] = OrderedDict()
        self._lock, self.size_bytes = threading.Lock(), 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, key: bytes, outputs: Mapping[str, Array]) -> None:
        """Keep an answer, unless it alone is more than fits. The arrays are copied."""
        own = {name: np.array(array) for name, array in outputs.items()}
        size = OVERHEAD_BYTES + sum(array.nbytes for array in own.values())
        with self._lock:
            self._drop(key)
            if size > self._most:
                return
            self._held[key] = own, self._clock(), size
            self.size_bytes += size
            while len(self._held) > self._settings.max_entries or self.size_bytes > self._most:
                self._drop(next(iter(self._held)))

    def get(self, key: bytes) -> Found | None:
        """The answer to this content, as copies; None where there is none that is fresh enough."""
        with self._lock:
            if key not in self._held:
                return None
            outputs, at, _ = self._held[key]
            age_s = self._clock() - at
            if (stale := age_s > self._settings.ttl_s) and not self._settings.stale:
                self._drop(key)
                return None
            self._held.move_to_end(key)
        return Found({name: np.array(array) for name, array in outputs.items()}, stale, age_s * 1e3)

    def _drop(self, key: bytes) -> None:
        if (held := self._held.pop(key, None)) is not None:
            self.size_bytes -= held[2]


def content_key(arrays: Mapping[str, Any]) -> bytes:
    """16 bytes that stand for typed inputs, as the door gave them."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in arrays.items():
        for array in value if isinstance(value, list) else (value,):
            held: Array = np.ascontiguousarray(array)
            digest.update(f"{name}\0{held.dtype.str}\0{held.shape}\0".encode())
            digest.update(held.data if held.dtype.kind != "O" and held.size else repr(held.tolist()).encode())
    return digest.digest()
