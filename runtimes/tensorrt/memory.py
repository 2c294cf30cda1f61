"""Memory of a call: for every tensor a pinned buffer on the host and one on the device, kept between calls and grown when needed.

Copies from pinned memory do not hold up the stream that they are queued on; a copy from any other would.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from math import prod

import numpy as np

from ...sdk.core.signature import Array
from .binding import Bindings

_LEAST = 256
"""Bytes; an address must exist for tensors of no elements too."""


@dataclass
class Pair:
    """A tensor's place on the host and on the device, of at least `size` bytes."""

    held: Bindings
    size: int = 0
    host: int = 0
    device: int = 0

    def grow(self, size: int) -> bool:
        """Make room for this many bytes; True where the addresses are new ones. Raises EngineError out of memory."""
        if size <= self.size and self.host:
            return False
        self.free()
        wanted = max(_LEAST, size + size // 4 if self.size else size)
        self.host = int(self.held.ask("cudaMallocHost", wanted))
        self.device = int(self.held.ask("cudaMalloc", wanted))
        self.size = wanted
        return True

    def view(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """The pinned memory as an array; valid until the buffer grows."""
        count = prod(shape)
        raw = memoryview((ctypes.c_ubyte * max(self.size, 1)).from_address(self.host))
        return np.frombuffer(raw, dtype, count).reshape(shape)

    def free(self) -> None:
        """Give both back; harmless when there is nothing."""
        host, device, self.host, self.device = self.host, self.device, 0, 0
        if host:
            self.held.ask("cudaFreeHost", host)
        if device:
            self.held.ask("cudaFree", device)
