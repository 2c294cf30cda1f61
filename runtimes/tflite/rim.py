"""From a segment's ONNX model and the chosen sizes to the plan of its `.tflite` file. What cannot be fitted is refused here."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence

from onnx import ModelProto, TensorProto, ValueInfoProto

from ...sdk.core.errors import UnsupportedError
from ...sdk.core.signature import DType, Shape
from ..onnx_files import weight_bytes
from .plan import Plan, Slot
from .sizes import Sizes

_DTYPES: Mapping[int, DType] = {
    TensorProto.FLOAT: "f32", TensorProto.INT32: "i32", TensorProto.UINT8: "u8", TensorProto.BOOL: "bool", TensorProto.INT8: "i8",
}  # fmt: skip
MOST_BYTES = (2 << 30) - (64 << 20)
"""A flatbuffer ends at 2 GiB; some of it is structure."""


def plan_of(model: ModelProto, sizes: Sizes, segment: str) -> Plan:
    """The rim and the signatures of a segment.

    Raises UnsupportedError for weights beyond 2 GB, a dtype or a dimension without a place in TFLite, and an output that
    is one value for a whole batch.
    """
    _check_size(model, segment)
    inputs = _slots(model.graph.input, segment, sizes)
    symbols = [size for slot in inputs for size in slot.shape if isinstance(size, str)]
    if unknown := [symbol for symbol in symbols if symbol not in sizes.values]:
        raise UnsupportedError(f"The segment {segment!r} reads a dimension {unknown[0]!r} that no input of the package has",
                               fix="TFLite has no dynamic dimension: fix it in the stage before, or compile for onnx-cpu.")  # fmt: skip
    outputs = _slots(model.graph.output, segment, sizes)
    batch = sizes.batch if sizes.batch in symbols else None
    _check_outputs(model, inputs, outputs, sizes, batch, segment)
    return Plan(inputs, outputs, sizes.signatures(symbols), batch, tuple(symbol for symbol in sizes.exact if symbol in symbols))


def _check_size(model: ModelProto, segment: str) -> None:
    held = weight_bytes(model)
    if held > MOST_BYTES:
        raise UnsupportedError(f"The weights of the segment {segment!r} do not fit a TFLite file", got=f"{held / 2**30:.1f} GiB",
                               expected="less than 2 GiB", fix="Compile for onnx-cpu, which has no such limit.")  # fmt: skip


def _slots(values: Iterable[ValueInfoProto], segment: str, sizes: Sizes) -> tuple[Slot, ...]:
    listed = list(values)
    keys = keys_of([value.name for value in listed])
    return tuple(
        Slot(value.name, key, _dtype(value, segment), _shape(value, segment), sizes.pads.get(value.name, 0))
        for value, key in zip(listed, keys, strict=True)
    )


def keys_of(names: Sequence[str]) -> list[str]:
    """Names as the file's signatures call them: a user's name where it can be an argument's, else one with underscores."""
    taken: dict[str, None] = {}
    for name in names:
        plain = "".join(char if char.isascii() and char.isalnum() else "_" for char in name)
        plain = plain if plain.isidentifier() and not keyword.iskeyword(plain) and plain != "self" else f"t_{plain}"
        free = plain
        while free in taken:
            free = f"{plain}_{len(taken)}"
        taken[free] = None
    return list(taken)


def _dtype(value: ValueInfoProto, segment: str) -> DType:
    held = value.type.tensor_type.elem_type
    if held not in _DTYPES:
        raise UnsupportedError(f"The value {value.name!r} of the segment {segment!r} has a dtype that TFLite does not hold",
                               got=TensorProto.DataType.Name(held), expected=", ".join(_DTYPES.values()))  # fmt: skip
    return _DTYPES[held]


def _shape(value: ValueInfoProto, segment: str) -> Shape:
    dims = value.type.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or f"{value.name}.{place}" for place, dim in enumerate(dims))


def _check_outputs(model: ModelProto, inputs: Sequence[Slot], outputs: Sequence[Slot], sizes: Sizes, batch: str | None,
                   segment: str) -> None:  # fmt: skip
    padded = [symbol for symbol in sizes.values if symbol != batch and symbol not in sizes.exact]
    padded = [symbol for symbol in padded if any(symbol in slot.shape for slot in inputs)]
    batched = {slot.name for slot in inputs if batch is not None and batch in slot.shape}
    for slot in outputs:
        if batched and batch not in slot.shape and depends(model, slot.name, batched):
            raise UnsupportedError(f"The value {slot.name!r} of the segment {segment!r} is one for a whole batch, and TFLite answers a "
                                   "batch in pieces", got=f"shape {slot.shape}", expected=f"an axis {batch!r}",
                                   fix="Return one value per row, pack with a fixed batch, or compile for onnx-cpu.")  # fmt: skip
        odd = [size for size in slot.shape if isinstance(size, str) and size not in sizes.values]
        if odd and padded:
            raise UnsupportedError(f"The size of {slot.name!r} depends on a padded dimension in a way that is not known", got=odd[0],
                                   expected=f"{', '.join(map(repr, padded))}, or a fixed size")  # fmt: skip


def depends(model: ModelProto, name: str, sources: set[str]) -> bool:
    """Whether the value `name` is made from any of `sources`."""
    makers = {made: node for node in model.graph.node for made in node.output}
    seen, todo = set[str](), [name]
    while todo:
        value = todo.pop()
        if value in sources:
            return True
        if value not in seen and value in makers:
            todo += makers[value].input
        seen.add(value)
    return False
