"""What a `.tflite` file holds, read from its flatbuffer: bytes of weights by dtype, operators by name.

The reader is the one generated from TFLite's schema that comes with ai-edge-litert; tflite-runtime has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_NAMES = {"FLOAT32": "float", "BOOL": "bool"}
"""TFLite's dtype -> the name that other targets use for it; others are the lower case of TFLite's."""


def weights_bytes(files: Iterable[Path]) -> dict[str, int]:
    """Dtype -> bytes of constant tensors, each buffer counted once however many signatures read it."""
    totals: dict[str, int] = {}
    for file in files:
        for name, size in _buffers(open_model(file)).values():
            totals[name] = totals.get(name, 0) + size
    return dict(sorted(totals.items()))


def operators(file: Path) -> dict[str, int]:
    """Operator -> how often it stands in the file's first signature."""
    model = open_model(file)
    names, graph = operator_names(model), model.Subgraphs(0)
    counts: dict[str, int] = {}
    for place in range(graph.OperatorsLength()):
        name = names[graph.Operators(place).OpcodeIndex()]
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def operator_names(model: Any) -> list[str]:
    """Name by the number that the file's operators refer to."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [model.OperatorCodes(place) for place in range(model.OperatorCodesLength())]
    return [code.CustomCode().decode() if code.CustomCode() else names[_number(code)] for code in codes]


def _number(code: Any) -> int:
    """Old files keep it in the field that is now called deprecated."""
    return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())


def open_model(file: Path) -> Any:
    """The root table, read in place."""
    return schema.Model.GetRootAs(file.read_bytes(), 0)


def _buffers(model: Any) -> dict[int, tuple[str, int]]:
    """Buffer number -> (dtype of a tensor on it, bytes), of buffers that hold data."""
    dtypes = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    found: dict[int, tuple[str, int]] = {}
    for graph in (model.Subgraphs(place) for place in range(model.SubgraphsLength())):
        for tensor in (graph.Tensors(place) for place in range(graph.TensorsLength())):
            buffer = model.Buffers(tensor.Buffer())
            size = buffer.DataLength() or buffer.Size()
            if size:
                name = dtypes[tensor.Type()]
                found[tensor.Buffer()] = (_NAMES.get(name, name.lower()), size)
    return found
