"""Package -> segments: consecutive graph and trees stages become one ONNX model, host and native stages stand between.

Trees are lowered to `ai.onnx.ml` unless a target brings a lowering of its own; `taps` turn the inner values of a boundary into
optional outputs. Importing this file imports onnx: compile does, load does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeAlias

from onnx import ModelProto

from ..sdk.core.errors import UnsupportedError
from ..sdk.core.manifest import Stage
from ..sdk.core.package import Package
from .onnx_extract import merge, value_types
from .onnx_weights import read_graph
from .segments import SegmentSpec, stage_segment
from .tree_stage import read_trees
from .trees import Trees
from .trees_onnx import to_onnx

LowerTrees: TypeAlias = Callable[[Trees, str, str], ModelProto]
"""Ensemble, name of its input, name of its result -> a model; inner names start with the result and a slash."""
LowerStage: TypeAlias = Callable[[str, ModelProto], ModelProto]
"""A graph stage's name and float model -> the model in the precision that it is to have."""


@dataclass(frozen=True)
class Part:
    """A segment before it is written.

    Attributes:
        spec: its description.
        model: of an "onnx" segment; None for host and native ones, whose file is copied from the package.
        copied: native ones: the file's place in the package.
    """

    spec: SegmentSpec
    model: ModelProto | None = None
    copied: str | None = None


def assemble(package: Package, target: str, taps: Sequence[str] = (), trees: LowerTrees = to_onnx,
             precision: LowerStage | None = None) -> list[Part]:  # fmt: skip
    """The package's program as the fewest segments.

    Args:
        package: audited.
        target: refuses stages that are restricted to other targets.
        taps: boundaries whose values become outputs of their segment.
        trees: how ensembles are lowered.
        precision: what becomes of each graph stage before it is merged; None: float as it is.

    Raises:
        UnsupportedError: a stage cannot run on the target, or a boundary does not exist.
        FormatError: stages that do not fit together.
    """
    content = package.content
    check_stages(content.stages, target)
    tapped = tap_values(package, taps)
    lower = Lowering(package, tapped, trees, precision)
    groups = [(alone, list(stages)) for alone, stages in groupby(content.stages, key=lambda stage: stage.kind in ("host", "native"))]
    parts: list[Part] = []
    for index, (alone, stages) in enumerate(groups):
        later = {name for _, rest in groups[index + 1 :] for stage in rest for name in stage.inputs}
        wanted = later | {spec.name for spec in content.signature.outputs} | tapped
        parts += [_alone(stage) for stage in stages] if alone else [_merged(lower, stages, wanted, len(parts))]
    return parts


def tap_values(package: Package, taps: Iterable[str]) -> set[str]:
    """Names of the values of these boundaries. Raises UnsupportedError for a boundary that the program does not have."""
    boundaries = package.content.boundaries
    for tap in taps:
        if tap not in boundaries:
            raise UnsupportedError(f"The program has no boundary {tap!r}", expected=", ".join(boundaries) or "none")
    return {name for tap in taps for name in boundaries[tap]}


def check_stages(stages: Iterable[Stage], target: str) -> None:
    """Raise UnsupportedError for a stage that is restricted to other targets."""
    for stage in stages:
        if stage.only and target not in stage.only:
            raise UnsupportedError(f"The stage {stage.name!r} cannot run on {target}", got=stage.note, expected=", ".join(stage.only))


def lowered(package: Package, stage: Stage, trees: LowerTrees = to_onnx) -> ModelProto:
    """The ONNX model of a graph or trees stage, weights inside."""
    if stage.kind == "graph":
        return read_graph(package, stage)
    return trees(read_trees(package.read, stage.file), stage.inputs[0], stage.outputs[0])


def promote(model: ModelProto, names: Iterable[str]) -> ModelProto:
    """The model with those of `names` that it makes inside as further outputs."""
    made = {name for node in model.graph.node for name in node.output}
    out = {value.name for value in model.graph.output}
    if inner := sorted(made.intersection(names) - out):
        types = value_types(model, inner)
        model.graph.output.extend(types[name] for name in inner)
    return model


def _alone(stage: Stage) -> Part:
    """A host stage where it stands, or a native file on its way to the engine's folder."""
    spec = stage_segment(stage, stage.file)
    if stage.kind == "host":
        return Part(spec)
    return Part(replace(spec, file=stage.file.replace("program/", "engine/", 1)), copied=stage.file)


@dataclass(frozen=True)
class Lowering:
    """How stages become models; see `assemble`."""

    package: Package
    tapped: set[str]
    trees: LowerTrees
    precision: LowerStage | None

    def model(self, stage: Stage) -> ModelProto:
        """The stage in its precision, tapped values among its outputs."""
        made = promote(lowered(self.package, stage, self.trees), self.tapped)
        return made if self.precision is None or stage.kind != "graph" else self.precision(stage.name, made)


def _merged(lower: Lowering, stages: Sequence[Stage], wanted: set[str], index: int) -> Part:
    models = [lower.model(stage) for stage in stages]
    made = [value.name for model in models for value in model.graph.output]
    whole = merge(models, [name for name in dict.fromkeys(made) if name in wanted])
    spec = SegmentSpec(
        "onnx", f"engine/{index:02d}-{stages[0].name}.onnx",
        tuple(value.name for value in whole.graph.input), tuple(value.name for value in whole.graph.output),
    )  # fmt: skip
    return Part(spec, whole)
