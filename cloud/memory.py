"""How this process holds memory: what it asks of the kernel, and what the collector of cycles looks at.

Blocks of some hundred kilobytes are kept when they are freed.

A body of 150,000 floats passes through a handful of such blocks. Where each is mapped anew, the kernel clears every page of it again:
0.8 ms of CPU per request, more than the copying itself. glibc learns a threshold of its own, and gives the top of its heap back
all the same.

The collector walks through everything that lives, now and then, while nothing else runs. Libraries and a tiny model alone make that 144,000
objects, and 98 ms where it was measured. Once they are there they are set apart, where it does not look.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Any

YOUNG = 10_000
"""Objects that have come and not gone before the collector looks for cycles among them. Records that wait for the writer are some thousand
objects twenty times a second, and all of them go by themselves; with Python's 700 each was looked at for nothing."""
MAPPED_FROM, KEPT = 16 << 20, 64 << 20
"""Bytes: smaller blocks come from the heap; this much may lie free at its top."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def keep_freed_blocks() -> bool:
    """Tell glibc, unless the environment says something of its own; False where nothing was told (another C library, another system)."""
    said = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if said or sys.platform != "linux":
        return False
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, MAPPED_FROM)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))


def set_apart() -> None:
    """Collect, then keep the collector from what lives now, and let it look for cycles when many objects have come, not every few requests.

    Called again it looks at all of that first, so that no old version stays.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    gc.set_threshold(max(young, YOUNG) if young else 0, *older)
