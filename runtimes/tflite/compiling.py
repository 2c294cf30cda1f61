"""Package -> artifact of target `tflite`: assemble, choose sizes, lower in a child process, prove every signature, write.

A native `.tflite` file is copied as it is, and a package that holds nothing else needs no converter.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...sdk.core.contract import Contract
from ...sdk.core.errors import UnsupportedError
from ...sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from ...sdk.core.package import Package
from ..artifact import Artifact, begin, finish
from ..assemble import Part, assemble
from ..base import CompileOptions
from ..hardware import built_on
from ..onnx_files import write_model
from ..segments import SegmentSpec
from .cost import filled
from .lowering import TIMEOUT_S, lower, workplace
from .plan import Plan
from .proving import prove
from .request import SOURCES, Answer, Job, Request
from .rim import plan_of
from .sizes import answerable, contract_of, sizes_of
from .tree_lowering import lower_trees
from .weights import weights_bytes


def compile_package(package: Package, target: str, options: CompileOptions, out: Path) -> Artifact:
    """Lower `package` into the new folder `out`.

    Args:
        package: audited.
        target: name of the runtime.
        options: taps, and under `extra` those of `TfliteEdge.options`, by name.
        out: does not exist yet.

    Raises UnsupportedError, MissingExtraError, EngineError; see `TfliteEdge.compile`.
    """
    extra = options.extra
    source, timeout_s = _source(extra), _timeout_s(extra)
    parts = [_renamed(part) for part in assemble(package, target, options.taps, lower_trees)]
    sizes = sizes_of(package, extra.get("batches"), extra.get("sizes"))
    contract = contract_of(package)
    contract = answerable(contract, package.signature, sizes) if contract is not None and sizes.exact else contract
    plans = {part.spec.file: plan_of(part.model, sizes, _stem(part)) for part in parts if part.model is not None}
    whole = len(parts) == 1 and not options.taps
    with workplace() as folder:
        for part in parts:
            if part.model is not None:
                write_model(part.model, folder / f"{_stem(part)}.onnx")
        jobs = tuple(Job(Path(file).stem, plan, whole) for file, plan in plans.items())
        request = Request(jobs, source, str(package.path), package.digest)
        answer = lower(request, folder, timeout_s) if jobs else Answer()
        plans = {file: filled(plan, folder / Path(file).name) for file, plan in plans.items()}
        prove(package, parts, plans, folder, contract)
        artifact = begin(package, target, out)
        if contract is not None and sizes.exact:
            _keep(contract, out)
        for file in plans:
            shutil.move(folder / Path(file).name, out / file)
        _copy_native(package, parts, out)
    return finish(artifact, engine=_engine(package, parts, plans, answer, options.taps, out), built=_built(answer))


def _copy_native(package: Package, parts: Sequence[Part], out: Path) -> None:
    for part in parts:
        if part.copied is not None:
            shutil.copyfile(package.path / part.copied, out / part.spec.file)


def _keep(contract: Contract, out: Path) -> None:
    """Golden rows of sizes that the artifact does not answer stay in the package."""
    for file, data in zip((CONTRACT, CONTRACT_TENSORS), contract.to_bytes(), strict=True):
        (out / file).write_bytes(data)


def _engine(package: Package, parts: Sequence[Part], plans: Mapping[str, Plan], answer: Answer, taps: Sequence[str],
            out: Path) -> dict[str, Any]:  # fmt: skip
    native = {part.spec.file: part.spec.plan for part in parts if part.copied is not None}
    return {
        "segments": [replace(part.spec, plan=None).to_dict() for part in parts],
        "plans": {file: plan.to_dict() for file, plan in plans.items()} | native,
        "source": dict(zip(plans, answer.sources, strict=True)) | dict.fromkeys(native, "given"),
        "source_notes": {file: note for file, note in zip(plans, answer.notes, strict=True) if note},
        "taps": {tap: list(package.content.boundaries[tap]) for tap in taps},
        "weights_bytes": weights_bytes(out / file for file in (*plans, *native)),
    }


def _built(answer: Answer) -> dict[str, Any]:
    built = built_on("onnx", "onnxruntime")
    return {**built, "versions": {**built["versions"], **answer.versions}}


def _source(extra: Mapping[str, Any]) -> Any:
    source = extra.get("source", "auto")
    if source not in SOURCES:
        raise UnsupportedError("The option source has no such value", got=source, expected=", ".join(SOURCES))
    return source


def _timeout_s(extra: Mapping[str, Any]) -> float:
    timeout_s = extra.get("timeout_s", TIMEOUT_S)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
        raise UnsupportedError("The option timeout_s is not a time", got=timeout_s, expected="seconds, more than 0")
    return float(timeout_s)


def _stem(part: Part) -> str:
    return Path(part.spec.file).stem


def _renamed(part: Part) -> Part:
    """An ONNX segment as the TFLite segment that it becomes."""
    if part.model is None:
        return part
    spec = part.spec
    return Part(SegmentSpec("tflite", str(Path(spec.file).with_suffix(".tflite")), spec.inputs, spec.outputs), part.model)

