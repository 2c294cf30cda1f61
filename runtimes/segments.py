"""A Segment: one stretch of a program that a session runs in one call; the description and options it is opened from.

An artifact lists its segments under `engine["segments"]`; between two host stages there is one segment, however many
graph and trees stages the package had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args

from ..sdk.core.errors import FormatError
from ..sdk.core.manifest import Stage
from ..sdk.core.signature import Array
from .base import Cancel

SegmentKind: TypeAlias = Literal["onnx", "trees", "host", "tflite"]


@dataclass(frozen=True)
class SegmentSpec:
    """How a segment is opened.

    Attributes:
        kind: "onnx", "trees", "host" or "tflite".
        file: path below the folder that holds it.
        inputs: values read, by name.
        outputs: values written, by name.
        function: host segments: the function in `file`.
        plan: "tflite" segments of a package: how the file is called (runtimes/tflite/plan.py). Artifacts of target tflite keep
            it under `engine["plans"]`.
    """

    kind: SegmentKind
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: str | None = None
    plan: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        data: dict[str, Any] = {"kind": self.kind, "file": self.file}
        data |= {"inputs": list(self.inputs), "outputs": list(self.outputs)}
        rest = {"function": self.function, "plan": None if self.plan is None else dict(self.plan)}
        return data | {key: value for key, value in rest.items() if value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SegmentSpec:
        """Parse. Raises FormatError."""
        try:
            spec = cls(data["kind"], data["file"], tuple(data["inputs"]), tuple(data["outputs"]), data.get("function"), data.get("plan"))
        except (KeyError, TypeError) as error:
            raise FormatError(f"A segment of the artifact is malformed: {error!r}", got=dict(data)) from error
        if spec.kind not in get_args(SegmentKind):
            raise FormatError("A segment has an unknown kind", got=spec.kind, expected=", ".join(get_args(SegmentKind)))
        return spec


def stage_segment(stage: Stage, file: str) -> SegmentSpec:
    """A stage of a package as a segment of its own, as the reference runtime opens it from `file`.

    Raises FormatError for a native stage of an engine that Portside does not have.
    """
    if stage.kind == "native":
        if not stage.file.endswith(".tflite") or not isinstance(stage.extra.get("plan"), Mapping):
            raise FormatError(f"The native stage {stage.name!r} is of an unknown engine", got=stage.file,
                              expected="a .tflite file and its plan", fix="Run: pip install --upgrade portside")  # fmt: skip
        return SegmentSpec("tflite", file, stage.inputs, stage.outputs, plan=stage.extra["plan"])
    function = (stage.function or "run") if stage.kind == "host" else None
    return SegmentSpec("onnx" if stage.kind == "graph" else stage.kind, file, stage.inputs, stage.outputs, function)


@dataclass(frozen=True)
class EngineOptions:
    """How an ONNX segment is opened.

    Attributes:
        threads: intra-op threads.
        spinning: idle threads spin; two threads on shared cores were 4x slower for it.
        optimize: "none" for the reference and for models that are optimised already, "all" otherwise.
        deterministic: ask kernels for the same bits every time.
        save_optimized: also write the optimised model here (specific to this CPU).
    """

    threads: int = 1
    spinning: bool = False
    optimize: Literal["none", "all"] = "all"
    deterministic: bool = False
    save_optimized: Path | None = None


class Segment(Protocol):
    """An opened segment."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values it reads; `run` gets exactly these."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values it can write."""
        ...

    def run(self, names: list[str], feeds: dict[str, Array], cancel: Cancel | None) -> list[Array]:
        """The values `names`, in that order. Raises EngineError."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
