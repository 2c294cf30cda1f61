"""Metadata of the Open Inference Protocol v2: what a caller sends, by wire field, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...sdk.core.codec.step import WireField
from ...sdk.core.signature import Shape, Signature, TensorSpec
from .oip_tensors import datatype_of
from .wire import Wire

EXTENSIONS = ("binary_tensor_data", "model_repository")
PLATFORM = "portside"
_BY_WIRE = {"image": "BYTES", "text": "BYTES", "category": "BYTES", "number": "FP64"}


def model_metadata(name: str, versions: Sequence[str], wire: Wire) -> dict[str, Any]:
    """Name, versions, inputs and outputs; a dimension of any size is -1.

    Inputs are what a caller sends: the wire fields of the codec, not the typed tensors behind it. Outputs with categories
    leave as their names.
    """
    signature = wire.signature
    outputs = [_tensor(spec.name, _output_type(spec), spec.shape) for spec in signature.outputs]
    inputs = [_input(held, signature) for held in wire.fields.values()]
    return {"name": name, "versions": list(versions), "platform": PLATFORM, "inputs": inputs, "outputs": outputs}


def _input(wire: WireField, signature: Signature) -> dict[str, Any]:
    specs = {spec.name: spec for spec in signature.inputs}
    first = specs[wire.inputs[0]]
    if wire.type == "tensor":
        return _tensor(wire.name, datatype_of(first.dtype), first.shape)
    shape: Shape = ("rows",) if wire.type in ("image", "text") else first.shape
    return _tensor(wire.name, _BY_WIRE[wire.type], shape)


def _output_type(spec: TensorSpec) -> str:
    return "BYTES" if spec.categories is not None and datatype_of(spec.dtype).startswith(("INT", "UINT")) else datatype_of(spec.dtype)


def _tensor(name: str, datatype: str, shape: Shape) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [size if isinstance(size, int) else -1 for size in shape]}
