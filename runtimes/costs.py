"""What an artifact costs beside the one it stands for: bytes, and latency in turns, so that nothing slower or larger is shipped unsaid.

- An artifact of a package with a plan is held against the same package in float.
- One of a derived package is held against its first parent, where that is at hand.
- Of any other there is nothing to hold it against.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..sdk.core.errors import PortsideError
from ..sdk.core.package import Package, write
from ..sdk.core.plan import plan_of
from .artifact import Artifact
from .base import CompileOptions, LoadOptions, Measurable, Runtime, Session
from .bench import golden, one_row
from .gating import ancestor_of
from .subjects import contract_of
from .timing import Samples, interleave, ratio

SLOWER, LARGER = 1.05, 1.0
"""Ratios above which an artifact is called slower or larger; medians of interleaved repeats differ by a few per cent anyway."""
REPEATS, SECONDS = 5, 0.05


@dataclass(frozen=True)
class Costs:
    """Ratios to another artifact for the same target.

    Attributes:
        against: "float", the same package without its plan, or "parent".
        size_ratio: of bytes.
        ratio: of median latencies of one row; all calls.
        low, high: the lowest and highest of paired repeats.
    """

    against: str
    size_ratio: float
    ratio: float
    low: float
    high: float

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be said. Slower is only what is slower in every repeat: they are few and short."""
        slow, large = self.ratio > SLOWER and self.low > 1, self.size_ratio > LARGER
        latency = f"slower than {self.against}: {self.ratio:.2f}x ({self.low:.2f}-{self.high:.2f}) of its latency"
        return (*([latency] if slow else []), *([f"larger than {self.against}: {self.size_ratio:.2f}x of its bytes"] if large else []))

    def __str__(self) -> str:
        return f"{self.size_ratio:.2f}x of the bytes, {self.ratio:.2f}x ({self.low:.2f}-{self.high:.2f}) of the latency of {self.against}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the remarks."""
        return {**vars(self), "remarks": list(self.remarks)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Costs:
        """Parse what `to_dict` made."""
        return cls(**{field.name: data[field.name] for field in fields(cls)})


def said(artifact: Artifact) -> str | None:
    """What an artifact costs, in words; None where it was held against nothing."""
    held = artifact.verified.get("costs")
    return None if held is None else str(held["note"] if "note" in held else Costs.from_dict(held))


def costs_of(artifact: Artifact, package: Package, chosen: Runtime, options: CompileOptions, folder: Path) -> dict[str, Any] | None:
    """Costs of a fresh artifact, as data.

    Args:
        artifact: of `package`; proven.
        package: it was compiled from.
        chosen: the runtime.
        options: it was compiled with.
        folder: that does not exist yet, for the other package and artifact.

    Returns:
        What `Costs.to_dict` gives; `{"note": ...}` where the other cannot be compiled or run here; None where there is no other.
    """
    if (other := _other(package)) is None:
        return None
    against, held = other
    try:
        held = _in_float(held, folder / "package")
        made = chosen.compile(held, replace(options, verify=False), folder / "artifact")
        taken, others = _latencies(chosen, (artifact, package), (made, held))
    except Exception as error:  # the artifact is proven: a full disk or an engine that fails on the other does not take it away
        said = str(error) if isinstance(error, PortsideError) else f"{type(error).__name__}: {error}"
        return {"note": f"not compared with {'its parent' if against == 'parent' else against}: {said[:300]}"}
    smaller = artifact.size_bytes / made.size_bytes if made.size_bytes else 1.0  # Python alone has no engine's files on either side
    return Costs(against, smaller, *ratio(taken, others)).to_dict()


def _other(package: Package) -> tuple[str, Package] | None:
    if plan_of(package.content.plan).lossy:
        return "float", package
    parent = ancestor_of(package)
    return ("parent", parent) if isinstance(parent, Package) and parent.digest != package.digest else None


def _in_float(package: Package, out: Path) -> Package:
    """The package without its plan, as a folder: a lowering in a process of its own opens it there."""
    if package.content.plan is None:
        return package
    noted = package.manifest.annotations
    files, notes = ({name: package.path / name for name in held} for held in (package.content.files, noted.files))
    content = replace(package.content, plan=None, files={})
    return write(content, files, out, replace(noted, files={}), notes, trusted=package.trusted)


def _latencies(chosen: Runtime, *both: tuple[Artifact, Package]) -> list[Samples]:
    with ExitStack() as opened:
        sessions = [opened.enter_context(closing(chosen.load(artifact.path, LoadOptions(trust=package.trusted))))
                    for artifact, package in both]  # fmt: skip
        calls = [(session, one_row(session.info.signature, golden(contract_of(package))))
                 for session, (_, package) in zip(sessions, both, strict=True)]  # fmt: skip
        if isinstance(sessions[0], Measurable):
            return [session.measure(row, REPEATS, SECONDS) for session, row in calls if isinstance(session, Measurable)]
        timed = interleave({str(place): _call(*held) for place, held in enumerate(calls)}, REPEATS, SECONDS)
        return list(timed.values())


def _call(session: Session, row: Mapping[str, Any]) -> Any:
    return lambda: session.run(row)
