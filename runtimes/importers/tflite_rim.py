"""The rim of a `.tflite` file as data: names, shapes, dtypes and quantisation, as a Signature and as the plan that calls it.

Every shape is fixed as the file fixes it, a leading 1 too: the interpreter could resize it, but nobody has said that the file's
operators allow it. Quantised tensors stay quantised; their scale and zero point stand in the tensor's unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ...sdk.core.errors import FormatError, UnsupportedError
from ...sdk.core.signature import DType, Signature, StatePair, TensorSpec
from ..tflite.plan import Plan, Slot
from .tflite_state import DAMAGE, Lifted, name_of, read_model

_DTYPES: dict[int, DType] = {
    schema.TensorType.FLOAT32: "f32", schema.TensorType.INT32: "i32", schema.TensorType.INT8: "i8",
    schema.TensorType.UINT8: "u8", schema.TensorType.BOOL: "bool",
}  # fmt: skip


@dataclass(frozen=True)
class NativeRim:
    """How a file is called.

    Attributes:
        signature: names as the file's own signature has them, state pairs for lifted memory.
        plan: for `TfliteEngine`.
    """

    signature: Signature
    plan: Plan


def rim_of(lifted: Lifted) -> NativeRim:
    """The rim of a file, whose memory is explicit.

    Raises:
        FormatError: a damaged file.
        UnsupportedError: several signatures, or a tensor that no package can hold.
    """
    model = read_model(lifted.data)
    signatures = model.signatureDefs or ()
    if len(signatures) > 1:
        names = ", ".join((each.signatureKey or b"").decode("utf-8", "replace") for each in signatures)
        raise UnsupportedError("The .tflite file has several signatures", got=names, expected="one", fix="Export one of them alone.")
    try:
        key, reads, writes = _sides(model, signatures[0] if signatures else None)
        slots = [tuple(_slot(model, name, place) for name, place in side) for side in (reads, writes)]
        specs = [tuple(_spec(model, name, place) for name, place in side) for side in (reads, writes)]
    except DAMAGE as error:  # tensors that are not there, names that are no text
        raise FormatError(f"The .tflite file is damaged: {error!r}") from error
    return NativeRim(Signature(specs[0], specs[1], _state(lifted, specs[0])), Plan(slots[0], slots[1], {key: {}}))


def _sides(model: Any, signature: Any) -> tuple[str, list[tuple[str, int]], list[tuple[str, int]]]:
    """The key to call by, and (name, tensor) of inputs and outputs: a signature's, else the main graph's own names."""
    graph = model.subgraphs[0]
    if signature is not None and (signature.subgraphIndex or 0) == 0:
        sides = (signature.inputs or (), signature.outputs or ())
        reads, writes = ([(entry.name.decode(), int(entry.tensorIndex)) for entry in side] for side in sides)
        return signature.signatureKey.decode(), reads, writes
    reads, writes = ([(name_of(graph.tensors[place]), int(place)) for place in side] for side in (graph.inputs, graph.outputs))
    return "", reads, writes


def _slot(model: Any, name: str, place: int) -> Slot:
    tensor = model.subgraphs[0].tensors[place]
    if tensor.type not in _DTYPES:
        raise UnsupportedError("A tensor of the .tflite file has a dtype that no package holds at its rim",
                               got=f"{name}: type {tensor.type}", expected=", ".join(_DTYPES.values()))  # fmt: skip
    if tensor.shapeSignature is not None and -1 in tensor.shapeSignature:
        fixed = [int(size) for size in tensor.shapeSignature]
        raise UnsupportedError("A tensor of the .tflite file has a dimension that is not fixed", got=f"{name}: {fixed}",
                               fix="Export the model with fixed shapes.")  # fmt: skip
    shape = tuple(int(size) for size in (() if tensor.shape is None else tensor.shape))
    return Slot(name, name, _DTYPES[tensor.type], shape)


def _spec(model: Any, name: str, place: int) -> TensorSpec:
    slot = _slot(model, name, place)
    return TensorSpec(name, slot.dtype, slot.shape, None, unit=quantisation(model.subgraphs[0].tensors[place]))


def quantisation(tensor: Any) -> str | None:
    """What a quantised tensor's integers mean, "(q - zero_point) * scale" with numbers; None for others."""
    held = tensor.quantization
    if held is None or held.scale is None or not np.size(held.scale) or not _integer(tensor.type):
        return None
    if np.size(held.scale) > 1:
        return f"quantised along axis {held.quantizedDimension}"
    zero = 0 if held.zeroPoint is None or not np.size(held.zeroPoint) else int(held.zeroPoint[0])
    return f"(q {'-' if zero >= 0 else '+'} {abs(zero)}) * {float(held.scale[0]):.9g}"


def _integer(kind: int) -> bool:
    return _DTYPES.get(kind) in ("i8", "u8", "i32")


def _state(lifted: Lifted, inputs: tuple[TensorSpec, ...]) -> tuple[StatePair, ...]:
    shapes = {spec.name: spec.shape for spec in inputs}
    pairs: list[StatePair] = []
    for memory in lifted.memories:
        flat = memory.initial.ravel()
        uniform = flat.size > 0 and bool(np.all(flat == flat[0]))
        pairs.append(StatePair(memory.output, memory.input, shapes[memory.input], flat[0].item() if uniform else memory.initial.tolist()))
    return tuple(pairs)
