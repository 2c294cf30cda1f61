"""What an ONNX file says of its inputs and outputs, made explicit: dtypes for the Signature, dimensions with names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto

from ...sdk.core.errors import FormatError, InputError, TraceError
from ...sdk.core.signature import NUMPY, DType, Shape, Signature, TensorSpec
from ..onnx_run import open_graph, run_graph
from .inputs import BATCH, Input, complete, dimension_sizes
from .program import ImportOptions, Source

DTYPE_OF_ONNX: dict[int, DType] = {
    TensorProto.FLOAT: "f32", TensorProto.DOUBLE: "f64", TensorProto.FLOAT16: "f16", TensorProto.BFLOAT16: "f32",
    TensorProto.INT8: "i8", TensorProto.UINT8: "u8", TensorProto.INT16: "i32", TensorProto.UINT16: "i32",
    TensorProto.INT32: "i32", TensorProto.UINT32: "i64", TensorProto.INT64: "i64", TensorProto.UINT64: "i64",
    TensorProto.BOOL: "bool",
}  # fmt: skip
ONNX_OF_DTYPE: dict[DType, int] = {
    "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16, "i8": TensorProto.INT8,
    "u8": TensorProto.UINT8, "i32": TensorProto.INT32, "i64": TensorProto.INT64, "bool": TensorProto.BOOL,
}  # fmt: skip


@dataclass(frozen=True)
class Port:
    """One graph input or output of a file: its name, element type, and a size or symbol (None: unnamed) per axis."""

    name: str
    elem_type: int
    dims: tuple[int | str | None, ...]

    @property
    def dtype(self) -> DType:
        """The Signature dtype."""
        return DTYPE_OF_ONNX[self.elem_type]

    @property
    def native(self) -> np.dtype[Any]:
        """What the graph itself reads or writes."""
        return onnx.helper.tensor_dtype_to_np_dtype(self.elem_type)


def read_onnx(model: object) -> ModelProto:
    """The model in a path, bytes or a ModelProto, external data included. Raises FormatError."""
    if isinstance(model, ModelProto):
        return model
    try:
        found = onnx.load_model_from_string(model) if isinstance(model, bytes) else onnx.load(str(Path(cast("str", model))))
    except (OSError, ValueError) as error:
        raise FormatError(f"The ONNX file cannot be read: {error}", got=str(model)[:200]) from error
    except Exception as error:
        if "DecodeError" in type(error).__name__:
            raise FormatError("This is not an ONNX model", got=str(model)[:200]) from error
        raise
    if not found.HasField("graph"):  # no bytes at all are a valid message
        raise FormatError("This is not an ONNX model: it has no graph", got=str(model)[:200])
    return found


def ports(values: Sequence[ValueInfoProto]) -> tuple[Port, ...]:
    """Graph inputs or outputs. Raises TraceError for sequences, maps, text and rare dtypes."""
    return tuple(_port(value) for value in values)


def _port(value: ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or tensor.elem_type not in DTYPE_OF_ONNX:
        kind = value.type.WhichOneof("value")
        got = TensorProto.DataType.Name(tensor.elem_type) if kind == "tensor_type" else kind
        raise TraceError(f"{value.name!r} is not a tensor that a package can hold", got=got, expected="numbers or booleans",
                         fix="Export the model without it (for scikit-learn: zipmap=False), or put a codec before it.")  # fmt: skip
    return Port(value.name, tensor.elem_type, tuple(_dim(dim) for dim in tensor.shape.dim))


def _dim(dim: Any) -> int | str | None:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return dim.dim_param if re.fullmatch(r"[A-Za-z]\w*", dim.dim_param) and not dim.dim_param.startswith("unk_") else None


def declare(held: Sequence[Port], options: ImportOptions) -> ImportOptions:
    """The options with what the file says: dtypes and shapes in the signature, examples in those dtypes.

    Raises InputError where an example does not have the file's number of axes or a fixed size.
    """
    examples = complete(options.examples, options.image)
    rows = _rows(held, examples)
    wished = {spec.name: spec for spec in options.signature.inputs} if options.signature else {}
    specs: list[TensorSpec] = []
    for port in held:
        if port.name not in examples:
            continue
        example = examples[port.name]
        _check(port, example.shape, options.dynamic.get(port.name, {}))
        shape = _named_dims(port, example.shape, rows)
        shape, axis = _user_names(shape, options.dynamic.get(port.name, {}))
        spec = wished.get(port.name) or TensorSpec(port.name, port.dtype, (), None)
        examples[port.name] = _as(example, spec.dtype, port.name)
        specs.append(replace(spec, shape=shape, batch_axis=axis))
    rest = options.signature or Signature((), ())
    return replace(options, examples=examples, signature=replace(rest, inputs=tuple(specs)))


def _rows(held: Sequence[Port], examples: Mapping[str, Any]) -> int | None:
    """Rows in the examples: the size of the first input whose first axis the file leaves open."""
    open_ones = (examples[port.name].shape[0] for port in held if port.name in examples and port.dims and not isinstance(port.dims[0], int))
    return next(open_ones, None)


def _named_dims(port: Port, sizes: Sequence[int], rows: int | None) -> Shape:
    """Fixed sizes, "batch" for the axis of rows, the file's symbols, and "<input>_dim<axis>" for open axes without one."""
    batch = _batch_axis(port, sizes, rows)
    return tuple(BATCH if axis == batch else f"{port.name}_dim{axis}" if dim is None else dim for axis, dim in enumerate(port.dims))


def _batch_axis(port: Port, sizes: Sequence[int], rows: int | None) -> int | None:
    """Axis 0 if open; else an axis called "batch", else the first open one that has as many values as there are rows."""
    if port.dims and not isinstance(port.dims[0], int):
        return 0
    opened = [axis for axis, dim in enumerate(port.dims) if not isinstance(dim, int)]
    return next((axis for axis in opened if port.dims[axis] == BATCH), None) or next((axis for axis in opened if sizes[axis] == rows), None)


def _user_names(shape: Shape, wished: Mapping[int, str]) -> tuple[Shape, int | None]:
    names = {axis % len(shape): name for axis, name in wished.items()} if shape else {}
    shape = tuple(names.get(axis, dim) for axis, dim in enumerate(shape))
    return shape, shape.index(BATCH) if BATCH in shape else None


def _check(port: Port, sizes: Sequence[int], wished: Mapping[int, str]) -> None:
    if len(sizes) != len(port.dims):
        raise InputError("An example does not have the axes of the ONNX file", field=port.name, got=tuple(sizes), expected=port.dims)
    for axis, (size, dim) in enumerate(zip(sizes, port.dims, strict=True)):
        if isinstance(dim, int) and dim != size:
            raise InputError(f"The ONNX file fixes axis {axis}", field=port.name, got=f"{size} in the example", expected=dim,
                             fix="Export it with that axis dynamic (torch: dynamic_shapes=), or give examples of this size.")  # fmt: skip
        if isinstance(dim, int) and axis in wished:
            raise TraceError(
                f"The ONNX file fixes dimension {wished[axis]!r}, which should be dynamic", got=f"{port.name}, axis {axis}: {dim}",
                fix="Export it with that axis dynamic, or leave it out of dynamic=.",
            )  # fmt: skip


def _as(example: Any, dtype: DType, name: str) -> Any:
    if example.dtype.kind in "OUS":
        raise InputError("An example is text and the ONNX file reads numbers", field=name, got=example.dtype, expected=dtype)
    return example.astype(NUMPY[dtype])


def opened(model: ModelProto) -> Any:
    """A session on a third party's graph. Raises FormatError where ONNX Runtime refuses it."""
    try:
        return open_graph(model)
    except Exception as error:  # onnxruntime's errors share no base but Exception
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise FormatError("ONNX Runtime cannot open this model", got=lines[0][:300],
                          fix="Export it again in an opset that this ONNX Runtime knows.") from error  # fmt: skip


def onnx_source(model: ModelProto, held: Sequence[Port], outputs: Sequence[Port]) -> Source:
    """The file itself in ONNX Runtime on typed arrays by name."""
    session = opened(model)

    def source(arrays: Mapping[str, Any]) -> dict[str, Any]:
        given = {port.name: np.asarray(arrays[port.name]).astype(port.native) for port in held}
        found = run_graph(session, given)
        return {port.name: found[port.name].astype(NUMPY[port.dtype]) for port in outputs}

    return source


def output_specs(source: Source, inputs: Sequence[Input], outputs: Sequence[Port]) -> tuple[TensorSpec, ...]:
    """Specs of the outputs; which dimension follows which is observed by running at several sizes."""
    seen = [(sizes, source({item.spec.name: item.native(sizes) for item in inputs})) for sizes in tries(source, inputs)]
    specs: list[TensorSpec] = []
    for port in outputs:
        found = [(sizes, answer[port.name].shape) for sizes, answer in seen]
        shape: Shape = tuple(_follows(f"{port.name}_dim{axis}", axis, found) for axis in range(len(found[0][1])))
        specs.append(TensorSpec(port.name, port.dtype, shape, shape.index(BATCH) if BATCH in shape else None))
    return tuple(specs)


def tries(source: Source, inputs: Sequence[Input]) -> Iterator[dict[str, int]]:
    """Sizes at which the model runs: as in the examples (few rows), and each dimension in turn a little larger."""
    held = dimension_sizes(inputs)
    base = held | ({BATCH: 2} if BATCH in held else {})
    yield base
    for dim in held:
        for more in (base[dim], 8, 1):
            sizes = base | {dim: base[dim] + more}
            try:
                source({item.spec.name: item.native(sizes) for item in inputs})
            except Exception:  # noqa: S112  the model refuses this size: try another
                continue
            yield sizes
            break


def _follows(fallback: str, axis: int, found: Sequence[tuple[Mapping[str, int], Sequence[int]]]) -> int | str:
    sizes = [shape[axis] for _, shape in found]
    if len(set(sizes)) == 1:
        return sizes[0]
    return next((dim for dim in found[0][0] if all(tried[dim] == size for (tried, _), size in zip(found, sizes, strict=True))), fallback)
