"""What this machine is, as far as it changes answers or speed: CPU class, features, versions. No host names, no serials."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeAlias

_TELLING = (
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512bw", "avx512_vnni", "avx_vnni",
    "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""CPU features that make an engine choose other kernels."""
Sums: TypeAlias = Literal["exact", "saturating", "unknown"]
"""How a CPU adds products of int8: see `int8_sums`."""
_X86 = ("x86_64", "amd64", "i686", "i386", "x86")
_EXACT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


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


def int8_sums(machine: str, features: Iterable[str]) -> Sums:
    """How ONNX Runtime's kernels for uint8 activations and int8 weights add up on a CPU.

    x86 with AVX2 and without VNNI multiplies with `vpmaddubsw`, which adds two products in 16 bits: 2 x 255 x 127 does not fit, and is
    cut. Answers of the same file are then others, mostly worse. Weights of 7 bits fit. Older CPUs, without AVX2, add up exactly. (Seen on
    CPUs that QEMU emulates: Haswell gives 32,767 for 64,770, Nehalem is exact.)

    Args:
        machine: as `platform.machine()` says.
        features: as `cpu_features` says; none: the system does not say.

    >>> int8_sums("x86_64", ("avx2", "sse4_1")), int8_sums("x86_64", ("avx2", "avx_vnni")), int8_sums("aarch64", ("asimd",))
    ('saturating', 'exact', 'exact')
    """
    held = set(features)
    if machine.lower() not in _X86 or held & _EXACT:
        return "exact"
    if not held:
        return "unknown"
    return "saturating" if held & {"avx2", "avx512bw"} else "exact"


def int8_sums_here() -> Sums:
    """`int8_sums` of this machine."""
    return int8_sums(platform.machine(), cpu_features())


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
