"""Labels of channels through layers: convolutions, linear layers, norms, products of activations."""

from __future__ import annotations

from torch.fx import Node

from .channel_labels import Axis
from .channel_walk import Held, Walk, argument, blank, numbers_of, shape_of


def convolution(walk: Walk, node: Node) -> Held:
    """Channels in by the weight's second axis, out by its first; one axis for both where it is depthwise."""
    x, w, b = (walk.axes(argument(node, place)) for place in range(3))
    channel, sizes, groups = len(x) - len(w) + 1, shape_of(argument(node, 1)), argument(node, 6, "groups") or 1
    walk.labels.pin_all(w[2:], "a kernel keeps its size")
    out: list[Axis] = [None] * len(x)
    if groups == 1:
        walk.meet(x[channel], w[1])
        out[channel] = w[0]
        walk.product(argument(node, 1), 0, 1, node)
    elif groups == sizes[0] == shape_of(argument(node, 0))[channel]:
        out[channel] = walk.meet(x[channel], w[0])
        walk.uses.append((walk.names.get(argument(node, 1), ""), numbers_of(node) / (shape_of(node)[0] * sizes[0])))
    else:
        walk.labels.pin_all((x[channel], *w, *b), f"a convolution in {groups} groups reads it")
        return tuple(out)
    if b:
        walk.meet(out[channel], b[0])
    return tuple(out)


def transposed(walk: Walk, node: Node) -> Held:
    """As a convolution, with the weight's first two axes the other way round; each input place is multiplied by the whole kernel."""
    x, w, b = (walk.axes(argument(node, place)) for place in range(3))
    channel = len(x) - len(w) + 1
    if (argument(node, 6, "groups") or 1) != 1:
        walk.pin_inputs(node, "a transposed convolution in groups reads it")
        return blank(node)
    walk.labels.pin_all(w[2:], "a kernel keeps its size")
    walk.meet(x[channel], w[0])
    if b:
        walk.meet(w[1], b[0])
    walk.product(argument(node, 1), 1, 0, argument(node, 0))
    return tuple(w[1] if place == channel else None for place in range(len(x)))


def linear(walk: Walk, node: Node) -> Held:
    """The last axis in by the weight's second, out by its first."""
    x, w, bias = (walk.axes(argument(node, place)) for place in range(3))
    walk.meet(x[-1], w[1])
    if bias:
        walk.meet(w[0], bias[0])
    walk.product(argument(node, 1), 0, 1, node)
    return (*x[:-1], w[0])


def batch_norm(walk: Walk, node: Node) -> Held:
    """Scale, shift and statistics go with the channel."""
    x = walk.axes(argument(node, 0))
    for source in (argument(node, place) for place in range(1, 5)):
        if held := walk.axes(source):
            walk.meet(x[1], held[0])
    walk.norms |= {walk.names[argument(node, 1)]} if argument(node, 1) in walk.names else set()
    return x


def prelu(walk: Walk, node: Node) -> Held:
    """One slope, or one per channel."""
    x, slopes = walk.axes(argument(node, 0)), walk.axes(argument(node, 1))
    if slopes and shape_of(argument(node, 1))[0] > 1:
        walk.meet(x[1], slopes[0])
    return x


def across(walk: Walk, node: Node) -> Held:
    """Norms over channels see all of them: none can go without changing the others."""
    walk.pin_inputs(node, "a norm over channels reads it")
    return walk.axes(argument(node, 0))


def softmax(walk: Walk, node: Node) -> Held:
    """Goes over one axis, which stays."""
    x = walk.axes(argument(node, 0))
    walk.labels.pin(x[argument(node, 1, "dim")], "a softmax goes over it")
    return x


def matrix_product(walk: Walk, node: Node) -> Held:
    """Two activations: what is summed over is joined, what stands before is joined from the right."""
    one, two = walk.axes(argument(node, 0)), walk.axes(argument(node, 1))
    if min(len(one), len(two)) < 2:
        walk.pin_inputs(node, "a product with a vector reads it")
        return blank(node)
    walk.labels.join(one[-1], two[-2])
    if len(two) == 2:
        walk.product(argument(node, 1), 1, 0, argument(node, 0))
    before: list[Axis] = []
    for place in range(3, max(len(one), len(two)) + 1):
        met = [axes[-place] for axes, value in ((one, argument(node, 0)), (two, argument(node, 1)))
               if len(axes) >= place and shape_of(value)[-place] > 1]  # fmt: skip
        before.insert(0, None if not met else met[0] if len(met) == 1 else walk.labels.join(met[0], met[1]))
    return (*before, one[-2], two[-1])


def attention(walk: Walk, node: Node) -> Held:
    """scaled_dot_product_attention: heads are joined, the width of a head stays, as its scale follows from it."""
    query, key, value = (walk.axes(argument(node, place)) for place in range(3))
    for axes in (query, key):
        walk.labels.pin(axes[-1], "the scale of an attention follows from it")
    before = [walk.labels.join(walk.labels.join(one, two), three) for one, two, three in zip(query[:-2], key[:-2], value[:-2], strict=True)]
    for rest in node.all_input_nodes[3:]:
        walk.pin_tree(walk.held.get(rest, ()), "an attention's mask has its size")
    return (*before, query[-2], value[-1])


def embedding(walk: Walk, node: Node) -> Held:
    """Rows stay, their width is channels."""
    weight = walk.axes(argument(node, 0))
    walk.labels.pin(weight[0], "an embedding keeps its rows")
    if argument(node, 0) in walk.names:
        walk.producers.add((walk.names[argument(node, 0)], 1))
    return (*walk.axes(argument(node, 1)), weight[1])
