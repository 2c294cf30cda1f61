"""A program whose numbers a pass changed, as a package: its own answers become its contract, on the parent's golden rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..runtimes.contracting import Sample, build, narrowed
from ..runtimes.onnx_weights import Part, TensorPart, pack_files, read_graph, read_tensors, stage_file
from ..runtimes.reference import Reference
from ..runtimes.subjects import contract_of
from ..sdk.core.contract import Contract
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Stage
from ..sdk.core.package import Package, write
from ..sdk.core.signature import NUMPY, Array, Signature
from .base import PassContext
from .derive import child


def retold(package: Package, parts: Mapping[str, TensorPart], step: Mapping[str, Any], context: PassContext) -> Package:
    """Derive a package in which some stages hold other tensors.

    Args:
        package: the parent.
        parts: stage name -> what it holds now.
        step: the pass as data.
        context: where the package goes.

    Raises ContractError where the new program does not answer the same twice.
    """
    held = contract_of(package)
    stages, program = _program(package, parts)
    kept = {name: package.read(name) for name in package.content.files if not name.startswith(("program/", "contract/"))}
    native = {name: package.read(name) for name in _untouched(package)}
    content = replace(package.content, stages=stages)
    with TemporaryDirectory(prefix="portside-retold-") as work:
        draft = write(replace(content, files={}), {**kept, **native, **program}, Path(work) / "draft", trusted=package.trusted)
        contract = _contract(draft, held)
    head, tensors = contract.to_bytes()
    rest = {name: package.read(name) for name in package.content.files if name.startswith("contract/")}
    files = {**kept, **native, **program, **rest, CONTRACT: head, CONTRACT_TENSORS: tensors}
    return child(package, content, step, files, context.out)


def _program(package: Package, parts: Mapping[str, TensorPart]) -> tuple[tuple[Stage, ...], dict[str, bytes]]:
    """Stages with their files, weights written once for all graphs and tensors."""
    contents: list[Part] = []
    stages: list[Stage] = []
    for stage in package.content.stages:
        if stage.kind not in ("graph", "trees"):
            stages.append(stage)
            continue
        part = parts.get(stage.name) or (read_graph(package, stage) if stage.kind == "graph" else TensorPart(*read_tensors(package, stage)))
        suffix = part.suffix if isinstance(part, TensorPart) else "onnx"
        stages.append(replace(stage, file=stage_file(len(contents), stage.name, suffix)))
        contents.append((stage.name, part))
    return tuple(stages), pack_files(contents)


def _untouched(package: Package) -> list[str]:
    """Files of native stages, which are the engine's own."""
    return [stage.file for stage in package.content.stages if stage.kind == "native" and stage.file.startswith("program/")]


def sample_of(signature: Signature, contract: Contract) -> Sample:
    """A contract's first golden case as rows of native dtype."""
    case = contract.cases[0]
    native = {spec.name: NUMPY[spec.dtype] for spec in signature.inputs if spec.dtype != "string"}
    inputs = {name: held.astype(native[name]) if name in native else held for name, held in case.inputs.items()}
    return Sample(inputs, {name: np.asarray(held) for name, held in case.slices.items()})


def _contract(draft: Package, held: Contract) -> Contract:
    """The draft against itself: its reference answers, and the rows on which they are firm."""
    session = Reference().open(draft)

    def source(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return session.run(narrowed(draft.signature, inputs))

    limits = {name: dict(rule.limits) for name, rule in held.rules.items()}
    try:
        return build(draft, source, sample_of(draft.signature, held), limits=limits, licence=held.licence, shareable=held.shareable)
    finally:
        session.close()
