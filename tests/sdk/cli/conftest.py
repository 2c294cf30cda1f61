"""A package small enough to write by hand: one graph, label = x1 + x2 > 1, with its contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, checker, helper

from portside.sdk.cli.main import main
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import Package, write
from portside.sdk.core.signature import Signature, TensorSpec


@dataclass(frozen=True)
class Said:
    """What one command line printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)


@pytest.fixture
def portside(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command line in this process."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return run


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """The package `sums`."""
    return written(tmp_path / "sums")


@pytest.fixture
def write_package() -> Callable[..., Package]:
    """Writes others like it: (folder, name, threshold) -> Package."""
    return written


def written(out: Path, name: str = "sums", threshold: float = 1.0) -> Package:
    """Write it as a folder."""
    stage = Stage("graph", "main", "program/00-main.onnx", ("x",), ("score", "label"))
    signature = Signature(
        inputs=(TensorSpec("x", "f32", ("batch", 2), unit="mm"),),
        outputs=(TensorSpec("score", "f32", ("batch",), kind="value"), TensorSpec("label", "i64", ("batch",), kind="decision")),
    )
    head, tensors = contract(threshold).to_bytes()
    files = {stage.file: graph(threshold), CONTRACT: head, CONTRACT_TENSORS: tensors}
    return write(Content(signature=signature, stages=(stage,), files={}), files, out, Annotations(name=name, fields={"owner": "ana"}))


def graph(threshold: float) -> bytes:
    """score = x1 + x2; label = score > threshold."""
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["score"], keepdims=0),
        helper.make_node("Greater", ["score", "threshold"], ["above"]),
        helper.make_node("Cast", ["above"], ["label"], to=TensorProto.INT32),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("threshold", TensorProto.FLOAT, [], [threshold]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch"])
    label = helper.make_tensor_value_info("label", TensorProto.INT32, ["batch"])
    made = helper.make_graph(nodes, "main", [x], [score, label], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return model.SerializeToString()


def contract(threshold: float) -> Contract:
    """Sixty-four rows, none near the threshold."""
    x = np.random.default_rng(0).integers(0, 9, (64, 2)).astype(np.float32) / 4 + np.float32(0.1)
    score = x.sum(1)
    outputs = {"score": score, "label": (score > threshold).astype(np.int64)}
    case = Case({"x": x}, outputs, firm={"label": np.ones(64, bool)}, why=("random",) * 64)
    return Contract((case,), {"score": Rule("value", scale=1.0), "label": Rule("decision")}, licence="CC0-1.0", shareable=True)
