"""Builds the golden package of format version 1 from made data; the same bytes wherever it runs.

    python tests/golden/make_golden.py tests/golden/v1

Every kind of file is in it: a codec step, graph -> trees -> graph with weights once in safetensors, a contract, an
annotation file. All numbers are small fractions, so that float32 holds them exactly, and the references are computed
here by hand, not by any of our runtimes. A golden package is never rebuilt: a later format version gets a folder of
its own, and this one stays readable.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from portside.runtimes.onnx_weights import TensorPart, pack_files
from portside.runtimes.trees import Trees
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import Package, write
from portside.sdk.core.signature import Signature, TensorSpec

READINGS, WIDTH, ROWS = 8, 40, 12
COLOURS = ("blue", "green", "red")
MIX = (((np.arange(READINGS * WIDTH) * 7) % 13 - 6) / 8).astype(np.float32).reshape(READINGS, WIDTH)


def wire() -> dict[str, Any]:
    """Twelve rows as a caller sends them: a missing age, an unknown colour, ties on the thresholds."""
    ages = np.array([30, 29.5, np.nan, 45, 60, 30, 12, 31, np.nan, 30.5, 99, 0], np.float32)
    colours = ["red", "blue", "green", "mauve", "red", "green", "blue", "red", "blue", "green", "red", "mauve"]
    readings = ((np.arange(ROWS * READINGS) * 5) % 11 / 4).astype(np.float32).reshape(ROWS, READINGS)
    return {"age": ages, "colour": colours, "reading": readings}


def answers(rows: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The references, by hand: two stumps and a category split, then a comparison."""
    first = np.where(~(rows["age"] > 30), -0.5, 1.25)  # missing goes left, as does 30 itself
    second = np.where(np.isin(rows["colour"], ["blue", "red"]), 0.25, -1.0)  # unknown goes right
    third = np.where((rows["reading"] @ MIX)[:, 0] <= 0.375, 0.125, 0.375)
    score = (first + second + third).astype(np.float32)
    return {"score": score, "label": (score > 0.5).astype(np.int64)}


def features() -> ModelProto:
    """age, colour, reading -> features: (batch, 2 + WIDTH) float32."""
    nodes = [
        helper.make_node("Cast", ["colour"], ["colour_f"], "colour_cast", to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["colour_f", "axis"], ["colour_c"], "colour_column"),
        helper.make_node("Unsqueeze", ["age", "axis"], ["age_c"], "age_column"),
        helper.make_node("MatMul", ["reading", "mix"], ["mixed"], "mixing"),
        helper.make_node("Concat", ["age_c", "colour_c", "mixed"], ["features"], "joining", axis=1),
    ]
    inputs = [value("age", TensorProto.FLOAT), value("colour", TensorProto.INT32), value("reading", TensorProto.FLOAT, READINGS)]
    constants = [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(MIX, "mix")]
    return model("features", nodes, inputs, [value("features", TensorProto.FLOAT, 2 + WIDTH)], constants)


def decision() -> ModelProto:
    """trees -> score, label."""
    nodes = [
        helper.make_node("Squeeze", ["trees", "axis"], ["score"], "score"),
        helper.make_node("Greater", ["score", "half"], ["above"], "above"),
        helper.make_node("Cast", ["above"], ["label"], "label", to=TensorProto.INT32),
    ]
    constants = [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(np.float32(0.5), "half")]
    outputs = [value("score", TensorProto.FLOAT), value("label", TensorProto.INT32)]
    return model("decision", nodes, [value("trees", TensorProto.FLOAT, 1)], outputs, constants)


def value(name: str, dtype: int, *rest: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, ["batch", *rest])


def model(name: str, nodes: Any, inputs: Any, outputs: Any, constants: Any) -> ModelProto:
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)], producer_name="portside")
    onnx.checker.check_model(made, full_check=True)
    return made


def trees() -> TensorPart:
    """Three trees of one comparison each: age <= 30, colour in {blue, red}, first mixed reading <= 0.375."""
    leaf = -1
    ensemble = Trees(
        columns=2 + WIDTH, aggregate="sum", feature=np.array([0, leaf, leaf, 1, leaf, leaf, 2, leaf, leaf]),
        threshold=np.array([30, 0, 0, 0, 0, 0, 0.375, 0, 0]), left=np.array([1, 0, 1, 4, 2, 3, 7, 4, 5]),
        right=np.array([2, 0, 0, 5, 0, 0, 8, 0, 0]),
        missing_left=np.array([1, 0, 0, 0, 0, 0, 0, 0, 0]), bitset=np.array([-1, -1, -1, 0, -1, -1, -1, -1, -1]),
        bitsets=np.array([[0b101]]), roots=np.array([0, 3, 6]), offsets=np.array([0, 0, 0]), base=np.array([0.0]),
        values=np.array([[-0.5], [1.25], [0.25], [-1], [0.125], [0.375]]),
    )  # fmt: skip
    return TensorPart(ensemble.to_dict(), ensemble.to_tensors())


def contract(codec: Codec) -> Contract:
    rows = wire()
    firm = {"label": np.ones(ROWS, bool)}
    whole = Case(codec.encode(rows), answers(rows), firm, ("random",) * ROWS, {"colour": tuple(rows["colour"])})
    alone = {name: values[:1] for name, values in rows.items()}
    single = Case(codec.encode(alone), answers(alone), {"label": np.ones(1, bool)}, ("dims",), {"colour": ("red",)})
    return Contract((whole, single), {"score": Rule("value", scale=0.5), "label": Rule("decision")}, licence="CC0-1.0", shareable=True)


def build(out: Path) -> Package:
    """Write the golden package at `out`, which must not exist."""
    codec = Codec.of({"colour": Categories(list(COLOURS))})
    signature = codec.annotate(Signature(
        inputs=(TensorSpec("age", "f32", ("batch",), unit="years", range=(0.0, 120.0), missing=True),
                TensorSpec("colour", "i32", ("batch",)), TensorSpec("reading", "f32", ("batch", READINGS))),
        outputs=(TensorSpec("score", "f32", ("batch",), kind="value"),
                 TensorSpec("label", "i64", ("batch",), kind="decision", categories=("fine", "cracked"))),
    ))  # fmt: skip
    stages = (
        Stage("graph", "features", "program/00-features.onnx", ("age", "colour", "reading"), ("features",)),
        Stage("trees", "trees", "program/01-trees.trees.json", ("features",), ("trees",)),
        Stage("graph", "decision", "program/02-decision.onnx", ("trees",), ("score", "label")),
    )
    program = pack_files([("features", features()), ("trees", trees()), ("decision", decision())])
    head, cases = contract(codec).to_bytes()
    content = Content(signature, stages, {}, codec.steps, {"features": ("features",), "model": ("trees",)}, parents=("sha256:" + "0" * 64,))
    files = {**program, **codec.files, CONTRACT: head, CONTRACT_TENSORS: cases}
    notes = Annotations("golden", {"licence": "CC0-1.0", "description": "The golden package of format version 1."})
    return write(content, files, out, notes, {"annotations/note.txt": b"An annotation is checked before it is read.\n"})


if __name__ == "__main__":
    print(build(Path(sys.argv[1])).digest)
