"""Labels of channels through what moves numbers: shapes, pools, means, concatenations, parts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from torch import Tensor
from torch.fx import Node

from .channel_labels import Axis, reshaped
from .channel_walk import Held, Walk, argument, shape_of


def spatial(walk: Walk, node: Node) -> Held:
    """Pools, resizing, padding: axes that keep their size keep their labels."""
    x, before, after = walk.axes(argument(node, 0)), shape_of(argument(node, 0)), shape_of(node)
    out = [axis if one == two and place < 2 else None for place, (axis, one, two) in enumerate(zip(x, before, after, strict=True))]
    walk.labels.pin_all([axis for axis, kept in zip(x, out, strict=True) if kept is None], "it is pooled or padded")
    return tuple(out)


def reduced(walk: Walk, node: Node) -> Held:
    """Means and sums: axes that go must hold no channels."""
    x, sizes, after = walk.axes(argument(node, 0)), shape_of(argument(node, 0)), shape_of(node)
    given = argument(node, 1, "dim")
    over: list[int] = list(range(len(x))) if given is None or given == [] else [given] if isinstance(given, int) else given
    gone = {place % len(x) for place in over}
    walk.labels.pin_all([x[place] for place in gone], "a mean or sum goes over it")
    if len(after) == len(sizes):
        return tuple(None if place in gone else axis for place, axis in enumerate(x))
    return tuple(axis for place, axis in enumerate(x) if place not in gone)


def reshape(walk: Walk, node: Node) -> Held:
    """See `reshaped`."""
    before, after = shape_of(argument(node, 0)), shape_of(node)
    x = walk.axes(argument(node, 0))
    if not walk.heads and len(after) > len(before):
        walk.labels.pin_all([axis for axis in x if axis is not None and len(axis) not in after], "it is split")
    return reshaped(walk.labels, x, before, after)


def permuted(walk: Walk, node: Node) -> Held:
    """Axes change places."""
    x = walk.axes(argument(node, 0))
    order = list(range(len(x)))
    name = str(cast("Any", node.target)._schema.name)
    if name == "aten::permute":
        order = [place % len(x) for place in argument(node, 1, "dims")]
    else:
        one, two = (0, 1) if name == "aten::t" else (argument(node, 1), argument(node, 2))
        order[one], order[two] = order[two], order[one]
    return tuple(x[place] for place in order)


def expanded(walk: Walk, node: Node) -> Held:
    """Axes that are stretched or new have no labels."""
    x, before, after = walk.axes(argument(node, 0)), shape_of(argument(node, 0)), shape_of(node)
    old: list[Axis] = [axis if size == before[place] else None for place, (axis, size) in
                       enumerate(zip(x, after[len(after) - len(x) :], strict=True))]  # fmt: skip
    return (*[None] * (len(after) - len(x)), *old)


def concatenated(walk: Walk, node: Node) -> Held:
    """One behind the other along an axis; the others are joined."""
    parts: list[Node] = argument(node, 0, "tensors")
    place = (argument(node, 1, "dim") or 0) % len(shape_of(node))
    found = list(walk.axes(parts[0]))
    for part in parts[1:]:
        found = [walk.labels.join(one, two) if spot != place else None
                 for spot, (one, two) in enumerate(zip(found, walk.axes(part), strict=True))]  # fmt: skip
    along = [walk.axes(part)[place] for part in parts]
    if all(axis is None for axis in along):
        found[place] = None
        return tuple(found)
    filled = [axis if axis is not None else walk.labels.fresh(shape_of(part)[place]) for axis, part in zip(along, parts, strict=True)]
    for axis, own in zip(along, filled, strict=True):
        if axis is None:
            walk.labels.pin(own, "it is no layer's channel")
    found[place] = np.concatenate(filled)
    return tuple(found)


def chunked(walk: Walk, node: Node) -> Held:
    """Equal parts: an index and its fellows in the other parts stay or go together."""
    x = walk.axes(argument(node, 0))
    place = (argument(node, 2, "dim") or 0) % len(x)
    axis, sizes = x[place], [part.shape[place] for part in cast("list[Tensor]", node.meta["val"])]
    if axis is not None and len(set(sizes)) == 1:
        parts = axis.reshape(len(sizes), -1)
        for fellows in parts.T:
            walk.labels.join_within(fellows)
        return [tuple(part if spot == place else held for spot, held in enumerate(x)) for part in parts]
    walk.labels.pin(axis, "it is cut into parts of unequal size")
    return [tuple(None if spot == place else held for spot, held in enumerate(x)) for _ in sizes]


def cut(walk: Walk, node: Node) -> Held:
    """Slices and choices along an axis, which stays; the other axes go through where their sizes tell which is which."""
    x, before, after = walk.axes(argument(node, 0)), shape_of(argument(node, 0)), shape_of(node)
    place = (argument(node, 1, "dim") or 0) % len(x)
    if before == after:
        return x
    walk.labels.pin(x[place], "a part of it is read")
    if len(after) == len(before):
        return tuple(None if spot == place else axis for spot, axis in enumerate(x))
    return tuple(axis for spot, axis in enumerate(x) if spot != place)
