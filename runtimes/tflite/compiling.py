"""Package -> artifact of target `tflite`: assemble, choose sizes, lower in a child process, prove every signature, write.

Where the package's PrecisionPlan lowers precision, the float file is proven first, then the lossy one takes its place.

A native `.tflite` file is copied as it is, and a package that holds nothing else needs no converter.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ...sdk.core.contract import Contract
from ...sdk.core.errors import UnsupportedError
from ...sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Stage
from ...sdk.core.package import Package
from ...sdk.core.plan import PrecisionPlan
from ...sdk.core.plan import plan_of as precision_plan_of
from ...sdk.core.signature import Array
from ..artifact import Artifact, begin, finish
from ..assemble import Part, assemble
from ..base import CompileOptions
from ..hardware import built_on
from ..onnx_files import write_model
from ..precision.tflite_looks import Look, looks_of, values_of, write_looks
from ..precision.tflite_pieces import pieces
from ..precision.tflite_rows import calibration_calls, write_rows
from ..segments import SegmentSpec
from .cost import filled
from .flow import flow
from .lowering import TIMEOUT_S, lower, workplace
from .plan import Plan
from .proving import prove
from .request import LOOKS, LOSSY, ROWS, SOURCES, Answer, Job, Request
from .rim import plan_of
from .sizes import answerable, contract_of, sizes_of
from .tree_lowering import lower_trees
from .weights import weights_bytes

NOT_SMOOTHED = "the plan's smoothing is left out: activations are quantized as they are"
"""What an artifact says of a plan that smooths."""


def compile_package(package: Package, target: str, options: CompileOptions, out: Path) -> Artifact:
    """Lower `package` into the new folder `out`.

    Args:
        package: audited.
        target: name of the runtime.
        options: taps, and under `extra` those of `TfliteEdge.options`, by name.
        out: does not exist yet.

    Raises UnsupportedError, MissingExtraError, EngineError; see `TfliteEdge.compile`.
    """
    extra, wanted = options.extra, precision_plan_of(package.content.plan)
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
        stages = graph_stages(package)
        jobs = tuple(Job(Path(file).stem, plan, whole, held, _missing(package, plan))
                     for (file, plan), held in zip(plans.items(), stages, strict=True))  # fmt: skip
        if wanted.lossy:
            _write_calls(package, wanted, parts, plans, contract, folder)
        request = Request(jobs, source, str(package.path), package.digest, wanted.lossy)
        answer = lower(request, folder, timeout_s) if jobs else Answer()
        plans = {file: filled(plan, folder / Path(file).name) for file, plan in plans.items()}
        prove(package, parts, plans, folder, contract)
        if wanted.lossy:
            for job in jobs:
                (folder / f"{job.stem}{LOSSY}").replace(folder / f"{job.stem}.tflite")
            prove(package, parts, plans, folder, contract, lossy=True)
        artifact = begin(package, target, out)
        if contract is not None and sizes.exact:
            _keep(contract, out)
        for file in plans:
            shutil.move(folder / Path(file).name, out / file)
        _copy_native(package, parts, out)
    engine = _engine(package, parts, plans, answer, options.taps, out)
    engine |= {"precision": _precision(package, wanted, answer)} if wanted.lossy else {}
    return finish(artifact, engine=engine, built=_built(answer), lossy=wanted.lossy)


def _missing(package: Package, plan: Plan) -> tuple[str, ...]:
    """Inputs of a segment that may hold NaN: those that the signature says may be missing, and floats that come from other segments."""
    known = {spec.name: spec.missing for spec in package.signature.inputs}
    return tuple(slot.name for slot in plan.inputs if slot.dtype == "f32" and known.get(slot.name, any(known.values())))


def graph_stages(package: Package) -> list[tuple[str, ...]]:
    """Per segment that is lowered, the names of its graph stages, in order: as `assemble` groups them."""
    return [tuple(stage.name for stage in stages if stage.kind == "graph") for stages in _segment_stages(package)]


def _segment_stages(package: Package) -> list[list[Stage]]:
    """Per segment that is lowered, its stages."""
    groups = groupby(package.content.stages, key=lambda stage: stage.kind in ("host", "native"))
    return [list(stages) for alone, stages in groups if not alone]


def _write_calls(package: Package, wanted: PrecisionPlan, parts: Sequence[Part], plans: Mapping[str, Plan], contract: Contract | None,
                 folder: Path) -> None:  # fmt: skip
    """What every segment reads for the calibration rows, and what its values look like then, where something is static."""
    if "int8-static" not in wanted.counts:
        return
    stages = dict(zip(plans, _segment_stages(package), strict=True))
    for part, feeds in flow(package, parts, calibration_calls(package, wanted, contract)):
        file = part.spec.file
        write_rows(feeds, folder / f"{_stem(part)}{ROWS}")
        write_looks(segment_looks(part, plans[file], stages[file], wanted, feeds), folder / f"{_stem(part)}{LOOKS}")


def segment_looks(part: Part, plan: Plan, stages: Sequence[Stage], wanted: PrecisionPlan,
                  calls: Sequence[Mapping[str, Array]]) -> dict[str, dict[str, Look]]:  # fmt: skip
    """Signature -> what the values that the plan has ranges of look like in its first call, cut and padded as the file is called."""
    found: dict[str, dict[str, Look]] = {}
    for key in plan.signatures:
        first = next(pieces(plan, key, calls), None)
        if first is not None and part.model is not None:
            feeds = {slot.name: first[slot.key].astype(calls[0][slot.name].dtype) for slot in plan.inputs}
            found[key] = looks_of(part.model, values_of(stages, wanted.ranges, part.model), feeds)
    return found


def _precision(package: Package, wanted: PrecisionPlan, answer: Answer) -> dict[str, Any]:
    """What became of the plan in all segments: how often which class was asked and achieved, what stayed in float and why."""
    lowered = {name for stages in graph_stages(package) for name in stages}
    outside = {name: "it is in no graph stage that is lowered" for name in wanted.nodes if name.partition("/")[0] not in lowered}
    sums = {side: sum((Counter(held[side]) for held in answer.precision), Counter[str]()) for side in ("asked", "achieved")}
    kept = {**wanted.kept, **outside, **{name: why for held in answer.precision for name, why in held["kept"].items()}}
    notes = [note for held in answer.precision for note in held["notes"]] + ([NOT_SMOOTHED] if wanted.smoothing else [])
    return {**{side: dict(held) for side, held in sums.items()}, "kept": dict(sorted(kept.items())), "notes": notes}


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
