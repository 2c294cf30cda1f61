"""Cut an ONNX graph at its opaque nodes (`portside.Trees`) into an ordered list of graphs and opaque parts.

Values that a later part reads become outputs of the part that makes them, under their own names, so that a program's
stages can be bound by name. Nodes that need no opaque result come first, in one graph; then all opaque nodes that are
ready; then what they make possible; and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from onnx import ModelProto, NodeProto

from .onnx_extract import extract, reads

DOMAIN = "portside"
"""Operator domain of opaque nodes; no package file ever holds a node of it."""


@dataclass(frozen=True)
class OpaquePart:
    """One opaque node: operator name, handle of the thing it stands for, and the values it reads and writes."""

    op: str
    handle: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


Part: TypeAlias = ModelProto | OpaquePart


def opaque_parts(model: ModelProto) -> list[OpaquePart]:
    """The opaque nodes of a graph, in order."""
    return [_opaque(node) for node in model.graph.node if node.domain == DOMAIN]


def split(model: ModelProto) -> list[Part]:
    """The graph as parts in the order in which they run. A graph without opaque nodes is one part: itself.

    Args:
        model: shape-inferred, so that every value that crosses a cut has a type in `value_info`.
    """
    if not opaque_parts(model):
        return [model]
    groups = _groups(model)
    parts: list[Part] = []
    for index, nodes in enumerate(groups):
        if nodes and nodes[0].domain == DOMAIN:
            parts += [_opaque(node) for node in nodes]
        elif outputs := _read_later(model, nodes, groups[index + 1 :]):
            constants = {tensor.name for tensor in model.graph.initializer}
            parts.append(extract(model, _entering(nodes, constants), outputs))
    return parts


def _groups(model: ModelProto) -> list[list[NodeProto]]:
    """Graph nodes and opaque nodes in turns; a group reads only earlier groups."""
    waiting = list(model.graph.node)
    made = {value.name for value in (*model.graph.input, *model.graph.initializer)}
    groups: list[list[NodeProto]] = []
    opaque = False
    while waiting:
        group = list(_ready(waiting, made, opaque))
        taken = {id(node) for node in group}
        waiting = [node for node in waiting if id(node) not in taken]
        made |= {name for node in group for name in node.output}
        groups.append(group)
        opaque = not opaque
    return groups


def _ready(waiting: Sequence[NodeProto], made: set[str], opaque: bool) -> Iterable[NodeProto]:
    """The nodes of one kind that can run now; graph nodes may read each other, opaque ones may not."""
    known = set(made)
    for node in waiting:
        if (node.domain == DOMAIN) == opaque and all(name in known for name in reads(node)):
            if not opaque:
                known.update(node.output)
            yield node


def _entering(nodes: Sequence[NodeProto], constants: set[str]) -> list[str]:
    made = constants | {name for node in nodes for name in node.output}
    return list(dict.fromkeys(name for node in nodes for name in reads(node) if name not in made))


def _read_later(model: ModelProto, nodes: Sequence[NodeProto], later: Sequence[Sequence[NodeProto]]) -> list[str]:
    wanted = {name for group in later for node in group for name in reads(node)} | {value.name for value in model.graph.output}
    return [name for node in nodes for name in node.output if name in wanted]


def _opaque(node: NodeProto) -> OpaquePart:
    handle = next(attribute.s.decode() for attribute in node.attribute if attribute.name == "handle")
    return OpaquePart(node.op_type, handle, tuple(node.input), tuple(node.output))
