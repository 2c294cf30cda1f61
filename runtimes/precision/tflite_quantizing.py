"""Quantize a float `.tflite` file as a PrecisionPlan asks, with ai-edge-quantizer, in the child process that lowered it.

What cannot be done is left in float and named; what was done is read from the file that came out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import quantizer, recipe_manager

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.package import Package
from ...sdk.core.plan import Precision, PrecisionPlan, Range, plan_of
from ..onnx_weights import read_graph
from ..tflite.plan import Plan
from ..tflite.request import LOOKS, LOSSY, ROWS, Job
from .tflite_biases import roomy
from .tflite_fingerprints import Fingerprint, onnx_fingerprints
from .tflite_looks import Looks, read_looks
from .tflite_mapping import Placed, place
from .tflite_operators import Operator, operators, precisions
from .tflite_planned import in_file, planned
from .tflite_ranges import Known, Rows, ranges_of
from .tflite_recipe import Told, between, config, recipe
from .tflite_rows import Feeds, read_rows
from .tflite_sharing import shared


@dataclass(frozen=True)
class Lowered:
    """What became of a plan in one file.

    Attributes:
        asked, achieved: precision class -> nodes with weights; `achieved` from the dtypes in the file.
        kept: node id -> why it stayed in float.
        notes: what else is worth knowing.
    """

    asked: Mapping[str, int]
    achieved: Mapping[str, int]
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "notes": list(self.notes)}


def quantize_job(job: Job, package: Package, folder: Path) -> Lowered:
    """Write a job's lossy file beside its float one in the folder of a request. Raises UnsupportedError."""
    calls, looks = read_rows(folder / f"{job.stem}{ROWS}"), read_looks(folder / f"{job.stem}{LOOKS}")
    files = (folder / f"{job.stem}{ending}" for ending in (".tflite", LOSSY))
    try:
        return quantize(next(files), job.plan, plan_of(package.content.plan), package, job.stages, calls, next(files), looks)
    except (ValueError, RuntimeError, KeyError, TypeError, IndexError, NotImplementedError) as error:  # what the quantizer raises
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise UnsupportedError(f"The quantizer cannot lower the precision of the segment {job.stem!r}", got=said,
                               fix="Keep layers in float: plan.keep({id: why}), or take another class for them.") from error  # fmt: skip


def quantize(file: Path, rim: Plan, wanted: PrecisionPlan, package: Package, stages: Sequence[str], calls: Sequence[Feeds],
             out: Path, looks: Looks | None = None) -> Lowered:  # fmt: skip
    """Write the file `out`: `file` with the precision that `wanted` asks for.

    Args:
        file: a float model; every graph of it belongs to a signature.
        rim: its tensors and signatures.
        wanted: ids are "stage/node".
        package: holds the graphs that the ids come from.
        stages: graph stages that became this file, in order.
        calls: golden rows at the file's rim, by value names; used where something is static.
        out: written; equal to `file` where nothing could be done.
        looks: of the plan's values on these rows; tensors that look the same take the plan's ranges.

    Raises UnsupportedError where static nodes have no calibration rows, or the quantizer fails.
    """
    nodes: dict[str, Precision] = {
        name: held for name, held in wanted.nodes.items() if held != "float32" and name.partition("/")[0] in stages
    }
    program, graphs = _program(package, stages, wanted), operators(file)
    prints = program.prints
    bare = [name for name in nodes if name in program.known and name not in prints]
    lost = {name: "the program has no such node" for name in nodes if name not in program.known}
    weighted: dict[str, Precision] = {name: held for name, held in nodes.items() if name in prints}
    placed = place(weighted, list(prints.values()), graphs)
    chosen, refused = _chosen(weighted, placed, wanted.per_channel)
    chosen |= _following(graphs, weighted, placed, chosen, wanted.per_channel)
    model, names = _named(file)
    told = recipe({names[key]: held for key, held in chosen.items()})
    known = Known()
    if told and _needs_ranges(told):
        known = ranges_of(model, rim, graphs, Rows(calls, looks or {}, wanted.ranges), in_file(placed, prints, program.ranges))
    static = _static(graphs, chosen, weighted, placed)
    ranges = {**known.ranges, **roomy(model, static, known.ranges, wanted.per_channel)}
    out.write_bytes(_quantized(model, told, ranges or None) if told else file.read_bytes())
    kept = {**wanted.kept, **lost, **placed.missing, **refused}
    done = _read(out, placed, names)
    kept |= {name: "the quantizer left it as it was" for name in placed.operators if done[name] == "float32" and name not in kept}
    golden = known.golden & {f"0/{value}" for one in static if one.graph == 0 for value in (*one.reads, *one.makes)}
    return Lowered(dict(Counter(weighted.values())), dict(Counter(done.values())), kept, _notes(bare, placed, len(golden)))


@dataclass(frozen=True)
class _Program:
    """What the plan's ids refer to: fingerprint of every node with weights, ids of all nodes, ranges that the plan has for a node."""

    prints: Mapping[str, Fingerprint]
    known: frozenset[str]
    ranges: Mapping[str, tuple[Range | None, Range | None]]


def _program(package: Package, stages: Sequence[str], wanted: PrecisionPlan) -> _Program:
    prints: dict[str, Fingerprint] = {}
    known: set[str] = set()
    ranges: dict[str, tuple[Range | None, Range | None]] = {}
    for stage in package.content.stages:
        if stage.kind == "graph" and stage.name in stages:
            graph = read_graph(package, stage).graph
            known.update(f"{stage.name}/{node.name}" for node in graph.node)
            prints |= {f"{stage.name}/{one.name}": replace(one, name=f"{stage.name}/{one.name}") for one in onnx_fingerprints(graph)}
            ranges |= planned(graph, stage.name, wanted.ranges)
    return _Program(prints, frozenset(known), ranges)


Key = tuple[int, int]
"""Graph and place of an operator."""


def _chosen(weighted: Mapping[str, Precision], placed: Placed, per_channel: bool) -> tuple[dict[Key, Told], dict[str, str]]:
    """(operator -> what it is told, node -> why the quantizer has nothing for it)."""
    chosen: dict[Key, Told] = {}
    refused: dict[str, str] = {}
    for name, found in placed.operators.items():
        try:
            told = [config(weighted[name], one.kind, one.print.size if one.print else None, per_channel) for one in found]
        except ValueError as error:
            refused[name] = str(error)
        else:
            chosen |= {(one.graph, one.place): held for one, held in zip(found, told, strict=True)}
    return chosen, refused


def _following(graphs: Sequence[Sequence[Operator]], weighted: Mapping[str, Precision], placed: Placed, chosen: Mapping[Key, Any],
               per_channel: bool) -> dict[Key, Told]:  # fmt: skip
    """Operators between static ones, told to be static too."""
    static = {(one.graph, one.place) for name, found in placed.operators.items() if weighted[name] == "int8-static" for one in found}
    followers: dict[Key, Told] = {}
    for index, graph in enumerate(graphs):
        kinds = {one.place: one.kind for one in graph}
        for at in between(graph, [where for held, where in static & set(chosen) if held == index]):
            followers[index, at] = config("int8-static", kinds[at], None, per_channel)
    return followers


def _named(file: Path) -> tuple[bytes, dict[Key, str]]:
    """The model with every tensor's name its own, and the name of each operator's first output.

    The quantizer finds operators and tensors by name, and the converter's names are neither short nor unique.
    """
    model: Any = flatbuffer_utils.read_model_from_bytearray(file.read_bytes())
    names: dict[Key, str] = {}
    for index, graph in enumerate(model.subgraphs):
        for place_, tensor in enumerate(graph.tensors):
            tensor.name = f"{index}/{place_}".encode()
        names |= {(index, at): f"{index}/{held.outputs[0]}" for at, held in enumerate(graph.operators) if len(held.outputs)}
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), names


def _quantized(model: bytes, told: list[dict[str, Any]], ranges: dict[str, Any] | None) -> bytes:
    """The quantizer's file."""
    made = quantizer.Quantizer(model, told).quantize(ranges, enable_progress_bar=False, enable_progress_report=False).quantized_model
    if made is None:
        raise UnsupportedError("The quantizer made no file", got=f"a recipe of {len(told)} entries")
    return shared(bytes(made))


def _needs_ranges(told: list[dict[str, Any]]) -> bool:
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(told)
    return bool(manager.need_calibration())


def _read(file: Path, placed: Placed, names: Mapping[Key, str]) -> dict[str, Precision]:
    """Node -> the precision that the file gives it; float32 where its signatures differ."""
    found = precisions(file)
    done: dict[str, Precision] = {}
    for name, ones in placed.operators.items():
        kinds: set[Precision] = {found.get(names[one.graph, one.place], "float32") for one in ones}
        done[name] = kinds.pop() if len(kinds) == 1 else "float32"
    return done


def _static(graphs: Sequence[Sequence[Operator]], chosen: Iterable[Key], weighted: Mapping[str, Precision],
            placed: Placed) -> list[Operator]:  # fmt: skip
    """The operators that become static, those without weights too."""
    other = {(one.graph, one.place) for name, found in placed.operators.items() if weighted[name] != "int8-static" for one in found}
    static = set(chosen) - other
    return [one for graph in graphs for one in graph if (one.graph, one.place) in static]


def _notes(bare: Iterable[str], placed: Placed, golden: int) -> list[str]:
    notes: list[str] = []
    if count := len(list(bare)):
        notes.append(f"{count} nodes without weights follow their neighbours")
    if placed.guessed:
        notes.append(f"found by size and order alone: {', '.join(placed.guessed)}")
    if golden:
        notes.append(f"{golden} values that the plan has no range of take the range of the golden rows")
    return notes
