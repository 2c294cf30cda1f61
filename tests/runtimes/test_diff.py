"""diff: relation, signature, files, weights, plan, recipe and contract of two packages; what is equal is left out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions, runtime
from portside.runtimes.diff import diff, relation
from portside.runtimes.onnx_weights import pack_files
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.store import Store

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 32)),), (TensorSpec("y", "f32", ("batch", 32), kind="value"),))


@pytest.fixture
def made(tmp_path):
    """(name, weight scale, rule, content fields) -> a package of one matrix product."""

    def make(name, scale=1.0, rule=None, signature=SIGNATURE, **content):
        weight = np.eye(32, dtype=np.float32) * np.float32(scale)
        model = graph_model(SIGNATURE, [node("MatMul", ["x", "weight"], "y")], {"weight": weight})
        x = np.ones((4, 32), np.float32)
        head, tensors = Contract((Case({"x": x}, {"y": x @ weight}, why=("random",) * 4),), {"y": rule or Rule("value")}).to_bytes()
        stage = Stage("graph", "main", "program/00-main.onnx", ("x",), ("y",))
        held = {**pack_files([("main", model)]), CONTRACT: head, CONTRACT_TENSORS: tensors}
        return write(Content(signature, (stage,), {}, **content), held, tmp_path / name, Annotations(name=name))

    return make


def test_a_package_does_not_differ_from_itself(any_sample, tmp_path):
    package = any_sample.write(tmp_path / "one")
    found = diff(package, package)
    assert found.same
    assert found.relation == "the same package"
    assert not any((found.signature, found.stages, found.files, found.weights_bytes, found.plan, found.recipe, found.contract, found.codec))
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_differs_is_named_on_both_sides(made):
    plan = PrecisionPlan({"main/MatMul_0": "int8-static"}, {"main/x": (-1.0, 1.0)})
    edited = SIGNATURE.edit("x", unit="mm", range=(0, 1))
    first = made("first", recipe=({"kind": "prune"},))
    second = made("second", 2.0, Rule("value", {"p95": 0.1}), edited, plan=plan.to_dict(), parents=(first.digest,),
                  recipe=({"kind": "prune"}, {"kind": "quantize", "method": "int8"}))  # fmt: skip
    found = diff(first, second)
    assert found.relation == "B is derived from A, in 1 step"
    assert found.plan == {"main/MatMul_0": {"a": None, "b": "int8-static"}}
    assert found.recipe == {"a": [], "b": [{"kind": "quantize", "method": "int8"}]}
    assert found.signature["in x.unit"] == {"a": None, "b": "mm"}
    assert list(found.contract) == ["rule of y"]
    assert "program/weights.safetensors" in found.files
    assert found.files["program/weights.safetensors"]["a"] == found.files["program/weights.safetensors"]["b"]
    assert (found.weights_bytes, found.stages) == ({}, {})
    json.dumps(found.to_dict(), allow_nan=False)
    assert diff(second, first).plan == {"main/MatMul_0": {"a": "int8-static", "b": None}}


def test_other_models_have_other_tensors_stages_and_weights(made, tmp_path):
    found = diff(made("first"), samples.mixed().write(tmp_path / "mixed"))
    assert found.relation == "no common ancestor is known"
    assert found.signature["out y.dtype"] == {"a": "f32", "b": None}
    assert found.signature["out label.dtype"] == {"a": None, "b": "i64"}
    assert found.weights_bytes["float"]["a"] == 32 * 32 * 4
    assert list(found.stages) == ["main"]


def test_relations_go_by_parents(made):
    root = made("root")
    child = made("child", 2.0, parents=(root.digest,))
    grandchild = made("grandchild", 3.0, parents=(root.digest, child.digest))
    cousin = made("cousin", 4.0, parents=(root.digest,))
    assert relation(root, grandchild) == "B is derived from A, in 2 steps"
    assert relation(grandchild, child) == "A is derived from B, in 1 step"
    assert relation(grandchild, cousin) == f"both are derived from {root.digest[:19]}"


def test_artifacts_are_related_by_their_packages(made, tmp_path):
    root = made("root")
    child = made("child", 2.0, parents=(root.digest,))
    artifacts = [runtime("onnx-cpu").compile(held, CompileOptions(), tmp_path / f"{held.name}-artifact") for held in (root, child)]
    assert relation(root, artifacts[0]) == "B is compiled from the other"
    assert relation(artifacts[0], root) == "A is compiled from the other"
    assert relation(artifacts[0], replace(artifacts[0], target="other")) == "two artifacts of one package"
    assert relation(root, artifacts[1]) == "no common ancestor is known"
    Store().push(root)
    Store().push(child)
    assert relation(root, artifacts[1]) == "B is derived from A, in 1 step"
    found = diff(root, artifacts[0])
    assert (found.a["kind"], found.b["kind"], found.b["target"]) == ("package", "artifact", "onnx-cpu")
    assert "weights_bytes" in found.to_dict()
