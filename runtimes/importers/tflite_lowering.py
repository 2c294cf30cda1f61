"""Torch -> `.tflite` with litert-torch, in the child process of `runtimes/tflite/lowering.py`.

One converter run per segment, one signature per combination of sizes, all on the same weights. Inputs go in as keyword
arguments and outputs come out as a dict, so that tensors are bound by name; no dimension is dynamic.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import litert_torch
import onnx
import torch

from ...sdk.core.errors import PortsideError, UnsupportedError
from ...sdk.core.package import Package, open_folder
from ..hardware import version_of
from ..tflite.plan import Plan, concrete
from ..tflite.refusals import refused
from ..tflite.request import Answer, Job, Request
from .exported_reading import Absent, exported_module
from .missing_kept import MissingKept
from .onnx_back.module import to_module

_TORCH = {"f32": torch.float32, "i32": torch.int32, "u8": torch.uint8, "bool": torch.bool, "i8": torch.int8}


@dataclass(frozen=True)
class Traced:
    """A program as a module.

    Attributes:
        module: takes tensors in the order of `inputs`, returns a sequence in the order of `outputs`.
        inputs, outputs: names of the program's values.
    """

    module: torch.nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Rim(torch.nn.Module):
    """A program between the names of a plan.

    Args:
        traced: the program and its names.
        plan: names, keys and dtypes.
        missing: the inputs that may hold NaN.
    """

    def __init__(self, traced: Traced, plan: Plan, missing: Collection[str] = ()) -> None:
        super().__init__()
        self.inner = traced.module
        slots = {slot.name: slot for slot in (*plan.inputs, *plan.outputs)}
        self.reads = tuple(slots[name].key for name in traced.inputs)
        self.missing = tuple(slots[name].key for name in missing)
        self.writes = tuple((place, slot.key, _TORCH[slot.dtype]) for slot in plan.outputs for place in [traced.outputs.index(slot.name)])

    def forward(self, **values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Keyword arguments by the inputs' keys; results by the outputs' keys, in the plan's dtypes."""
        with MissingKept(values[key] for key in self.missing) if self.missing else nullcontext():
            made = self.inner(*(values[key] for key in self.reads))
        return {key: made[place].to(dtype) for place, key, dtype in self.writes}


def lower_all(request: Request, folder: Path) -> Answer:
    """Every job of the request as a `.tflite` file in `folder`.

    Raises:
        UnsupportedError: naming the operator, the node and the segment, or why the traced program cannot be used.
        FormatError, IntegrityError: the package's traced program is not one.
    """
    told = [lower_one(job, request, folder) for job in request.jobs]
    packages = ["litert-torch", "litert-converter", "ai-edge-litert", "torch", *(["ai-edge-quantizer"] if request.lossy else [])]
    versions = {name: version_of(name) for name in packages}
    precision = _lossy(request, folder) if request.lossy else []
    return Answer([source for source, _ in told], [note for _, note in told], versions, precision=precision)


def _lossy(request: Request, folder: Path) -> list[Mapping[str, Any]]:
    """Every job's file with the precision that the package's plan asks for, beside the float one; what became of the plan in each."""
    from ..precision.tflite_quantizing import quantize_job  # the quantizer: only where precision is lowered

    package = open_folder(Path(request.package), request.digest)
    return [quantize_job(job, package, folder).to_dict() for job in request.jobs]


def lower_one(job: Job, request: Request, folder: Path) -> tuple[str, str]:
    """One segment: what was lowered; how its module differs from that and why it was not the traced program, or ""."""
    reason = "" if request.source == "onnx" else _from_exported(job, request, folder)
    if reason is None:
        return "pt2", ""
    traced, note = from_onnx(job, folder)
    _convert(job, traced, folder)
    return "onnx", " ".join(filter(None, (note, reason)))


def _from_exported(job: Job, request: Request, folder: Path) -> str | None:
    """Lower the traced program; None, or why not. Raises UnsupportedError where nothing else was asked for."""
    try:
        _convert(job, from_exported(job, request), folder)
    except UnsupportedError as error:
        if request.source == "pt2":
            raise
        return f"Not lowered from the traced program: {error.what}."
    return None


def _convert(job: Job, traced: Mapping[str, Traced], folder: Path) -> None:
    converter = litert_torch
    for key, sizes in job.plan.signatures.items():
        converter = converter.signature(key, Rim(traced[key], job.plan, job.missing).eval(), sample_kwargs=examples(job.plan, sizes))
    try:
        converter.convert().export(str(folder / f"{job.stem}.tflite"))
    except PortsideError:
        raise
    except Exception as error:  # torch, jax and MLIR share no base but Exception; all are named and wrapped
        raise refused(error, job.stem) from error


def examples(plan: Plan, sizes: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Tensors of ones in the shapes of a signature: zeros would make logarithms and quotients infinite while constants are folded."""
    return {slot.key: torch.ones(concrete(slot.shape, sizes), dtype=_TORCH[slot.dtype]) for slot in plan.inputs}


def from_onnx(job: Job, folder: Path) -> tuple[Mapping[str, Traced], str]:
    """Signature -> the ONNX segment with static shapes; and how it differs from what the graph says."""
    model = onnx.load(str(folder / f"{job.stem}.onnx"))
    modules = {key: to_module(model, dict(sizes)) for key, sizes in job.plan.signatures.items()}
    notes = list(dict.fromkeys(note for module in modules.values() for note in module.notes))
    return {key: Traced(module, module.inputs, module.outputs) for key, module in modules.items()}, " ".join(notes)


def from_exported(job: Job, request: Request) -> dict[str, Traced]:
    """Signature -> the program that torch traced. Raises UnsupportedError saying why there is none."""
    if not job.whole:
        raise _absent(job, "the segment is not the whole program")
    package = open_folder(Path(request.package), request.digest)
    rows = {key: sizes[job.plan.batch] if job.plan.batch else None for key, sizes in job.plan.signatures.items()}
    if not any(stage.kind == "trees" for stage in package.content.stages):
        return dict.fromkeys(rows, _whole(job, package, None))  # one module for all sizes
    return {key: _whole(job, package, count) for key, count in rows.items()}


def _whole(job: Job, package: Package, rows: int | None) -> Traced:
    module = exported_module(package, rows)
    if isinstance(module, Absent):
        raise _absent(job, module.reason)
    read, made = ({slot.name for slot in slots} for slots in (job.plan.inputs, job.plan.outputs))
    if read != set(module.inputs) or made - set(module.outputs):
        raise _absent(job, "the segment has another rim than the package's program")
    return Traced(module, module.inputs, module.outputs)


def _absent(job: Job, reason: str) -> UnsupportedError:
    return UnsupportedError(reason, got=f"segment {job.stem!r}", fix='Compile with source="onnx", or pack again with this torch.')
