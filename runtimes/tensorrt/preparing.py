"""A program made ready for TensorRT's parser: what it rejects and has an equal form is rewritten, the rest is left for it to name.

- uint8 may only enter and leave: behind the rim it is widened to int32, which holds the same numbers (`bytes_widened`).
- A Resize with antialias of fixed sizes is two matrix products (`images.py`).
- A DequantizeLinear of a constant int32 (a bias) is that constant in float32.
- Trees are lowered before (`runtimes/tflite/tree_lowering.py` chooses products or gathers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..onnx_extract import subgraphs
from ..precision.onnx_nodes import attribute, fresh, node_of, rebuilt, tensor, value_names
from .images import resizes_multiplied

Step = Callable[[ModelProto], ModelProto]


def prepare(model: ModelProto) -> ModelProto:
    """The same program in the parser's terms. Nothing is refused here."""
    for step in STEPS:
        model = step(model)
    return model


def bytes_widened(model: ModelProto) -> ModelProto:
    """uint8 at the rim alone. Sums of bytes that would wrap around at 256 are not to be found in programs that are traced."""
    taken, before, renamed = value_names(model), list[NodeProto](), dict[str, str]()
    for value in model.graph.input:
        if value.type.tensor_type.elem_type == TensorProto.UINT8:
            renamed[value.name] = fresh(taken, f"{value.name}.wide")
            before.append(node_of("Cast", (value.name,), (renamed[value.name],), f"{value.name}/wide", to=TensorProto.INT32))
    constants = _constants(model.graph)
    changed = any(one is not other for one, other in zip(constants, model.graph.initializer, strict=True))
    narrow = {value.name for value in model.graph.output if value.type.tensor_type.elem_type == TensorProto.UINT8}
    if not (renamed or narrow or changed or any(_narrows(held) for node in model.graph.node for held in _every(node))):
        return model
    inner = {name: fresh(taken, f"{name}.wide") for name in sorted(narrow)}
    nodes = [_wide(_renamed(node, renamed | inner)) for node in model.graph.node]
    after = [node_of("Cast", (wide,), (name,), f"{name}/narrow", to=TensorProto.UINT8) for name, wide in inner.items()]
    made_model = ModelProto()
    made_model.CopyFrom(model)
    del made_model.graph.initializer[:]
    made_model.graph.initializer.extend(constants)
    return rebuilt(made_model, [*before, *nodes, *after], ())


def biases_folded(model: ModelProto) -> ModelProto:
    """Constants of int32 that a DequantizeLinear multiplies out, as float32: the parser takes codes of 8 bits and fewer alone."""
    held = {found.name: found for found in model.graph.initializer}
    folded, nodes = list[TensorProto](), list[NodeProto]()
    for node in model.graph.node:
        codes = held.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        scale = held.get(node.input[1]) if codes is not None and codes.data_type == TensorProto.INT32 else None
        if codes is None or scale is None:
            nodes.append(node)
            continue
        values, factors = numpy_helper.to_array(codes).astype(np.float64), numpy_helper.to_array(scale)
        axis = int(attribute(node, "axis", 1)) % max(values.ndim, 1)
        shaped = factors.reshape([-1 if place == axis else 1 for place in range(values.ndim)]) if factors.size > 1 else factors.reshape(())
        folded.append(tensor(node.output[0], (values * shaped).astype(np.float32)))
    return rebuilt(model, nodes, folded) if folded else model


STEPS: Sequence[Step] = (resizes_multiplied, bytes_widened, biases_folded)


def _renamed(node: NodeProto, names: dict[str, str]) -> NodeProto:
    """A copy that reads and makes other names, in its subgraphs too."""
    made = NodeProto()
    made.CopyFrom(node)
    for held in _every(made):
        held.input[:] = [names.get(name, name) for name in held.input]
        held.output[:] = [names.get(name, name) for name in held.output]
    return made


def _wide(node: NodeProto) -> NodeProto:
    """The node with int32 where it makes uint8, in its branches too. Changed in place: it is a copy."""
    for held in _every(node):
        if _narrows(held):
            del held.attribute[:]
            held.attribute.append(helper.make_attribute("to", TensorProto.INT32))
        for graph in subgraphs(held):
            constants = _constants(graph)
            del graph.initializer[:]
            graph.initializer.extend(constants)
            for value in (*graph.output, *graph.value_info):
                if value.type.tensor_type.elem_type == TensorProto.UINT8:
                    value.type.tensor_type.elem_type = TensorProto.INT32
    return node


def _every(node: NodeProto) -> Iterator[NodeProto]:
    yield node
    for graph in subgraphs(node):
        for inner in graph.node:
            yield from _every(inner)


def _narrows(node: NodeProto) -> bool:
    return node.op_type == "Cast" and attribute(node, "to", 0) == TensorProto.UINT8


def _constants(graph: GraphProto) -> list[TensorProto]:
    """The constants of a graph, bytes as int32."""
    return [_widened(held) if held.data_type == TensorProto.UINT8 and not _code(graph, held.name) else held for held in graph.initializer]


def _code(graph: GraphProto, name: str) -> bool:
    """A zero point or a weight of 8 bits, which belongs to its pair."""
    return any(name in node.input for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear"))


def _widened(held: TensorProto) -> TensorProto:
    return tensor(held.name, numpy_helper.to_array(held).astype(np.int32))
