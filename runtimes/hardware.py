"""What this machine is, as far as it changes answers or speed: CPU class, features, versions. No host names, no serials."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_TELLING = (
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512bw", "avx512_vnni", "avx_vnni",
    "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""CPU features that make an engine choose other kernels."""


@cache
def cpu_features() -> tuple[str, ...]:
    """Features of this CPU that change which kernels an engine chooses, sorted. Empty where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    flags = next((line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))), [])
    return tuple(sorted(set(flags) & set(_TELLING)))


@cache
def cpu_class() -> str:
    """One short name for machines that run the same kernels: architecture and a digest of the features."""
    features = hashlib.sha256(" ".join(cpu_features()).encode()).hexdigest()[:12]
    return f"{platform.machine()}-{features}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def version_of(distribution: str) -> str | None:
    """Installed version, without importing it; None when it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def built_on(*distributions: str) -> dict[str, Any]:
    """What an artifact records of the machine that built it: CPU class and versions."""
    versions = {name: version_of(name) for name in ("portside", "numpy", *distributions)}
    return {
        "cpu": cpu_class(), "features": list(cpu_features()), "system": platform.system(),
        "python": ".".join(map(str, sys.version_info[:3])), "versions": versions,
    }  # fmt: skip
