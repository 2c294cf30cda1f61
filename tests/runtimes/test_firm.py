"""Firm rows: the cut is found where an answer becomes discrete, and rows near another decision are fragile."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from portside.runtimes.cut import find
from portside.runtimes.firm import Firmness, tolerance
from portside.runtimes.onnx_weights import pack_files
from portside.sdk.core.manifest import Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
CONSTANTS = {
    "half": np.float32(0.5), "one": np.float32(1), "zero": np.float32(0), "w": np.eye(3, dtype=np.float32), "axis": np.array([1], np.int64),
}  # fmt: skip


def model(nodes: list[tuple[str, list[str], str]], output: str, kind: int = INT, shape: tuple[str | int, ...] = ("batch",)) -> ModelProto:
    """A graph of (operator, inputs, output) on `x` (batch, 3)."""
    extra = {"ArgMax": {"axis": 1, "keepdims": 0}, "Softmax": {"axis": 1}, "Cast": {"to": INT}, "CastFloat": {"to": FLOAT}}
    made = [helper.make_node(op.removesuffix("Float"), reads, [name], **extra.get(op, {})) for op, reads, name in nodes]
    used = {name for _, reads, _ in nodes for name in reads}
    graph = helper.make_graph(
        made, "main", [helper.make_tensor_value_info("x", FLOAT, ["batch", 3])], [helper.make_tensor_value_info(output, kind, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in CONSTANTS.items() if name in used],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


LOGITS = ("MatMul", ["x", "w"], "logits")
SOFT = ("Softmax", ["logits"], "p")
ARGMAX = ("ArgMax", ["p"], "label")


def test_the_cut_is_the_last_float_value() -> None:
    assert find(model([LOGITS, SOFT, ARGMAX], "label"), "label").values == ("p",)


def test_the_cut_is_the_models_boundary_where_everything_goes_through_it() -> None:
    assert find(model([LOGITS, SOFT, ARGMAX], "label"), "label", ["logits"]).values == ("logits",)


def test_a_boundary_that_is_passed_by_is_not_the_cut() -> None:
    nodes = [LOGITS, ("Add", ["logits", "x"], "sum"), ("ArgMax", ["sum"], "label")]
    assert find(model(nodes, "label"), "label", ["logits"], ["x"]).values == ("sum",)


def test_a_model_that_decides_itself_is_cut_inside() -> None:
    nodes = [LOGITS, ("ArgMax", ["logits"], "model"), ("Identity", ["model"], "label")]
    assert find(model(nodes, "label"), "label", ["model"]).values == ("logits",)


def test_floats_that_hold_integers_are_walked_through() -> None:
    nodes = [LOGITS, ("ArgMax", ["logits"], "best"), ("CastFloat", ["best"], "number"), ("Cast", ["number"], "label")]
    assert find(model(nodes, "label"), "label").values == ("logits",)


def test_a_choice_between_constants_is_discrete() -> None:
    nodes = [LOGITS, ("Greater", ["logits", "half"], "above"), ("Where", ["above", "one", "zero"], "flag"), ("Cast", ["flag"], "label")]
    assert find(model(nodes, "label", shape=("batch", 3)), "label").values == ("logits",)


def test_inputs_are_exact() -> None:
    cut = find(model([("ArgMax", ["x"], "label")], "label"), "label", (), ["x"])
    assert (cut.values, cut.others) == ((), ("x",))
    assert find(model([("ArgMax", ["x"], "label")], "label"), "label").values == ("x",), "an earlier stage's output is not exact"


def test_an_output_of_constants_has_no_cut() -> None:
    assert find(model([LOGITS, ("Cast", ["one"], "label")], "label", shape=()), "label").values == ()


@pytest.fixture
def argmax(tmp_path):
    """x (batch, 3) -> label: where the largest of x @ I is."""
    signature = Signature((TensorSpec("x", "f32", ("batch", 3), missing=True),), (TensorSpec("label", "i64", ("batch",)),))
    graph = model([LOGITS, ("ArgMax", ["logits"], "label")], "label")
    stage = Stage("graph", "main", "program/00-main.onnx", ("x",), ("label",))
    return write(Content(signature, (stage,), {}, boundaries={"model": ("logits",)}), pack_files([("main", graph)]), tmp_path / "p")


def test_rows_of_an_argmax_are_firm_by_their_margin(argmax) -> None:
    x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    limit = tolerance(x)
    for row, share in enumerate(np.linspace(0, 4, 60)):  # margins from a tie to four tolerances
        x[row] = [1, 1 + share * limit, -1]
    firm = Firmness(argmax, ["label"])
    mask = firm.mask({"x": x})["label"]
    ordered = np.sort(x, axis=1)
    margin = ordered[:, 2] - ordered[:, 1]
    assert mask[margin > 2.05 * tolerance(x)].all()
    assert not mask[margin < 0.5 * tolerance(x)].any()
    steps = firm.margins({"x": x})
    assert ((steps == 0) == ~mask).all()
    assert steps[margin > 0.5].min() > steps[margin < 5 * tolerance(x)].max()
    firm.close()


def test_firm_rows_are_the_same_every_time(argmax) -> None:
    x = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32) * 1e-3
    one, two = (Firmness(argmax, ["label"]).mask({"x": x})["label"] for _ in range(2))
    assert (one == two).all()


def test_a_decision_on_nan_is_fragile(argmax) -> None:
    x = np.array([[1, np.nan, 0], [1, 0, 0]], np.float32)
    assert Firmness(argmax, ["label"]).mask({"x": x})["label"].tolist() == [False, True]


def test_without_discrete_outputs_there_is_nothing_to_say(argmax) -> None:
    firm = Firmness(argmax, [])
    assert firm.mask({"x": np.zeros((2, 3), np.float32)}) == {}
    assert firm.margins({"x": np.zeros((2, 3), np.float32)}) is None


def test_tolerance_follows_the_kind() -> None:
    assert tolerance(np.array([0.0, 0.5, 1.0], np.float32)) == 1e-4
    assert tolerance(np.array([0.0, 10.0, 20.0, np.inf], np.float32)) == pytest.approx(1e-3)
