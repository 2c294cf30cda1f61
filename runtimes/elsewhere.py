"""Targets whose artifacts can be made where they cannot run, as a GPU's without a GPU: nothing is proven there, and it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from .base import Runtime, compile_lack, installed, runtime


@runtime_checkable
class ProvedElsewhere(Protocol):
    """What a runtime offers whose artifacts can be made where they cannot run: without its accelerator nothing is proven."""

    def unproven(self) -> str | None:
        """None where artifacts run here; otherwise what stays unproven, and why, in words."""
        ...

    def build_check(self, artifact: Path) -> str:
        """How far an artifact was checked without being run, in a line. Raises UnsupportedError naming what the engine refuses."""
        ...


def compiler(name: str) -> Runtime:
    """The runtime of a target that packages are to be compiled for here, although its artifacts may not run here.

    Raises as `runtime`.
    """
    kind = installed().get(name)
    made = None if kind is None else kind()
    return made if made is not None and isinstance(made, ProvedElsewhere) and compile_lack(made) is None else runtime(name)


def unproven(found: Runtime) -> str | None:
    """Why what a runtime compiles here stays unproven, in words; None where it can be run."""
    return found.unproven() if isinstance(found, ProvedElsewhere) else None


def build_checked(found: Runtime, artifact: Path) -> str:
    """How far an artifact was checked without being run; empty where the runtime has no such check. Raises UnsupportedError."""
    return found.build_check(artifact) if isinstance(found, ProvedElsewhere) else ""
