"""A traced graph with tree ensembles in it as a program of up to three stages: featurize, trees, predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import ModelProto

from ...sdk.core.errors import FormatError
from ...sdk.core.manifest import Stage
from ..onnx_split import OpaquePart, Part, split
from ..onnx_weights import TensorPart, pack_files, stage_file
from ..trees import Trees


def stages_of(
    model: ModelProto, held: Mapping[str, object], only: tuple[str, ...] = (), note: str | None = None
) -> tuple[tuple[Stage, ...], dict[str, bytes]]:
    """Cut the graph at its ensembles.

    Args:
        model: the traced graph.
        held: handle -> ensemble.
        only: targets that can run the graphs, where not all can.
        note: why.

    Returns:
        The stages in order, and the files of the program.
    """
    parts = split(model)
    names = _names(parts)
    contents = [(name, _content(part, held)) for name, part in zip(names, parts, strict=True)]
    stages = [_stage(index, name, part, only, note) for index, (name, part) in enumerate(zip(names, parts, strict=True))]
    return tuple(stages), pack_files(contents)


def _content(part: Part, held: Mapping[str, object]) -> ModelProto | TensorPart:
    if isinstance(part, ModelProto):
        return part
    trees = held[part.handle]
    if not isinstance(trees, Trees):
        raise FormatError("An opaque node does not stand for trees", got=part.op)
    return TensorPart(trees.to_dict(), trees.to_tensors())


def _stage(index: int, name: str, part: Part, only: tuple[str, ...], note: str | None) -> Stage:
    if isinstance(part, OpaquePart):
        return Stage("trees", name, stage_file(index, name, "trees.json"), part.inputs, part.outputs)
    inputs = tuple(value.name for value in part.graph.input)
    outputs = tuple(value.name for value in part.graph.output)
    return Stage("graph", name, stage_file(index, name, "onnx"), inputs, outputs, only=only, note=note)


def _names(parts: Sequence[Part]) -> list[str]:
    """featurize before the first ensemble, predict after the last; "main" where there is none; numbered where repeated."""
    trees = [index for index, part in enumerate(parts) if isinstance(part, OpaquePart)]
    if not trees:
        return ["main"] * len(parts)
    plain = ["trees" if index in trees else "featurize" if index < trees[0] else "predict" if index > trees[-1] else "between"
             for index in range(len(parts))]  # fmt: skip
    return [name if plain.count(name) == 1 else f"{name}-{plain[:index].count(name)}" for index, name in enumerate(plain)]
