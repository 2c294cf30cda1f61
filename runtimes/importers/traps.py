"""What traces silently wrong or not at all, caught: each becomes a TraceError with the user's line and the way out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import torch
from torch.export import ExportedProgram
from torch.utils._python_dispatch import TorchDispatchMode

from ...sdk.core.errors import PortsideError, SourceLine, TraceError
from .frames import line_of_error, line_of_frame, line_of_stack, line_of_trace

Limits: TypeAlias = tuple[int, int | None]
"""Smallest and largest size of a dimension; None: no largest."""
_TORCH_WAY = "Use torch operations, decode it in a codec, or declare the function as a host stage: host=[...]."
_REASONS: tuple[tuple[str, str, str], ...] = (
    (r"\.numpy\(\) is not supported|__array__|Could not infer dtype|numpy.ndarray|PIL\.|can't convert|not.*Tensor.*ndarray|ndarray.*Tensor",
     "numpy or PIL is in the path of the tensors, which cannot be traced", _TORCH_WAY),
    (r"data-dependent|GuardOnDataDependent|DataDependentOutput|_local_scalar_dense|\.item\(\)|\.tolist\(\)",
     "A branch or a size depends on the data, which cannot be traced",
     "Compute both sides and choose with torch.where, keep sizes fixed, or declare the function as a host stage: host=[...]."),
    (r"must have the same dtype|expected scalar type|same dtype, but got|but found Double|Double and Float|Float and Double",
     "Examples and model differ in dtype", "numpy makes float64 and models are float32: give examples of dtype float32."),
    (r"Constraints violated|specialized it to be a constant|Specializations unexpectedly",
     "A dimension that should be dynamic is fixed by the code", ""),
)  # fmt: skip


@dataclass
class ShapeWatch:
    """The user's lines that decide by a dynamic dimension while a function is traced (`if x.shape[0] > 1`, `int(len(x))`)."""

    lines: list[SourceLine] = field(default_factory=list[SourceLine])

    @property
    def first(self) -> SourceLine | None:
        """The first such line, a user's own if there is one."""
        return self.lines[0] if self.lines else None


@contextmanager
def watching_shapes() -> Generator[ShapeWatch]:
    """Record which lines turn a symbolic dimension into a Python bool or int: torch then fixes what they saw."""
    watch = ShapeWatch()
    patched = [(torch.SymBool, "__bool__"), (torch.SymInt, "__bool__"), (torch.SymInt, "__int__"), (torch.SymInt, "__index__")]
    kept = [(owner, name, getattr(owner, name)) for owner, name in patched]
    for owner, name, original in kept:
        setattr(owner, name, _recording(original, watch))
    try:
        yield watch
    finally:
        for owner, name, original in kept:
            setattr(owner, name, original)


def _recording(original: Callable[[Any], Any], watch: ShapeWatch) -> Callable[[Any], Any]:
    def record(self: Any) -> Any:
        line = line_of_frame(sys._getframe(1))
        if line is not None and line not in watch.lines:
            watch.lines.append(line)
        return original(self)

    return record


class _Chance(TorchDispatchMode):
    """Takes down the user's lines whose operations draw random numbers when they run."""

    def __init__(self, lines: list[SourceLine]) -> None:
        super().__init__()
        self.lines = lines

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags and not _is_off(func, args, kwargs or {}):
            self.lines.append(line_of_stack() or SourceLine("", 0, str(func)))
        return func(*args, **(kwargs or {}))


@contextmanager
def watching_chance() -> Generator[list[SourceLine]]:
    """Record which lines of eagerly run code draw random numbers in torch."""
    lines: list[SourceLine] = []
    with _Chance(lines):
        yield lines


@contextmanager
def explaining(what: str, watch: ShapeWatch | None = None, names: dict[str, str] | None = None) -> Generator[None]:
    """Turn whatever a user's code or the tracer raises into a TraceError with the line at fault; our own errors pass.

    Args:
        what: what was being done, e.g. "featurize, model and predict cannot be traced".
        watch: lines that read dynamic dimensions, for errors that torch reports without a line.
        names: dimension in torch's messages -> the user's name.
    """
    try:
        yield
    except PortsideError:
        raise
    except Exception as error:
        raise _explained(error, what, watch, names or {}) from error


def _explained(error: Exception, what: str, watch: ShapeWatch | None, names: dict[str, str]) -> TraceError:
    text = f"{type(error).__name__}: {error}"
    where = line_of_trace(_user_part(text)) or line_of_error(error)
    for pattern, reason, way in _REASONS:
        if re.search(pattern, text):
            if way:
                return TraceError(reason, where=where, got=_first_line(error), fix=way)
            return _specialised(text, watch, names)
    return TraceError(what, where=where, got=_first_line(error), fix="Correct the line, or declare a host stage: host=[...].")


def _specialised(text: str, watch: ShapeWatch | None, names: dict[str, str]) -> TraceError:
    readable = re.sub(r"\b_?dim_\d+\b", lambda match: names.get(match[0].lstrip("_"), match[0]), text)
    fixes = readable.partition("Suggested fixes:")[2].split("\n\n")[0].split()
    dims = sorted(set(re.findall(r"Constraints violated \(([^)]*)\)", readable)))
    return TraceError(
        f"The code fixes dimension {', '.join(dims) or 'of an input'}, which should be dynamic", where=watch.first if watch else None,
        got=" ".join(fixes) or _first_line(Exception(readable)),
        fix="Write the line without the number (-1 or x.shape[0] in reshape; no int(), no loop over rows), or leave it out of dynamic=.",
    )  # fmt: skip


def limits_in(message: str) -> dict[str, Limits]:
    """The limits that torch suggests for dimensions ("dim_0 = Dim('dim_0', min=3)"), by its own names."""
    found: dict[str, Limits] = {}
    for symbol, inner in re.findall(r"(\w+) = Dim\('\w+'([^)]*)\)", message.partition("Suggested fixes:")[2]):
        bounds = dict(re.findall(r"(min|max)=(\d+)", inner))
        found[symbol] = (int(bounds.get("min", 0)), int(bounds["max"]) if "max" in bounds else None)
    return found


def is_fixed(message: str) -> bool:
    """True where torch says that the code needs one size, or a multiple of a number."""
    return "specialized" in message or "_dim_" in message or "pecializations" in message


def _user_part(text: str) -> str:
    """The part of torch's message that quotes the user's call, where it has one."""
    return text.partition("The following call raised this error:")[2]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def refuse_randomness(program: ExportedProgram) -> None:
    """Raise TraceError for an operator that draws random numbers in the traced graph."""
    for node in program.graph.nodes:
        tags = cast("list[torch.Tag]", getattr(node.target, "tags", []))
        if torch.Tag.nondeterministic_seeded in tags and not _is_off(node.target, node.args, node.kwargs):
            raise TraceError(
                "A random number is drawn in the path of the tensors", where=line_of_trace(node.meta.get("stack_trace") or ""),
                got=str(node.target), fix="Compute it once outside and keep it as a buffer, or take it as an input.",
            )  # fmt: skip


def _is_off(operator: Any, args: Any, kwargs: Any) -> bool:
    """Dropout and its like, switched off by an argument (eval mode)."""
    names = [argument.name for argument in operator._schema.arguments]
    values = dict(zip(names, args, strict=False)) | dict(kwargs)
    if "dropout_p" in names:
        return values.get("dropout_p", 0.0) == 0.0
    return values.get("train", values.get("training", True)) is False
