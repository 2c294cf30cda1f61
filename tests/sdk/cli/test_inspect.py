"""`portside inspect` says what precision a package asks for, what an artifact has, and what stayed float and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import portside as ps
from portside.runtimes.artifact import amend, open_artifact
from portside.runtimes.base import CompileOptions
from portside.runtimes.costs import Costs
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.samples import Sample, graph_model, node
from portside.sdk.core.contract import Rule
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 48)),), (TensorSpec("y", "f32", ("batch", 48), kind="value"),))
WEIGHT = np.random.default_rng(0).normal(size=(48, 48)).astype(np.float32) / 7


@pytest.fixture
def products(tmp_path):
    """Two products of one kind, named "h" and "y"."""
    model = graph_model(SIGNATURE, [node("MatMul", ["x", "weight"], "h"), node("MatMul", ["h", "weight"], "y")], {"weight": WEIGHT})
    truth = lambda held: {"y": held["x"] @ WEIGHT @ WEIGHT}  # noqa: E731
    draw = lambda rows: {"x": np.random.default_rng(rows).normal(size=(rows, 48)).astype(np.float32)}  # noqa: E731
    return Sample("products", SIGNATURE, model, truth, draw, {"y": Rule("value")}).write(tmp_path / "products")


@pytest.fixture
def planned(products, tmp_path):
    """The same in int8, one product kept."""
    recipe = ps.Recipe([ps.Quantize("int8-static", keep=("main/h",))])
    x = np.random.default_rng(5).normal(size=(200, 48)).astype(np.float32)
    return ps.compress(products, recipe, ps.Data({"x": x}), out=tmp_path / "planned")


def line(said, name):
    return next(held for held in said.out.splitlines() if held.startswith(name))


def test_a_package_shows_its_plan(portside, planned):
    said = portside("inspect", planned.path)
    assert said.code == 0
    assert line(said, "precision").endswith("lossy: int8-static 1 nodes, 1 kept in float32")
    assert "method min-max, rows 200" in line(said, "calibrated")
    assert line(said, "main/h").endswith("asked for")
    assert portside("inspect", planned.path, "--json").json["plan"]["nodes"] == {"main/y": "int8-static"}


def test_a_package_without_a_plan_says_nothing_of_precision(portside, products):
    said = portside("inspect", products.path)
    assert "precision" not in said.out
    assert "kept in float32" not in said.out


def test_an_artifact_shows_what_was_achieved(portside, planned, products, tmp_path):
    OnnxCpu().compile(planned, CompileOptions(), tmp_path / "artifact")
    said = portside("inspect", tmp_path / "artifact")
    assert "lossy: int8-static 1 nodes, 1 kept in float32" in line(said, "precision")
    assert "int8" in line(said, "weights")
    assert line(said, "main/h").endswith("asked for")
    assert "costs" not in said.out, "it was held against nothing"
    costs = Costs("float", 0.5, 1.2, 1.1, 1.3).to_dict()
    amend(open_artifact(tmp_path / "artifact"), verified={"verdict": "passed", "costs": costs})
    costly = line(portside("inspect", tmp_path / "artifact"), "costs")
    assert costly.endswith("0.50x of the bytes, 1.20x (1.10-1.30) of the latency of float")
    OnnxCpu().compile(products, CompileOptions(), tmp_path / "float")
    said = portside("inspect", tmp_path / "float")
    assert line(said, "precision").split() == ["precision", "float"]


def test_a_lossy_artifact_without_a_plan_is_said_to_be_lossy(products, tmp_path):
    from portside.sdk.cli.inspect import _artifact

    artifact = replace(OnnxCpu().compile(products, CompileOptions(), tmp_path / "float"), lossy=True)
    assert "lossy\n" in _artifact(artifact).text


def test_code_that_training_would_run_is_named_and_not_run(portside, products, tmp_path):
    files = {name: products.read(name) for name in products.content.files}
    code = b"raise SystemExit('it ran')"
    files |= {"training/net.py": code, "training/training.json": b"{}"}
    made = write(replace(products.content, files={}), files, tmp_path / "made")
    assert line(portside("inspect", made.path), "trains with").split(maxsplit=2)[2] == "training/net.py"
    assert "trains with" not in portside("inspect", products.path).out


def test_smoothing_is_shown(portside, products, tmp_path):
    x = np.random.default_rng(5).normal(size=(200, 48)).astype(np.float32)
    x[:, 3] *= 60  # a channel that all others are rounded away beside
    ps.compress(products, ps.Recipe([ps.Quantize("int8-dynamic", smooth=True)]), ps.Data({"x": x}), out=tmp_path / "smoothed")
    assert line(portside("inspect", tmp_path / "smoothed"), "smoothed").split(maxsplit=1)[1].startswith("activations of ")
    assert "smoothed" not in portside("inspect", products.path).out
