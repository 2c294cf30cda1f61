"""Constants that are differences of a column and a row, stored as the two: exact, and a thousandth of the bytes.

Resizing in a graph measures how far each output pixel's centre lies from each input pixel's; exporters fold that into a matrix. In
float32 it weighs as much as a layer, and is all that remains large in an int8 file. Engines fold the difference again when they open
the file, so nothing is slower. A matrix is taken apart only where putting it together gives the same bits.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from ...sdk.core.signature import Array
from .onnx_nodes import fresh, node_of, rebuilt, tensor, value_names

LEAST_BYTES = 16384
"""Smaller constants are left alone."""
STARTS = (0.5, 0.0)
"""Where rows of pixels begin: at a pixel's centre or corner."""


def split_differences(model: ModelProto) -> ModelProto:
    """The model with every such constant as a Sub of two small ones; the model itself where there is none."""
    taken, nodes, tensors, names = value_names(model), list(model.graph.node), list[TensorProto](), dict[str, str]()
    made = list[TensorProto]()
    seen = dict[bytes, str]()
    subtractions = []
    for held in model.graph.initializer:
        parts = _parts(held)
        if parts is None:
            tensors.append(held)
            continue
        key = b"".join(part.tobytes() + repr(part.shape).encode() for part in parts)
        if key not in seen:
            sides = [fresh(taken, f"{held.name}.{kind}") for kind in ("column", "row")]
            made += [tensor(name, part) for name, part in zip(sides, parts, strict=True)]
            seen[key] = held.name
            subtractions.append(node_of("Sub", sides, (held.name,), f"{held.name}/difference"))
        elif held.name != seen[key]:
            names[held.name] = seen[key]
    if not subtractions:
        return model
    whole = ModelProto()
    whole.CopyFrom(model)
    del whole.graph.initializer[:]
    whole.graph.initializer.extend(tensors)
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
    return rebuilt(whole, [*subtractions, *nodes], made)


def _parts(held: TensorProto) -> tuple[Array, Array] | None:
    """(..., rows, 1) and (..., 1, columns) whose difference is the constant, bit by bit; None where there are none."""
    if (
        held.data_type != TensorProto.FLOAT
        or held.ByteSize() < LEAST_BYTES
        or len(held.dims) < 2
        or any(size != 1 for size in held.dims[:-2])
    ):
        return None
    value = numpy_helper.to_array(held)
    matrix: Array = value.reshape(value.shape[-2:])
    nearest = np.abs(matrix).argmin(axis=1)
    for start in STARTS:
        for sign in (1, -1):
            row = ((np.arange(matrix.shape[1]) + start) * sign).astype(np.float32)
            column = matrix[np.arange(len(matrix)), nearest] + row[nearest]
            if np.array_equal(column[:, None] - row[None, :], matrix):
                lead = (1,) * (value.ndim - 2)
                return column.reshape(*lead, -1, 1), row.reshape(*lead, 1, -1)
    return None
