"""A program whose numbers a pass changed, as a package: its own answers become its contract, on the parent's golden rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..runtimes.contracting import Sample, Source, build, narrowed
from ..runtimes.onnx_weights import Part, TensorPart, pack_files, read_graph, read_tensors, stage_file
from ..runtimes.reference import Reference
from ..runtimes.subjects import contract_of
from ..sdk.core.contract import Contract
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Content, Stage
from ..sdk.core.package import Package, write
from ..sdk.core.signature import NUMPY, Signature
from ..sdk.core.temporary import temporary_folder
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
    stages, program = _program(package, parts)
    native = {name: package.read(name) for name in _untouched(package)}
    return proven(package, replace(package.content, stages=stages), {**native, **program}, step, context, _itself)


def proven(package: Package, content: Content, program: Mapping[str, bytes], step: Mapping[str, Any], context: PassContext,
           source: Callable[[Package], AbstractContextManager[Source]], inner: Source | None = None,
           notes: Mapping[str, bytes] | None = None, limits: Mapping[str, Mapping[str, float]] | None = None) -> Package:  # fmt: skip
    """Derive a package of another program, with a contract of its own on the parent's golden rows.

    Args:
        package: the parent; its codec, profile, tolerances and expectations stay.
        content: what the child states.
        program: path -> bytes of the program, and of what else differs from the parent's files.
        step: the pass as data.
        context: where the package goes.
        source: draft of the child -> what its program must answer like.
        inner: the source's values at the boundaries, to name the stage at fault.
        notes: annotation files.
        limits: output -> tolerances of the child that are not the parent's.

    Raises ContractError where the program does not answer like its source.
    """
    held = contract_of(package)
    files = {name: package.read(name) for name in package.content.files if not name.startswith("program/")}
    known = {name: {**rule.limits, **(limits or {}).get(name, {})} for name, rule in held.rules.items()}
    without = {name: data for name, data in files.items() if not name.startswith("contract/")}
    with temporary_folder("portside-proven-") as work:
        draft = write(replace(content, files={}), {**without, **program}, work / "draft", trusted=package.trusted)
        with source(draft) as answers:
            contract = build(draft, answers, sample_of(package.signature, held), limits=known, licence=held.licence,
                             shareable=held.shareable, inner=inner)  # fmt: skip
    head, tensors = contract.to_bytes()
    return child(package, content, step, {**files, **program, CONTRACT: head, CONTRACT_TENSORS: tensors}, context.out, notes)


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


@contextmanager
def _itself(draft: Package) -> Generator[Source]:
    """The draft's own answers: nothing else knows what its numbers mean now."""
    session = Reference().open(draft)
    try:
        yield lambda inputs: session.run(narrowed(draft.signature, inputs))
    finally:
        session.close()
