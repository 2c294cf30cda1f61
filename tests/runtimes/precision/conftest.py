"""Graphs by hand, lowered and opened: what a class makes of them, what ONNX Runtime fuses, and how far the answers move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from portside.runtimes.onnx_engine import session_options_of
from portside.runtimes.onnx_extract import value_types
from portside.runtimes.precision.onnx_lower import graph_of, lower
from portside.runtimes.precision.onnx_nodes import candidates
from portside.runtimes.precision.onnx_static import needed_values
from portside.runtimes.segments import EngineOptions
from portside.sdk.core.plan import PrecisionPlan


def op(kind: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    """A node named after its output; inputs by spaces, "-" is none."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(kind, names, [output], name=output, **attributes)


def model_of(nodes: list[NodeProto], inputs: Mapping[str, Any], outputs: str, constants: Mapping[str, Any], opset: int = 18) -> ModelProto:
    """A model; the inputs are examples, whose dtype and rank are kept."""
    given = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), ["n", *value.shape[1:]])
             for name, value in inputs.items()]  # fmt: skip
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.split()]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", given, made, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: ModelProto, inputs: Mapping[str, Any], save: Path | None = None, optimize: str = "all") -> dict[str, Any]:
    """Outputs by name."""
    options = session_options_of(EngineOptions(threads=1, optimize=optimize, save_optimized=save))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def seen(model: ModelProto, names: list[str], inputs: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The range that each value takes."""
    wider = ModelProto()
    wider.CopyFrom(model)
    own = {value.name for value in model.graph.output}
    inner = [name for name in names if name not in inputs and name not in own]
    wider.graph.output.extend(value_types(model, inner).values() if inner else [])
    found = {**run(wider, inputs, optimize="none"), **inputs}
    return {name: (float(found[name].min()), float(found[name].max())) for name in names}


@dataclass
class Lowered:
    """One lowering: the model, why nodes stayed float, answers before, after and after without fusing, what the engine runs."""

    model: ModelProto
    kept: dict[str, str]
    able: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    plain: dict[str, Any]
    ran: Counter[str]

    def error(self, name: str = "y") -> float:
        """Root mean square difference over the spread of the float answer."""
        apart = self.after[name].astype(np.float64) - self.before[name]
        return float(np.sqrt(np.mean(apart**2)) / max(float(np.std(self.before[name])), 1e-9))

    @property
    def kinds(self) -> Counter[str]:
        """Operators of the file."""
        return Counter(node.op_type for node in self.model.graph.node)

    def stored(self, dtype: type) -> int:
        """Elements of constants of this dtype."""
        held = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return sum(int(np.prod(tensor.dims)) for tensor in self.model.graph.initializer if tensor.data_type == held)


@pytest.fixture
def lowered(tmp_path):
    """(model, class, inputs, per_channel=True, only=None, plan=None) -> Lowered; the file passes the checker and opens."""

    def make(model, precision, inputs, *, per_channel=True, only=None, ranges=None):
        graph = graph_of(model, {})
        able = candidates(graph, precision)
        nodes = [name for name in able if only is None or name in only]
        if ranges is None:
            ranges = seen(model, needed_values(graph, set(nodes)), inputs) if precision == "int8-static" else {}
        before = model.SerializeToString(deterministic=True)
        made, kept = lower(model, PrecisionPlan(dict.fromkeys(nodes, precision), ranges, per_channel), {})
        assert model.SerializeToString(deterministic=True) == before, "the float model was changed"
        onnx.checker.check_model(made, full_check="com.microsoft" not in [held.domain for held in made.opset_import])
        saved = tmp_path / "optimized.onnx"
        after, plain = run(made, inputs, saved), run(made, inputs, optimize="none")
        ran = Counter(node.op_type for node in onnx.load(str(saved)).graph.node)
        return Lowered(made, kept, able, run(model, inputs), after, plain, ran)

    return make


@pytest.fixture(scope="session")
def graphs():
    """`op`, `model_of`, `run` and `weights`, for graphs by hand."""

    class Graphs:
        op, model, run, seen = staticmethod(op), staticmethod(model_of), staticmethod(run), staticmethod(seen)

        @staticmethod
        def draw(*shape, seed=0, scale=1.0):
            return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)

    return Graphs
