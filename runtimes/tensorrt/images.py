"""A Resize that the parser refuses (antialias) as two matrix products: a resize is linear and works axis by axis.

The weights are what ONNX's own operator makes of an identity matrix, so the products say exactly what the operator would have said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from ...sdk.core.signature import Array
from ..onnx_run import open_graph, run_graph
from ..precision.onnx_nodes import attribute, fresh, node_of, rebuilt, tensor, value_names

_OPSET, _IR = 19, 9
_AXES = 4


def resizes_multiplied(model: ModelProto) -> ModelProto:
    """Every antialiased Resize of images (batch, channels, height, width) whose sizes are known becomes two products; others stay."""
    if not any(_smooth(node) for node in model.graph.node):
        return model
    shapes, taken = _shapes(model), value_names(model)
    nodes, tensors = list[NodeProto](), list[TensorProto]()
    for node in model.graph.node:
        sizes = (shapes.get(node.input[0]), shapes.get(node.output[0])) if _smooth(node) else (None, None)
        if sizes[0] is None or sizes[1] is None or not _spatial(sizes[0], sizes[1]):
            nodes.append(node)
            continue
        made, held = _products(node, sizes[0], sizes[1], taken)
        nodes += made
        tensors += held
    return rebuilt(model, nodes, tensors)


def axis_weights(node: NodeProto, before: int, after: int) -> Array:
    """What a Resize does along an axis: (after, before) float32.

    Args:
        node: the Resize, for its attributes.
        before, after: sizes of the axis.
    """
    held = NodeProto()
    held.CopyFrom(node)
    held.input[:], held.output[:] = ["eye", "", "", "sizes"], ["made"]
    kept = [found for found in held.attribute if found.name not in ("axes", "keep_aspect_ratio_policy")]
    del held.attribute[:]
    held.attribute.extend(kept)
    rim = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, size, before])
           for name, size in (("eye", before), ("made", after))]  # fmt: skip
    sizes = numpy_helper.from_array(np.array([1, 1, after, before], np.int64), "sizes")
    graph = helper.make_graph([held], "axis", rim[:1], rim[1:], [sizes])
    session = open_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR))
    return run_graph(session, {"eye": np.eye(before, dtype=np.float32)[None, None]})["made"][0, 0]


def _products(node: NodeProto, before: Sequence[int | str], after: Sequence[int | str],
              taken: set[str]) -> tuple[list[NodeProto], list[TensorProto]]:  # fmt: skip
    rows, columns = (axis_weights(node, int(before[axis]), int(after[axis])) for axis in (2, 3))
    left, right, half = (fresh(taken, f"{node.output[0]}.{what}") for what in ("rows", "columns", "half"))
    tensors = [tensor(left, rows), tensor(right, np.ascontiguousarray(columns.T))]
    return [node_of("MatMul", (left, node.input[0]), (half,), f"{node.name}/rows"),
            node_of("MatMul", (half, right), node.output, f"{node.name}/columns")], tensors  # fmt: skip


def _smooth(node: NodeProto) -> bool:
    return node.op_type == "Resize" and attribute(node, "antialias", 0) == 1


def _spatial(before: Sequence[int | str], after: Sequence[int | str]) -> bool:
    """Both are images, and their heights and widths are numbers."""
    return len(before) == len(after) == _AXES and all(isinstance(size, int) and size > 0 for size in (*before[2:], *after[2:]))


def _shapes(model: ModelProto) -> dict[str, list[int | str]]:
    held = shape_inference.infer_shapes(model, data_prop=True).graph
    return {value.name: [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
            for value in (*held.input, *held.value_info, *held.output)}  # fmt: skip
