"""Gates of a compile: from the caller and the recipe, against the first parent, on the evidence set; what fails is not written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portside.runtimes.artifact import open_artifact
from portside.runtimes.compiling import compile  # noqa: A004 - its public name
from portside.runtimes.gating import ancestor_of, gates_of
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.budget import Budget
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.data import Data
from portside.sdk.core.errors import ContractError, FormatError, InputError, StoreError
from portside.sdk.core.expectations import FILE, Direction, Invariance, to_bytes
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Annotations, Content, Stage
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.store import Store

ROWS = 700
X = np.random.default_rng(0).random((ROWS, 2)).astype(np.float32)
DATA = Data({"x": X}, labels=(X.sum(1) > 1).astype(np.int64), slices={"side": np.where(X[:, 0] > 0.5, "right", "left")})
SIGNATURE = Signature(
    (TensorSpec("x", "f32", ("batch", 2)),),
    (TensorSpec("label", "i64", ("batch",), kind="decision"), TensorSpec("total", "f32", ("batch",), kind="value")),
)
GATES = Budget(max_drop=0.01, max_slice_drop=0.02, max_flips=0.01)


@pytest.fixture
def made(tmp_path):
    """(name, threshold, content fields) -> a package whose label is x1 + x2 > threshold."""

    def make(name: str, threshold: float = 1.0, files=None, **content):
        nodes = [node("ReduceSum", ["x", "axes"], "total", keepdims=0), node("Greater", ["total", "threshold"], "above"),
                 node("Cast", ["above"], "label", to=6)]  # fmt: skip
        constants = {"axes": np.array([1], np.int64), "threshold": np.array(threshold, np.float32)}
        model = graph_model(SIGNATURE, nodes, constants).SerializeToString(deterministic=True)
        total = X[:64].sum(1)
        case = Case({"x": X[:64]}, {"total": total, "label": (total > threshold).astype(np.int64)}, why=("random",) * 64)
        head, tensors = Contract((case,), {"label": Rule("decision"), "total": Rule("value")}).to_bytes()
        stage = Stage("graph", "main", "program/00-main.onnx", ("x",), ("total", "label"))
        held = {stage.file: model, CONTRACT: head, CONTRACT_TENSORS: tensors, **(files or {})}
        return write(Content(SIGNATURE, (stage,), {}, **content), held, tmp_path / "made" / name, Annotations(name=name))

    return make


def test_an_artifact_that_passes_says_what_it_passed(made, tmp_path):
    package = made("first")
    artifact = compile(package, out=tmp_path / "out", gates=GATES, data=DATA)
    held = open_artifact(artifact.path).verified["audit"]
    assert (held["verdict"], held["rows"], held["ancestor"]) == ("passed", ROWS, package.digest)
    assert [gate["verdict"] for gate in held["gates"]] == ["passed"] * 3
    assert artifact.verified["verdict"] == "passed"


@pytest.mark.parametrize(
    ("gates", "rows", "word"),
    [
        (GATES, DATA, "max_drop: failed"), (Budget(max_flips=0.01), DATA, "max_flips: failed"), (Budget(max_flips=0.0), DATA, "failed"),
        (Budget(max_slice_drop=0.2), DATA.take(range(3)), "not enough data"), (Budget(max_drop=0.5), Data({"x": X}), "labels are needed"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_pass_is_not_written(gates, rows, word, made, tmp_path):
    parent = made("first")
    child = made("second", 1.3, parents=(parent.digest,))
    with pytest.raises(ContractError, match=word) as caught:
        compile(child, out=tmp_path / "out" / "artifact", gates=gates, data=rows, allow_unproven=True)
    assert caught.value.report.ancestor == parent.digest
    assert caught.value.report.verdict != "passed"
    assert list((tmp_path / "out").glob("*")) == []


def test_a_gate_that_no_rows_can_prove_stops_a_perfect_artifact(made, tmp_path):
    with pytest.raises(ContractError, match="no number of rows"):
        compile(made("first"), out=tmp_path / "out", gates=Budget(max_drop=0.0), data=DATA)
    assert not (tmp_path / "out").exists()


def test_gates_travel_in_the_recipe_and_ask_the_evidence(made, tmp_path):
    digest = Store().put_evidence(DATA)
    step = {"kind": "gates", "max_flips": 0.01}
    artifact = compile(made("good", evidence=digest, recipe=(step,)), out=tmp_path / "out")
    assert artifact.verified["audit"]["gates"][0]["limit"] == 0.01
    parent = made("first")
    bad = made("bad", 1.3, evidence=digest, recipe=({"kind": "quantize"}, step), parents=(parent.digest,))
    with pytest.raises(ContractError, match="max_flips: failed"):
        compile(bad, out=tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    assert "audit" not in compile(bad, out=tmp_path / "unproven", prove=False).verified


def test_without_gates_nothing_is_audited(made, tmp_path):
    assert "audit" not in compile(made("first"), out=tmp_path / "out", data=DATA).verified
    assert "audit" not in compile(made("again"), out=tmp_path / "out", gates=Budget()).verified


def test_of_two_limits_the_stricter_holds(made):
    package = made("first", recipe=({"kind": "gates", "max_flips": 0.01, "max_drop": 0.2}, {"kind": "gates", "max_flips": 0.02}))
    assert gates_of(package, Budget(max_drop=0.1, max_slice_drop=0.3)) == Budget(max_flips=0.01, max_drop=0.1, max_slice_drop=0.3)
    assert gates_of(made("plain")) is None


def test_gates_that_are_none_are_refused(made, tmp_path):
    with pytest.raises(InputError, match="not cost"):
        compile(made("a"), out=tmp_path / "out", gates=Budget(size_mb=1), data=DATA)
    with pytest.raises(InputError, match="proves nothing"):
        compile(made("b"), out=tmp_path / "out", gates=GATES, data=DATA, prove=False)
    with pytest.raises(FormatError, match="recipe"):
        compile(made("c", recipe=({"kind": "gates", "max_regret": 1},)), out=tmp_path / "out", data=DATA)
    with pytest.raises(FormatError, match="recipe"):
        compile(made("d", recipe=({"kind": "gates", "max_flips": "few"},)), out=tmp_path / "out", data=DATA)


def test_rows_that_are_not_there_are_named(made, tmp_path):
    with pytest.raises(ContractError, match="no rows to judge"):
        compile(made("a"), out=tmp_path / "out", gates=GATES)
    with pytest.raises(ContractError, match="not in this store"):
        compile(made("b", evidence="sha256:" + "0" * 64), out=tmp_path / "out", gates=GATES)


def test_the_ancestor_is_named_or_the_first_parent_or_the_package(made):
    first, second = made("first"), made("second", 1.1)
    child = made("third", parents=(first.digest, second.digest))
    assert ancestor_of(child).digest == first.digest, "it lies beside the child"
    assert ancestor_of(child, second).digest == ancestor_of(child, second.path).digest == second.digest
    moved = replace(child, path=child.path / "elsewhere" / "third")
    moved.path.mkdir(parents=True)
    assert ancestor_of(moved).digest == child.digest
    Store().push(first)
    assert ancestor_of(moved).digest == first.digest
    with pytest.raises(StoreError):
        ancestor_of(child, "nobody:3")


def test_a_failed_expectation_stops_a_gated_compile(made, tmp_path):
    kept = {FILE: to_bytes([Direction("x", "total", by=1.0), Invariance("x", scale=0.1)])}
    with pytest.raises(ContractError, match=r"invariance: scale 0\.1 in x: failed"):
        compile(made("first", files=kept), out=tmp_path / "out", gates=GATES, data=DATA)
