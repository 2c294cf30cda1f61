"""What each operator does with labels of channels, by its name. What is not here, and not pointwise, pins all that it reads."""

from __future__ import annotations

from typing import cast

import torch
from torch.fx import Node

from .channel_labels import Axes
from .channel_walk import Held, Rule, Walk, argument, blank, shape_of
from .layer_rules import across, attention, batch_norm, convolution, embedding, linear, matrix_product, prelu, softmax, transposed
from .shape_rules import chunked, concatenated, cut, expanded, permuted, reduced, reshape, spatial


def visit(walk: Walk, node: Node) -> Held:
    """Axes of what a node answers."""
    if getattr(node.target, "__name__", "") == "getitem":
        held = walk.held.get(argument(node, 0), ())
        return held[argument(node, 1)] if isinstance(held, list) else blank(node)
    schema = getattr(node.target, "_schema", None)
    name = "" if schema is None else str(schema.name).removeprefix("aten::").rstrip("_")
    rule = RULES.get(name) or (pointwise if torch.Tag.pointwise in getattr(node.target, "tags", ()) else None)
    if rule is None:
        return unknown(walk, node, name)
    try:
        return rule(walk, node)
    except (IndexError, KeyError, TypeError, ValueError):  # a form of the operator that its rule does not know
        return unknown(walk, node, name)


def unknown(walk: Walk, node: Node, name: str = "") -> Held:
    """Pin all that it reads."""
    walk.pin_inputs(node, f"{name or node.target} reads it")
    return blank(node)


def pointwise(walk: Walk, node: Node) -> Held:
    """Axes that meet are joined, from the right; those of size 1 stretch."""
    found = list(cast("Axes", blank(node)))
    sizes = shape_of(node)
    for place in range(1, len(sizes) + 1):
        met = [(walk.axes(source)[-place]) for source in node.all_input_nodes
               if len(shape_of(source)) >= place and shape_of(source)[-place] == sizes[-place] > 1]  # fmt: skip
        for axis in met[1:]:
            met[0] = walk.labels.join(met[0], axis)
        found[-place] = met[0] if met else None
    return tuple(found)


def same(walk: Walk, node: Node) -> Held:
    """The first input's axes."""
    return walk.axes(argument(node, 0))


def _rules(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    **_rules(convolution, "conv1d conv2d conv3d"), **_rules(transposed, "conv_transpose1d conv_transpose2d conv_transpose3d"),
    **_rules(linear, "linear"), **_rules(batch_norm, "batch_norm"),
    **_rules(across, "layer_norm group_norm instance_norm rms_norm"), **_rules(softmax, "softmax log_softmax _softmax"),
    **_rules(same, "dropout feature_dropout alpha_dropout contiguous clone detach alias to _to_copy type_as lift_fresh_copy"),
    **_rules(pointwise, "hardswish hardsigmoid silu mish relu6 celu selu elu leaky_relu softplus masked_fill where"),
    **_rules(prelu, "prelu"),
    **_rules(spatial, "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
             "adaptive_avg_pool3d upsample_nearest2d upsample_bilinear2d upsample_nearest1d pad constant_pad_nd"),
    **_rules(reduced, "mean sum amax amin"),
    **_rules(reshape, "view reshape _unsafe_view flatten unflatten squeeze unsqueeze"),
    **_rules(permuted, "permute transpose t"), **_rules(expanded, "expand"), **_rules(concatenated, "cat concat"),
    **_rules(chunked, "chunk"), **_rules(cut, "slice select narrow"), **_rules(matrix_product, "matmul bmm mm"),
    **_rules(attention, "scaled_dot_product_attention"), **_rules(embedding, "embedding"),
}  # fmt: skip
"""Name of an operator -> what it does; one that is pointwise by torch's own tag needs no line."""
