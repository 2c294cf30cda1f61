"""Which channels can go, and what goes with them: units and groups of a module, found by walking its traced graph.

A unit is what goes together: a channel of a convolution with the batch norm behind it, the columns of the layers that read it, and its
fellows across a residual addition. A group is units that a layer makes side by side: they are ranked among each other. Units that reach
an output, an input, or an operator whose effect is not known stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..sdk.core.errors import UnsupportedError
from ..sdk.core.signature import Array
from .channel_labels import Axis, Labels
from .channel_rules import Walk, blank, visit

Place = tuple[str, int]
"""A parameter's or buffer's name, and an axis of it."""


@dataclass(frozen=True)
class Member:
    """An axis of a tensor that shrinks with a group.

    Attributes:
        tensor, axis: which.
        units: (size,) int64 place of each index's unit in the group; -1: it is of another group, or stays.
        role: "makes" channels, "reads" them, "scales" them (a batch norm), or just "follows".
    """

    tensor: str
    axis: int
    units: Array
    role: str

    def kept(self, alive: Array) -> Array:
        """(size,) bool: indices that stay where `alive` units do."""
        return (self.units < 0) | alive[self.units]


@dataclass(frozen=True)
class Group:
    """Units that are ranked among each other.

    Attributes:
        size: units.
        width: indices of one unit in the tensors that make it: 1, or a head's width.
        members: axes that shrink.
    """

    size: int
    width: int
    members: tuple[Member, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Modules that make its channels."""
        return tuple(dict.fromkeys(held.tensor.rpartition(".")[0] for held in self.members if held.role == "makes"))


@dataclass(frozen=True)
class Layout:
    """What can go in a module, and what it costs.

    Attributes:
        groups: of units.
        left: layer whose channels stay -> why.
        uses: (weight, positions per row): each of its numbers is multiplied that often.
        sizes: name -> shape of every tensor of the state.
    """

    groups: tuple[Group, ...]
    left: Mapping[str, str]
    uses: tuple[tuple[str, float], ...]
    sizes: Mapping[str, tuple[int, ...]]


def layout(model: nn.Module, features: tuple[Any, ...], keep: Iterable[str] = (), heads: bool = True) -> Layout:
    """The groups of a module.

    Args:
        model: in eval mode.
        features: of a few rows, what it takes.
        keep: names of modules whose channels stay.
        heads: axes that are split into heads lose whole heads; else they stay.

    Raises UnsupportedError where it cannot be traced.
    """
    graph = _exported(model, features)
    state = {name: held for name, held in model.state_dict().items() if isinstance(held, Tensor)}
    walk, axes = Walk(Labels(), heads), dict[str, tuple[Axis, ...]]()
    sources = {**graph.graph_signature.inputs_to_parameters, **graph.graph_signature.inputs_to_buffers}
    for node in graph.graph.nodes:
        if node.op == "placeholder" and (name := sources.get(node.name)) in state:
            axes[name] = tuple(walk.labels.fresh(size) if size > 1 else None for size in state[name].shape)
            walk.held[node], walk.names[node] = axes[name], name
        elif node.op == "call_function":
            walk.held[node] = visit(walk, node)
        elif node.op == "output":
            walk.pin_inputs(node, "it is an output of the model")
        else:
            walk.held[node] = blank(node)
    _pin_fixed(walk, axes, model, set(keep))
    return _grouped(walk, axes, {name: tuple(held.shape) for name, held in state.items()})


def _exported(model: nn.Module, features: tuple[Any, ...]) -> Any:
    try:
        with torch.no_grad():
            found = torch.export.export(model, features, strict=False)
        found.graph.eliminate_dead_code()  # what nobody uses ties nothing: weights of an attention, averaged over heads and dropped
        return found
    except Exception as error:  # whatever torch cannot trace; the message is its own
        raise UnsupportedError("The model cannot be traced, so what depends on a channel is not known",
                               got=f"{type(error).__name__}: {error}"[:300]) from error  # fmt: skip


def _pin_fixed(walk: Walk, axes: Mapping[str, tuple[Axis, ...]], model: nn.Module, keep: set[str]) -> None:
    """Shared tensors, layers that the user keeps, and layers whose sizes `resized` cannot set."""
    known: dict[int, list[str]] = {}
    for name, held in [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]:
        known.setdefault(id(held), []).append(name)
    for names in known.values():
        for name in names if len(names) > 1 else ():
            walk.labels.pin_all(axes.get(name, ()), "its weights are shared")
    for name, axis in walk.producers:
        if name.rpartition(".")[0] in keep:
            walk.labels.pin(axes[name][axis], "asked for")


def _grouped(walk: Walk, axes: Mapping[str, tuple[Axis, ...]], sizes: Mapping[str, tuple[int, ...]]) -> Layout:
    pinned = walk.labels.pinned()
    places: dict[Place, Array] = {(name, axis): walk.labels.roots(held) for name, own in axes.items()
                                  for axis, held in enumerate(own) if held is not None}  # fmt: skip
    made, read = (_labels(places, which) for which in (walk.producers, walk.consumers))
    free = (made & read) - set(pinned)
    groups = [_group(walk, places, units) for units in _connected(places, sorted(walk.producers), free)]
    left = {name.rpartition(".")[0]: next((pinned[root] for root in places[name, axis].tolist() if root in pinned), "nothing reads it")
            for name, axis in sorted(walk.producers) if (name, axis) in places and not free & set(places[name, axis].tolist())}  # fmt: skip
    return Layout(tuple(groups), left, tuple(use for use in walk.uses if use[0]), sizes)


def _labels(places: Mapping[Place, Array], which: Iterable[Place]) -> set[int]:
    return {root for place in which if place in places for root in places[place].tolist()}


def _connected(places: Mapping[Place, Array], made: Iterable[Place], free: set[int]) -> list[list[int]]:
    """Free units that one layer makes, in the order of the model."""
    joined = Labels()
    numbers = dict(zip(sorted(free), joined.fresh(len(free)).tolist(), strict=True))
    for place in made:
        own = [numbers[root] for root in dict.fromkeys(places[place].tolist()) if root in free] if place in places else []
        if own:
            joined.join_within(np.array(own))
    found: dict[int, list[int]] = {}
    for root, number in numbers.items():
        found.setdefault(int(joined.roots(np.array([number]))[0]), []).append(root)
    return list(found.values())


def _group(walk: Walk, places: Mapping[Place, Array], units: list[int]) -> Group:
    number = {root: place for place, root in enumerate(units)}
    members: list[Member] = []
    for (tensor, axis), roots in places.items():
        own = np.array([number.get(root, -1) for root in roots.tolist()], dtype=np.int64)
        if (own >= 0).any():
            role = ("makes" if (tensor, axis) in walk.producers else "reads" if (tensor, axis) in walk.consumers
                    else "scales" if tensor in walk.norms else "follows")  # fmt: skip
            members.append(Member(tensor, axis, own, role))
    width = max(1, *(int(np.bincount(held.units[held.units >= 0]).max()) for held in members if held.role == "makes"))
    return Group(len(units), width, tuple(members))


def remaining(groups: Iterable[Group], alive: Iterable[Array]) -> dict[Place, Array]:
    """(tensor, axis) -> (size,) bool, the indices that stay; one axis may be of several groups, side by side."""
    found: dict[Place, Array] = {}
    for group, own in zip(groups, alive, strict=True):
        for held in group.members:
            place = held.tensor, held.axis
            found[place] = found.get(place, True) & held.kept(own)
    return found


def shrunk(state: Mapping[str, Tensor], groups: Iterable[Group], alive: Iterable[Array]) -> dict[str, Tensor]:
    """A state without the indices of units that go."""
    found = dict(state)
    for (tensor, axis), kept in remaining(groups, alive).items():
        found[tensor] = found[tensor].index_select(axis, torch.from_numpy(np.flatnonzero(kept)))
    return found


def silenced(state: Mapping[str, Tensor], groups: Iterable[Group], alive: Iterable[Array]) -> dict[str, Tensor]:
    """A state of the same shapes in which nothing reads the units that go: what `shrunk` must answer as."""
    found = {name: held.clone() for name, held in state.items()}
    for group, own in zip(groups, alive, strict=True):
        for held in group.members:
            if held.role == "reads":
                index = torch.from_numpy(np.flatnonzero(~held.kept(own)))
                found[held.tensor].index_fill_(held.axis, index, 0.0)
    return found
