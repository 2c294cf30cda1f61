"""Small packages that `runtimes/checks.py` puts every runtime through; numpy says what their answers are.

They are odd on purpose: output names out of alphabetical order, int64 and bool and 0-d outputs, memory, images of any
size, a program long enough to be cancelled. Importing this file imports onnx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..sdk.core.contract import Case, Contract, Rule
from ..sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from ..sdk.core.package import Package, write
from ..sdk.core.signature import NUMPY, Array, Signature, StatePair, TensorSpec

_ONNX = {
    "f32": TensorProto.FLOAT, "i32": TensorProto.INT32, "u8": TensorProto.UINT8, "bool": TensorProto.BOOL, "i8": TensorProto.INT8,
}  # fmt: skip
_WEIGHT = np.array([[1.0, -0.5, 0.25], [0.5, 1.0, -1.0], [-0.25, 0.75, 0.5], [0.1, -0.2, 0.3]], np.float32)
_BIAS = np.array([0.1, -0.1, 0.0], np.float32)
_OPSET, _IR = 18, 9


@dataclass(frozen=True)
class Sample:
    """One package and the truth about it.

    Attributes:
        name: what it is called in checks.
        signature: tensors in and out.
        model: its one graph stage.
        truth: typed inputs -> outputs in signature dtypes, in numpy.
        inputs: rows -> example inputs in signature dtypes.
        rules: output -> how it is judged.
    """

    name: str
    signature: Signature
    model: ModelProto
    truth: Callable[[Mapping[str, Array]], dict[str, Array]]
    inputs: Callable[[int], dict[str, Array]]
    rules: Mapping[str, Rule]

    def write(self, out: Path) -> Package:
        """The package, with a contract of batches of 1, 2 and 16 rows."""
        cases = [Case(self._rim(self.inputs(rows)), self.truth(self.inputs(rows)), why=("dims",) * rows) for rows in (1, 2, 16)]
        head, tensors = Contract(tuple(cases), self.rules, shareable=True).to_bytes()
        files = {"program/00-main.onnx": self.model.SerializeToString(deterministic=True), CONTRACT: head, CONTRACT_TENSORS: tensors}
        graph = self.model.graph
        stage = Stage("graph", "main", "program/00-main.onnx", tuple(v.name for v in graph.input), tuple(v.name for v in graph.output))
        return write(Content(self.signature, (stage,), {}), files, out, Annotations(name=self.name))

    def _rim(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {spec.name: inputs[spec.name].astype(NUMPY[spec.rim_dtype]) for spec in self.signature.inputs if spec.name in inputs}


def mixed() -> Sample:
    """Floats that may be missing, int64 ids and flags in; scores, an int64 label and a bool out, in no alphabetical order."""
    signature = Signature(
        (TensorSpec("x", "f32", ("batch", 4), missing=True), TensorSpec("ids", "i64", ("batch",)), TensorSpec("on", "bool", ("batch",))),
        (TensorSpec("scores", "f32", ("batch", 3), kind="score"), TensorSpec("label", "i64", ("batch",), kind="decision"),
         TensorSpec("above", "bool", ("batch",), kind="decision"), TensorSpec("first", "f64", ("batch",), kind="value")),
    )  # fmt: skip
    nodes = [
        node("MatMul", ["x", "weight"], "product"), node("Add", ["product", "bias"], "plain"),
        node("Cast", ["ids"], "numbers", to=TensorProto.FLOAT), node("Unsqueeze", ["numbers", "last"], "column"),
        node("Mul", ["column", "step"], "shift"), node("Cast", ["on"], "switch", to=TensorProto.FLOAT),
        node("Unsqueeze", ["switch", "last"], "gate"), node("Mul", ["shift", "gate"], "gated"), node("Add", ["plain", "gated"], "logits"),
        node("Softmax", ["logits"], "scores", axis=1), node("ArgMax", ["logits"], "best", axis=1, keepdims=0),
        node("Cast", ["best"], "label", to=TensorProto.INT32), node("Gather", ["logits", "zero"], "first", axis=1),
        node("Greater", ["first", "half"], "above"),
    ]  # fmt: skip
    constants = {"weight": _WEIGHT, "bias": _BIAS, "last": np.array([1], np.int64), "step": np.array([0.01, -0.02, 0.03], np.float32),
                 "zero": np.array(0, np.int64), "half": np.array(0.5, np.float32)}  # fmt: skip
    rules = {"scores": Rule("score"), "label": Rule("decision"), "above": Rule("decision"), "first": Rule("value")}
    return Sample("mixed", signature, graph_model(signature, nodes, constants), _mixed_truth, _mixed_inputs, rules)


def scalar() -> Sample:
    """A 0-d output beside a batched one."""
    signature = Signature((TensorSpec("x", "f64", ("batch", 4)),), (TensorSpec("y", "f32", ("batch", 4), kind="value"),
                          TensorSpec("mean", "f32", (), None, kind="value")))  # fmt: skip
    nodes = [node("Add", ["x", "one"], "y"), node("ReduceMean", ["y"], "mean", keepdims=0)]
    model = graph_model(signature, nodes, {"one": np.array(1, np.float32)})

    def truth(inputs: Mapping[str, Array]) -> dict[str, Array]:
        y = inputs["x"].astype(np.float32) + np.float32(1)
        return {"y": y, "mean": np.asarray(y.mean(dtype=np.float32))}

    return Sample("scalar", signature, model, truth, _floats("x", 4, np.float64), {"y": Rule("value"), "mean": Rule("value")})


def stateful() -> Sample:
    """A memory: the running sum of what it was shown."""
    signature = Signature(
        (TensorSpec("x", "f32", ("batch", 2)), TensorSpec("h_in", "f32", ("batch", 2))),
        (TensorSpec("y", "f32", ("batch", 2), kind="value"), TensorSpec("h_out", "f32", ("batch", 2), kind="value")),
        (StatePair("h_out", "h_in", ("batch", 2), 0.5),),
    )  # fmt: skip
    nodes = [node("Add", ["x", "h_in"], "h_out"), node("Neg", ["h_out"], "y")]

    def truth(inputs: Mapping[str, Array]) -> dict[str, Array]:
        held = inputs["x"] + inputs.get("h_in", np.full_like(inputs["x"], 0.5))
        return {"y": -held, "h_out": held}

    return Sample("stateful", signature, graph_model(signature, nodes, {}), truth, _floats("x", 2, np.float32),
                  {"y": Rule("value"), "h_out": Rule("value")})  # fmt: skip


def canvas() -> Sample:
    """Images of any size up to 6 x 8: the sum of the pixels, and the area."""
    signature = Signature(
        (TensorSpec("photo", "u8", ("batch", "photo_height", "photo_width", 3), canvas=(6, 8)),),
        (TensorSpec("total", "f32", ("batch",), kind="value"), TensorSpec("area", "i32", ("batch",), kind="decision")),
    )
    nodes = [
        node("Cast", ["photo"], "pixels", to=TensorProto.FLOAT), node("ReduceSum", ["pixels", "axes"], "total", keepdims=0),
        node("ReduceProd", ["photo_size"], "area", axes=[1], keepdims=0),
    ]  # fmt: skip

    def truth(inputs: Mapping[str, Array]) -> dict[str, Array]:
        photo = inputs["photo"]
        area = np.full(len(photo), photo.shape[1] * photo.shape[2], np.int32)
        return {"total": photo.sum(axis=(1, 2, 3), dtype=np.float32), "area": area}

    model = graph_model(signature, nodes, {"axes": np.array([1, 2, 3], np.int64)}, opset=17)
    return Sample("canvas", signature, model, truth, _photos, {"total": Rule("value"), "area": Rule("decision")})


def slow(nodes: int = 1500, width: int = 128) -> Sample:
    """A long chain of short steps: something to cancel."""
    signature = Signature((TensorSpec("x", "f32", ("batch", width)),), (TensorSpec("y", "f32", ("batch", width), kind="value"),))
    weight = np.eye(width, k=1, dtype=np.float32) * np.float32(0.5) + np.eye(width, dtype=np.float32)
    chain: list[NodeProto] = []
    value = "x"
    for index in range(nodes):
        chain += [node("MatMul", [value, "weight"], f"m{index}"), node("Tanh", [f"m{index}"], f"t{index}" if index < nodes - 1 else "y")]
        value = f"t{index}"

    def truth(inputs: Mapping[str, Array]) -> dict[str, Array]:
        held = inputs["x"]
        for _ in range(nodes):
            held = np.tanh(held @ weight)
        return {"y": held}

    return Sample("slow", signature, graph_model(signature, chain, {"weight": weight}), truth, _floats("x", width, np.float32),
                  {"y": Rule("value")})  # fmt: skip


def node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> NodeProto:
    """One ONNX node with one output."""
    return helper.make_node(op, list(inputs), [output], name=output, **attributes)


def graph_model(signature: Signature, nodes: Sequence[NodeProto], constants: Mapping[str, Array], opset: int = _OPSET) -> ModelProto:
    """A model whose rim is the signature's: rim dtypes, a size input after each canvas."""
    inputs = [value for spec in signature.inputs for value in _rim_values(spec)]
    outputs = [helper.make_tensor_value_info(spec.name, _ONNX[spec.rim_dtype], spec.shape) for spec in signature.outputs]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "main", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR)


def _rim_values(spec: TensorSpec) -> list[Any]:
    if spec.canvas is None:
        return [helper.make_tensor_value_info(spec.name, _ONNX[spec.rim_dtype], spec.shape)]
    shape = ("batch", *spec.canvas, spec.shape[-1])
    size = helper.make_tensor_value_info(f"{spec.name}_size", TensorProto.INT32, ("batch", 2))
    return [helper.make_tensor_value_info(spec.name, TensorProto.UINT8, shape), size]


def _mixed_inputs(rows: int) -> dict[str, Array]:
    random = np.random.default_rng(rows)
    return {"x": random.normal(size=(rows, 4)).astype(np.float32), "ids": random.integers(0, 100, rows), "on": random.random(rows) < 0.5}


def _mixed_truth(inputs: Mapping[str, Array]) -> dict[str, Array]:
    shift = inputs["ids"].astype(np.float32)[:, None] * np.array([0.01, -0.02, 0.03], np.float32)
    logits = inputs["x"] @ _WEIGHT + _BIAS + shift * inputs["on"][:, None].astype(np.float32)
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    first = logits[:, 0]
    return {"scores": exponent / exponent.sum(axis=1, keepdims=True), "label": logits.argmax(axis=1),
            "above": first > np.float32(0.5), "first": first.astype(np.float64)}  # fmt: skip


def _floats(name: str, width: int, dtype: type) -> Callable[[int], dict[str, Array]]:
    return lambda rows: {name: np.random.default_rng(rows).normal(size=(rows, width)).astype(dtype)}


def _photos(rows: int) -> dict[str, Array]:
    return {"photo": np.random.default_rng(rows).integers(0, 256, (rows, 4 + rows % 3, 5, 3), dtype=np.uint8)}


SAMPLES: Mapping[str, Callable[[], Sample]] = {
    "mixed": mixed, "scalar": scalar, "stateful": stateful, "canvas": canvas, "slow": slow,
}  # fmt: skip
"""Every sample by name; built when asked for."""
