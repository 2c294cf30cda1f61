"""Builds the golden package of format version 2, whose new thing is a native stage; the same bytes wherever it runs.

    python tests/golden/make_native.py tests/golden/v2

The `.tflite` file is made operator by operator: a memory of four numbers to which each frame is added, and half of their
sum as the answer. All numbers are small fractions, so that float32 holds them exactly; the references are computed here by
hand, not by an interpreter. Like version 1's, this package is never rebuilt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from portside.runtimes.tflite.plan import Plan, Slot
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import Package, write
from portside.sdk.core.signature import Signature, StatePair, TensorSpec

WIDTH, FRAMES = 4, 12
START = 0.5
TENSORS: tuple[tuple[str, tuple[int, ...]], ...] = (("frame", (1, WIDTH)), ("held", (1, WIDTH)), ("held_next", (1, WIDTH)),
                                                    ("half", ()), ("answer", (1, WIDTH)))  # fmt: skip


def frames() -> np.ndarray[Any, Any]:
    """Twelve frames of eighths: (12, 4) float32."""
    return (((np.arange(FRAMES * WIDTH) * 7) % 13 - 6) / 8).astype(np.float32).reshape(FRAMES, WIDTH)


def answers() -> list[dict[str, np.ndarray[Any, Any]]]:
    """The references of one sequence, by hand."""
    held = START + np.cumsum(frames(), axis=0, dtype=np.float32)
    return [{"answer": held[[step]] / 2, "held_next": held[[step]]} for step in range(FRAMES)]


def model() -> bytes:
    """The file: held_next = frame + held, answer = held_next * 0.5."""
    graph: Any = schema.SubGraphT()
    graph.tensors = [_tensor(name, shape, buffer=1 if name == "half" else 0) for name, shape in TENSORS]
    graph.inputs, graph.outputs = [0, 1], [4, 2]
    graph.operators = [_operator(0, [0, 1], 2, schema.BuiltinOptions.AddOptions, schema.AddOptionsT()),
                       _operator(1, [2, 3], 4, schema.BuiltinOptions.MulOptions, schema.MulOptionsT())]  # fmt: skip
    made: Any = schema.ModelT()
    made.version, made.description, made.subgraphs = 3, b"golden", [graph]
    made.operatorCodes = [_code(schema.BuiltinOperator.ADD), _code(schema.BuiltinOperator.MUL)]
    empty, half = schema.BufferT(), schema.BufferT()
    half.data = np.frombuffer(np.float32(0.5).tobytes(), np.uint8)  # type: ignore[assignment]
    made.buffers = [empty, half]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: tuple[int, ...], buffer: int) -> Any:
    tensor: Any = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), schema.TensorType.FLOAT32, buffer
    return tensor


def _operator(code: int, reads: list[int], writes: int, kind: int, options: Any) -> Any:
    operator: Any = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, reads, [writes]
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator


def _code(number: int) -> Any:
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = 1
    return code


def contract() -> Contract:
    cases = [Case({"frame": frames()[[step]]}, references, why=("sequence",), sequence="0") for step, references in enumerate(answers())]
    return Contract(tuple(cases), {name: Rule("value") for name in ("answer", "held_next")}, licence="CC0-1.0", shareable=True)


def build(out: Path) -> Package:
    """Write the golden package at `out`, which must not exist."""
    reads, writes = ("frame", "held"), ("answer", "held_next")
    slots = [tuple(Slot(name, name, "f32", (1, WIDTH)) for name in side) for side in (reads, writes)]
    signature = Signature(
        inputs=(TensorSpec("frame", "f32", (1, WIDTH), unit="V"), TensorSpec("held", "f32", (1, WIDTH), None)),
        outputs=(TensorSpec("answer", "f32", (1, WIDTH), kind="value"), TensorSpec("held_next", "f32", (1, WIDTH), None, kind="value")),
        state=(StatePair("held_next", "held", (1, WIDTH), START),),
    )  # fmt: skip
    stage = Stage("native", "main", "program/00-main.tflite", reads, writes, only=("tflite", "reference"), note="it is a .tflite file",
                  extra={"plan": Plan(slots[0], slots[1]).to_dict()})  # fmt: skip
    head, cases = contract().to_bytes()
    files = {stage.file: model(), CONTRACT: head, CONTRACT_TENSORS: cases}
    notes = Annotations("golden", {"licence": "CC0-1.0", "description": "The golden package of format version 2."})
    text = b"An annotation is checked before it is read.\n"
    return write(Content(signature, (stage,), {}), files, out, notes, {"annotations/note.txt": text})


if __name__ == "__main__":
    print(build(Path(sys.argv[1])).digest)
