"""A small classifier whose layers can be quantized, and rows for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from sklearn.datasets import load_breast_cancer

import portside as ps
from portside.compress import rungs, trials
from portside.runtimes.samples import Sample
from portside.sdk.core.contract import Rule
from portside.sdk.core.expectations import FILE, Expectation, to_bytes
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

WIDTH, HIDDEN, CLASSES = 16, 64, 3


def classifier(outlier: float = 1.0, seed: int = 0) -> ModelProto:
    """Two layers and a head whose first weight is `outlier` times as large: per-tensor codes then lose the others."""
    random = np.random.default_rng(seed)
    sizes = [(HIDDEN, WIDTH), (HIDDEN, HIDDEN), (CLASSES, HIDDEN)]
    weights = [(random.normal(size=size) / np.sqrt(size[1])).astype(np.float32) for size in sizes]
    weights[2][:, 0] *= outlier
    weights[1][0] /= outlier  # what feeds the large weight is small in turn
    tensors = [numpy_helper.from_array(value, f"w{place}") for place, value in enumerate(weights)]
    biases = [random.normal(size=size[0]).astype(np.float32) * 0.1 for size in sizes]
    tensors += [numpy_helper.from_array(value, f"b{place}") for place, value in enumerate(biases)]
    nodes, value = list[Any](), "x"
    for place in range(3):
        made = "logits" if place == 2 else f"h{place}"
        nodes.append(helper.make_node("Gemm", [value, f"w{place}", f"b{place}"], [made], name=f"Gemm_{place}", transB=1))
        value = made
        if place < 2:
            nodes.append(helper.make_node("Relu", [value], [f"r{place}"], name=f"Relu_{place}"))
            value = f"r{place}"
    nodes.append(helper.make_node("Softmax", ["logits"], ["score"], name="Softmax", axis=1))
    nodes.append(helper.make_node("ArgMax", ["logits"], ["label64"], name="ArgMax", axis=1, keepdims=0))
    nodes.append(helper.make_node("Cast", ["label64"], ["label"], name="Cast", to=TensorProto.INT32))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])]
    label = helper.make_tensor_value_info("label", TensorProto.INT32, ["batch"])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "main", inputs, [label, score], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def sample(outlier: float = 1.0) -> Sample:
    """The classifier with its truth."""
    model = classifier(outlier)
    engine = ort.InferenceSession(model.SerializeToString())

    def truth(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip(("label", "score"), engine.run(["label", "score"], dict(inputs)), strict=True))

    signature = Signature(
        (TensorSpec("x", "f32", ("batch", WIDTH)),),
        (TensorSpec("label", "i32", ("batch",), kind="decision"), TensorSpec("score", "f32", ("batch", CLASSES), kind="score")),
    )
    rules = {"label": Rule("decision"), "score": Rule("score")}
    return Sample("classifier", signature, model, truth, lambda rows: {"x": draw(rows)}, rules)


def draw(rows: int, seed: int = 1) -> Any:
    """Inputs."""
    return np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)


def labelled(package: ps.Package, rows: int, seed: int) -> ps.Data:
    """Rows labelled by the package itself, a tenth of them wrongly, in two slices."""
    x = draw(rows, seed)
    labels = np.asarray(package.predict({"x": x})["label"]).astype(np.int64)
    labels[::10] = (labels[::10] + 1) % CLASSES
    return ps.Data({"x": x}, labels=labels, slices={"site": np.where(x[:, 0] > 0, "north", "south")})


@pytest.fixture
def expecting() -> Callable[..., ps.Package]:
    """Writes a package again, with expectations of its own: (package, folder, *expectations) -> Package."""

    def write_again(package: ps.Package, out: Path, *expectations: Expectation) -> ps.Package:
        files = {name: package.path / name for name in package.content.files}
        return write(replace(package.content, files={}), {**files, FILE: to_bytes(expectations)}, out, package.manifest.annotations)

    return write_again


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latency is measured briefly: tests do not look at it."""
    monkeypatch.setattr(trials, "REPEATS", 2)
    monkeypatch.setattr(trials, "SECONDS", 0.005)
    monkeypatch.setattr(rungs, "SLOWER", 1000.0)


@pytest.fixture
def network(tmp_path: Path) -> ps.Package:
    """The package."""
    return sample().write(tmp_path / "network")


@pytest.fixture
def fragile(tmp_path: Path) -> ps.Package:
    """The same with a head that int8 ruins."""
    return sample(outlier=3000.0).write(tmp_path / "fragile")


@pytest.fixture
def rows(network: ps.Package) -> ps.Data:
    """1,200 labelled rows to judge on: with a limit of 5% on flips, more than enough."""
    return labelled(network, 1200, 2)


@pytest.fixture
def calibration(network: ps.Package) -> ps.Data:
    """200 rows."""
    return labelled(network, 200, 3)


@pytest.fixture(scope="module")
def cancer():
    """Features (569, 30) and labels of scikit-learn's breast cancer data, shuffled."""
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return x[order], y[order]
