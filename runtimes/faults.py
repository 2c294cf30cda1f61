"""Where a program parts from its source: the output, the example, how far, and the first stage whose values differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..sdk.core.contract import Case
from ..sdk.core.decisions import Judgement
from ..sdk.core.distances import gaps
from ..sdk.core.errors import ContractError
from ..sdk.core.manifest import Stage
from ..sdk.core.package import Package
from ..sdk.core.signature import Array
from .assemble import promote
from .fidelity import Fidelity, OutputCheck
from .firm import tolerance
from .onnx_engine import OnnxEngine
from .onnx_weights import read_graph
from .opening import open_segments
from .report import Report, TargetReport
from .segments import EngineOptions, Segment, stage_segment
from .session import ProgramSession, describe

Inner = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Typed tensors -> the source's values at the boundaries, by the names in the manifest."""
_STAGES = {"features": "featurize", "model": "the model"}


def refusal(package: Package, found: Fidelity, cases: Sequence[Case], inner: Inner | None = None) -> ContractError:
    """The error for a program that disagrees with its source."""
    report = Report(package.name, package.digest, (TargetReport("reference", found),))
    if found.fault:
        return ContractError(f"The program fails where its source answers, in {found.fault}", report=report, fix=_fault_advice(found.fault))
    check = next(check for check in found.checks if check.judgement.verdict == "failed")
    where = stage_at_fault(package, _case_of(check, cases), inner)
    return ContractError(f"The program does not answer like its source: {sentence(check)}{where}", report=report,
                         fix=_advice(check, check.worst.why if check.worst else ""))  # fmt: skip


def sentence(check: OutputCheck) -> str:
    """One output's fault in words."""
    held: Judgement = check.judgement
    text = f"output {check.output!r} ({held.kind}), {held.note}"
    if check.worst is None:
        return text
    far = "" if held.kind in ("decision", "ranking") else f", off by {held.max_abs:.3g} where {held.limit:.3g} is allowed"
    place = f"case {check.worst.case} row {check.worst.row}, chosen for {check.worst.why or 'nothing'}"
    return f"{text}; worst at {place}: the source says {check.worst.reference}, the program {check.worst.got}{far}"


def stage_at_fault(package: Package, case: Case | None, inner: Inner | None) -> str:
    """ " (first seen ...)" naming the first boundary whose values differ; "" where the source's values are not known."""
    if case is None or inner is None or not package.content.boundaries:
        return ""
    ours, theirs = boundary_values(package, case.inputs), inner(case.inputs)
    agreeing: list[str] = []
    for boundary, names in package.content.boundaries.items():
        known = [name for name in names if name in theirs and name in ours]
        if any(not _agree(np.asarray(theirs[name]), ours[name]) for name in known):
            return f" (first seen in the output of {_STAGES.get(boundary, boundary)})"
        agreeing += [_STAGES.get(boundary, boundary)] if known else []
    return f" (first seen after {' and '.join(agreeing)}, whose outputs agree)" if agreeing else ""


def boundary_values(package: Package, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The program's own values at every boundary, on the reference runtime."""
    names = [name for group in package.content.boundaries.values() for name in group]
    info = describe(package.signature, "reference", package.digest, batch_invariant=False, host=False, cancellable=False)
    segments = [_opened(package, stage, names) for stage in package.content.stages]
    session = ProgramSession(info, segments, taps={"all": names})
    try:
        return session.run_tapped(inputs, ["all"])[1]
    finally:
        session.close()


def _opened(package: Package, stage: Stage, names: Sequence[str]) -> Segment:
    options = EngineOptions(threads=1, optimize="none", deterministic=True)
    if stage.kind == "graph":
        return OnnxEngine(promote(read_graph(package, stage), names).SerializeToString(), options)
    return open_segments([stage_segment(stage, stage.file)], package.path, package.trusted, options)[0]


def _agree(reference: Array, got: Array) -> bool:
    if reference.shape != got.shape:
        return False
    if reference.dtype.kind != "f":
        return bool(np.array_equal(reference, got))
    return bool(cast("Any", gaps(reference, got)).max(initial=0.0) <= tolerance(reference))


def _case_of(check: OutputCheck, cases: Sequence[Case]) -> Case | None:
    return cases[check.worst.case] if check.worst is not None else None


def _fault_advice(fault: str) -> str:
    if "(dims" in fault:
        return "A branch on a shape traces for one shape only: write it with tensor operators."
    return "Examples must pass the signature's own ranges and dtypes; otherwise the program itself is at fault."


def _advice(check: OutputCheck, why: str) -> str:
    if why.startswith("dims"):
        return "The program was traced for other sizes: a branch on a shape, or a size that was read as a number, is at fault."
    if why.startswith(("missing", "unknown", "infinite")):
        return "The program treats this value otherwise than the source; edit the signature if callers never send it."
    return f"See error.report; kinds and tolerances of {check.output!r} are editable (kinds=, limits=)."
