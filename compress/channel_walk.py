"""The walk over a traced graph: labels of every value, and what its operators said of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np
from torch import Tensor
from torch.fx import Node

from .channel_labels import Axes, Axis, Labels

Held: TypeAlias = "Axes | list[Held]"
"""Axes of a node's tensor, or of each of its tensors."""


@dataclass
class Walk:
    """Labels of every value of a traced graph, filled in its order.

    Attributes:
        labels: of all indices.
        held: node -> axes.
        names: node -> name of the parameter or buffer that it is.
        heads: an axis that is split keeps labels on its outer part; else it is pinned.
        producers, consumers: (parameter, axis) that makes channels, or reads them.
        norms: scales of batch norms.
        uses: (weight, outputs per row) of every product.
    """

    labels: Labels
    heads: bool = True
    held: dict[Node, Held] = field(default_factory=dict[Node, Held])
    names: dict[Node, str] = field(default_factory=dict[Node, str])
    producers: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    consumers: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    norms: set[str] = field(default_factory=set[str])
    uses: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def axes(self, value: object) -> Axes:
        """Of an argument; a number has none."""
        return cast("Axes", self.held.get(value, ())) if isinstance(value, Node) else ()

    def product(self, weight: object, out: int, into: int, node: Node) -> None:
        """A parameter makes channels along `out` and reads them along `into`, at each place of a node with its first axis as channels."""
        if isinstance(weight, Node) and weight in self.names:
            name = self.names[weight]
            self.producers.add((name, out))
            self.consumers.add((name, into))
            self.uses.append((name, numbers_of(node) / (shape_of(node)[0] * shape_of(weight)[0])))

    def pin_inputs(self, node: Node, why: str) -> None:
        """Everything that a node reads stays."""
        for source in node.all_input_nodes:
            self.pin_tree(self.held.get(source, ()), why)

    def pin_tree(self, held: Held, why: str) -> None:
        """All axes of a value, or of several, stay."""
        if isinstance(held, list):
            for part in held:
                self.pin_tree(part, why)
        else:
            self.labels.pin_all(held, why)

    def meet(self, one: Axis, other: Axis) -> Axis:
        """Join what a layer reads with the axis of its weight."""
        return self.labels.join(one, other, "its input has a fixed size")


Rule: TypeAlias = Callable[[Walk, Node], "Held"]


def blank(node: Node) -> Held:
    """No labels."""
    value = node.meta.get("val")
    if isinstance(value, list | tuple):
        return [(None,) * part.ndim if isinstance(part, Tensor) else () for part in cast("Sequence[object]", value)]
    return (None,) * value.ndim if isinstance(value, Tensor) else ()


def shape_of(node: object) -> tuple[int, ...]:
    """Of a node's tensor; () for what has none."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    return tuple(int(size) for size in value.shape) if isinstance(value, Tensor) else ()


def numbers_of(node: Node) -> int:
    """How many numbers a node's tensor holds."""
    return int(np.prod(shape_of(node)))


def argument(node: Node, place: int, name: str = "") -> Any:
    """An argument by place or name; None: it was not given."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)
