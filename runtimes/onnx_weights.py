"""The files under `program/`: stages of graphs and of plain tensors, with all weights once in `weights.safetensors`.

`NN-name.onnx` holds structure and small constants; initializers of 1 KiB and more are external data that point into
`weights.safetensors` (ONNX Runtime reads external data from inside any file of the model's own folder). Equal tensors
are stored once. A stage that is not ONNX (trees) is JSON plus named tensors in the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, numpy_helper
from safetensors.numpy import load, save

from ..sdk.core.errors import FormatError
from ..sdk.core.manifest import WEIGHTS, Stage
from ..sdk.core.package import Package
from ..sdk.core.signature import Array

EXTERNAL_BYTES = 1024
"""Initializers from this size on are stored in `weights.safetensors`."""
_STORABLE = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16,
    TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32, TensorProto.INT64, TensorProto.UINT64, TensorProto.BOOL,
}  # fmt: skip


@dataclass(frozen=True)
class TensorPart:
    """A stage that is not ONNX: JSON-ready data and named arrays, e.g. a tree ensemble."""

    data: Mapping[str, Any]
    tensors: Mapping[str, Array]
    suffix: str = "trees.json"


Part: TypeAlias = "tuple[str, ModelProto | TensorPart]"


def stage_file(index: int, name: str, suffix: str) -> str:
    """Path of a stage's file, e.g. "program/00-main.onnx"."""
    return f"program/{index:02d}-{name}.{suffix}"


def pack_files(parts: Sequence[Part], first: int = 0) -> dict[str, bytes]:
    """The files of a program: path -> bytes.

    Args:
        parts: (stage name, content) in the program's order.
        first: number of the first stage.
    """
    weights: dict[str, Array] = {}
    taken: dict[str, str] = {}
    graphs: dict[str, ModelProto] = {}
    files: dict[str, bytes] = {}
    for index, (name, part) in enumerate(parts, start=first):
        if isinstance(part, TensorPart):
            where = {key: _store(weights, taken, f"{name}/{key}", value) for key, value in sorted(part.tensors.items())}
            text = json.dumps({"data": dict(part.data), "tensors": where}, sort_keys=True, ensure_ascii=False, allow_nan=False)
            files[stage_file(index, name, part.suffix)] = text.encode()
        else:
            graphs[stage_file(index, name, "onnx")] = _moved(part, name, weights, taken)
    blob = save(weights) if weights else b""
    places = _places(blob) if weights else {}
    for path, graph in graphs.items():
        files[path] = _pointing(graph, places).SerializeToString(deterministic=True)
    return files | ({WEIGHTS: blob} if weights else {})


def read_graph(package: Package, stage: Stage) -> ModelProto:
    """A graph stage with its weights inlined: a model that stands alone. Raises FormatError, IntegrityError."""
    model = parse_model(package.read(stage.file), stage.file)
    external = [tensor for tensor in model.graph.initializer if tensor.external_data]
    if external:
        blob = package.read(WEIGHTS)
        for tensor in external:
            _inline(tensor, blob)
    return model


def parse_model(data: bytes, name: str) -> ModelProto:
    """The model in these bytes. Raises FormatError for what is no ONNX model, an empty file included."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise FormatError("This is not an ONNX model", got=name, expected=f"the bytes of a ModelProto; {error}") from error
    if not model.HasField("graph"):
        raise FormatError("This is not an ONNX model: it has no graph", got=name)
    return model


def read_tensors(package: Package, stage: Stage) -> tuple[dict[str, Any], dict[str, Array]]:
    """The JSON data and the arrays of a stage that is not ONNX. Raises FormatError, IntegrityError."""
    held = json.loads(package.read(stage.file))
    blob = load(package.read(WEIGHTS)) if held["tensors"] else {}
    if missing := [name for name in held["tensors"].values() if name not in blob]:
        raise FormatError(f"The package's weights lack tensor {missing[0]!r}", got=stage.file)
    return held["data"], {key: blob[name] for key, name in held["tensors"].items()}


def _store(weights: dict[str, Array], taken: dict[str, str], name: str, value: Array) -> str:
    """Keep a tensor under `name`, or find the equal one that is kept already; the name that it has."""
    value = np.ascontiguousarray(value).reshape(value.shape)
    key = f"{value.dtype.str}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if key not in taken:
        taken[key] = name if name not in weights else f"{name}#{len(weights)}"
        weights[taken[key]] = value
    return taken[key]


def _moved(model: ModelProto, stage: str, weights: dict[str, Array], taken: dict[str, str]) -> ModelProto:
    """A copy whose large initializers are references, by name, to tensors in `weights`."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type in _STORABLE and not tensor.external_data:
            value = numpy_helper.to_array(tensor)
            if value.nbytes >= EXTERNAL_BYTES:
                _refer(tensor, _store(weights, taken, f"{stage}/{tensor.name}", value))
    return copy


def _refer(tensor: TensorProto, name: str) -> None:
    kept = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    tensor.CopyFrom(kept)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=name)


def _places(blob: bytes) -> dict[str, tuple[int, int]]:
    """Tensor name -> (offset in the file, length), from the header of a safetensors file."""
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    start = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return {name: (8 + size + begin, end - begin) for name, (begin, end) in start.items()}


def _pointing(model: ModelProto, places: Mapping[str, tuple[int, int]]) -> ModelProto:
    for tensor in model.graph.initializer:
        if tensor.external_data:
            offset, length = places[tensor.external_data[0].value]
            del tensor.external_data[:]
            for key, value in (("location", WEIGHTS.rpartition("/")[2]), ("offset", str(offset)), ("length", str(length))):
                tensor.external_data.add(key=key, value=value)
    return model


def _inline(tensor: TensorProto, blob: bytes) -> None:
    where = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = (int(text) if text.isdecimal() else len(blob) + 1 for text in (where.get("offset", "0"), where.get("length", "0")))
    if where.get("location") != WEIGHTS.rpartition("/")[2] or offset + length > len(blob):
        raise FormatError(f"Weight {tensor.name!r} points outside the package's weights", got=where)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.DEFAULT
    tensor.raw_data = blob[offset : offset + length]
