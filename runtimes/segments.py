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
    """

    kind: SegmentKind
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        data: dict[str, Any] = {"kind": self.kind, "file": self.file}
        data |= {"inputs": list(self.inputs), "outputs": list(self.outputs)}
        return data | ({"function": self.function} if self.function else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SegmentSpec:
        """Parse. Raises FormatError."""
        try:
            spec = cls(data["kind"], data["file"], tuple(data["inputs"]), tuple(data["outputs"]), data.get("function"))
        except (KeyError, TypeError) as error:
            raise FormatError(f"A segment of the artifact is malformed: {error!r}", got=dict(data)) from error
        if spec.kind not in get_args(SegmentKind):
            raise FormatError("A segment has an unknown kind", got=spec.kind, expected=", ".join(get_args(SegmentKind)))
        return spec


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
