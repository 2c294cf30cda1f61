"""A trained module back into a package: traced like its parent, with a contract of its own on the parent's golden rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ...runtimes.importers.program import ImportOptions
from ...runtimes.importers.torch_module import run
from ...runtimes.subjects import contract_of
from ...sdk.core.errors import ContractError, InputError, UnsupportedError
from ...sdk.core.package import Package
from ...sdk.core.signature import Array, Signature
from ..base import PassContext
from ..derive import EXPORTED
from ..retold import proven, sample_of
from .rounding import rounding_limits
from .stored import Trainee, changed
from .structure import Edit


@dataclass(frozen=True)
class _Largest:
    max: tuple[int, int]


def repacked(package: Package, trainee: Trainee, step: Mapping[str, Any], context: PassContext, edits: Sequence[Edit] = (),
             notes: Mapping[str, bytes] | None = None) -> Package:  # fmt: skip
    """The package of a changed model: derived from `package`, same inputs and outputs, a program and a contract of its own.

    Args:
        package: the parent.
        trainee: its module after the pass.
        step: the pass as data.
        context: where the package goes.
        edits: what the pass changed beside sizes of layers.
        notes: annotation files, e.g. the pass's report.

    Raises:
        TraceError, ContractError: as `pack` does.
        InputError: the package has a PrecisionPlan already.
        UnsupportedError: the model's inputs or outputs are others than they were.
    """
    require_float(package)
    sample = sample_of(package.signature, contract_of(package))
    program = run(trainee.model, _options(package, trainee, sample.inputs))
    content = replace(package.content, signature=_same(package.signature, program.signature), stages=program.stages,
                      boundaries=program.boundaries)  # fmt: skip
    exported = {EXPORTED: data} if (data := program.annotation_files.get(EXPORTED)) else {}

    def made(limits: Mapping[str, Mapping[str, float]] | None = None) -> Package:
        return proven(package, content, {**program.files, **changed(trainee, edits)}, step, context,
                      lambda draft: nullcontext(program.source), program.inner, {**exported, **(notes or {})}, limits)  # fmt: skip

    try:
        return made()
    except ContractError as error:  # a training of hours is not lost to the last bits of a sum
        if not (limits := rounding_limits(error, package.signature, program.source, sample.inputs)):
            raise
        return made(limits)


def require_float(package: Package) -> None:
    """Raises InputError where the package has a PrecisionPlan: passes that train ask before they begin."""
    if package.content.plan is not None:
        raise lowered_before(package.name)


def lowered_before(name: str) -> InputError:
    """The refusal of a pass that trains behind one that lowers precision."""
    return InputError("Precision was lowered before training", got=name,
                      fix="Put passes that train before `quantize` in the recipe, or start from the float package.")  # fmt: skip


def require_traceable(package: Package) -> None:
    """Raises UnsupportedError for a program with parts that are no torch operations."""
    if any(stage.kind == "host" for stage in package.content.stages):
        raise UnsupportedError("A package with a host stage cannot be traced again", got=", ".join(package.trust_needed()),
                               fix="Do in torch operations what the host function does.")  # fmt: skip


def _options(package: Package, trainee: Trainee, inputs: Mapping[str, Array]) -> ImportOptions:
    require_traceable(package)
    setup = trainee.setup
    image = {name: _Largest(size) for name, size in setup.image.items()}
    return ImportOptions(examples=inputs, featurize=trainee.featurize, predict=trainee.predict, dynamic=setup.dynamic, image=image)


def _same(parent: Signature, found: Signature) -> Signature:
    """The parent's signature, with the user's edits and kinds, if the model still has these inputs and outputs."""
    for one, two in zip((*parent.inputs, *parent.outputs), (*found.inputs, *found.outputs), strict=False):
        if (one.name, one.dtype, len(one.shape)) != (two.name, two.dtype, len(two.shape)):
            raise UnsupportedError("After the pass the model has another signature", got=f"{two.name}: {two.dtype} {two.shape}",
                                   expected=f"{one.name}: {one.dtype} {one.shape}")  # fmt: skip
    if len(parent.inputs) != len(found.inputs) or len(parent.outputs) != len(found.outputs):
        raise UnsupportedError("After the pass the model has other inputs or outputs", got=str(found)[:120])
    return parent


