"""What an artifact costs beside float, or beside its parent: it is measured at a compile, and what is slower or larger is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from portside.runtimes import costs
from portside.runtimes.artifact import open_artifact
from portside.runtimes.compiling import compile  # noqa: A004 - its public name
from portside.runtimes.costs import Costs
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.package import write
from portside.sdk.core.signature import Signature, TensorSpec

SMALL, LARGE = 8, 128


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Nobody looks at a latency."""
    monkeypatch.setattr(costs, "REPEATS", 2)
    monkeypatch.setattr(costs, "SECONDS", 0.002)


@pytest.fixture
def product(make_package, tmp_path):
    """(width, content fields) -> a package that multiplies by a square of weights."""

    def make(width, name="product", weight=1.0, **content):
        signature = Signature((TensorSpec("x", "f32", ("batch", width)),), (TensorSpec("y", "f32", ("batch", width), kind="value"),))
        random = np.random.default_rng(0)
        w = (random.normal(size=(width, width)) * weight).astype(np.float32)
        x = random.normal(size=(64, width)).astype(np.float32)
        case = Case({"x": x}, {"y": x @ w}, why=("random",) * 64)
        made = make_package(signature, [("main", graph_model(signature, [node("MatMul", ["x", "w"], "y")], {"w": w}))], cases=[case],
                            rules={"y": Rule("value", {"p95": 0.2})}, name=f"{name}-plain")  # fmt: skip
        files = {held: made.path / held for held in made.content.files}
        return write(replace(made.content, **content), files, tmp_path / name, made.manifest.annotations)

    return make


HALVES = {"nodes": {"main/y": "float16"}}


def test_a_lossy_artifact_is_held_against_the_same_package_in_float(product, tmp_path):
    artifact = compile(product(LARGE, plan=HALVES), out=tmp_path / "out" / "artifact", allow_unproven=True)
    held = open_artifact(artifact.path).verified["costs"]
    assert held["against"] == "float"
    assert 0.4 < held["size_ratio"] < 0.7
    assert 0 < held["low"] <= held["high"]
    assert not [remark for remark in held["remarks"] if remark.startswith("larger")]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["artifact"]
    assert OnnxCpu().name == artifact.target
    assert Costs.from_dict(held).to_dict() == held


@pytest.mark.long
@pytest.mark.slow
def test_a_target_that_lowers_in_a_process_of_its_own_opens_the_float_package(product, tmp_path):
    held = compile(product(LARGE, plan=HALVES), "tflite", tmp_path / "artifact", allow_unproven=True).verified["costs"]
    assert held["against"] == "float" and held["size_ratio"] < 0.8


def test_what_is_larger_than_float_says_so(product, tmp_path):
    rounded = {"nodes": {"main/y": "int8-static"}, "ranges": {"main/x": (-4, 4), "main/y": (-12, 12)}}
    held = compile(product(SMALL, plan=rounded), out=tmp_path / "artifact", allow_unproven=True).verified["costs"]
    assert held["size_ratio"] > 1
    assert f"larger than float: {held['size_ratio']:.2f}x of its bytes" in held["remarks"]


def test_a_package_without_a_plan_is_held_against_its_parent_where_that_is_at_hand(product, tmp_path):
    parent = product(SMALL, "parent")
    held = compile(product(LARGE, "child", parents=(parent.digest,)), out=tmp_path / "artifact").verified["costs"]
    assert held["against"] == "parent" and held["size_ratio"] > 1
    assert any(remark.startswith("larger than parent") for remark in held["remarks"])
    assert "costs" not in compile(product(LARGE, "orphan", parents=("sha256:" + "0" * 64,)), out=tmp_path / "other").verified


def test_folders_beside_it_that_may_not_be_read_are_passed_over(product, tmp_path, monkeypatch):
    parent = product(SMALL, "parent")
    child = product(LARGE, "child", parents=(parent.digest,))
    (tmp_path / "a-closed").mkdir()
    seen = Path.is_file

    def closed(self):
        if self.parent.name == "a-closed":
            raise PermissionError(13, "closed", str(self))
        return seen(self)

    monkeypatch.setattr(Path, "is_file", closed)
    assert compile(child, out=tmp_path / "artifact").verified["costs"]["against"] == "parent"


def test_what_has_nothing_beside_it_or_is_not_proven_is_not_compared(product, tmp_path):
    assert "costs" not in compile(product(SMALL), out=tmp_path / "artifact").verified
    assert compile(product(SMALL, "halved", plan=HALVES), out=tmp_path / "unproven", prove=False).verified == {}


def test_a_float_artifact_that_cannot_be_made_is_noted_and_stops_nothing(product, tmp_path, monkeypatch):
    whole = OnnxCpu.compile

    def only_lossy(self, package, options, out):
        if package.content.plan is None:
            raise UnsupportedError("too large in float")
        return whole(self, package, options, out)

    monkeypatch.setattr(OnnxCpu, "compile", only_lossy)
    held = compile(product(LARGE, plan=HALVES), out=tmp_path / "artifact", allow_unproven=True).verified["costs"]
    assert held == {"note": "not compared with float: too large in float."}


def test_what_was_opened_is_closed_where_the_other_does_not_open(product, tmp_path, monkeypatch):
    whole, opened, closed = OnnxCpu.load, [], []

    def first_alone(self, path, options):
        if opened:
            raise UnsupportedError("does not open")
        session = whole(self, path, options)
        opened.append(session)
        monkeypatch.setattr(type(session), "close", lambda held: closed.append(held))
        return session

    one = product(SMALL)
    artifact = compile(one, out=tmp_path / "artifact", prove=False)
    monkeypatch.setattr(OnnxCpu, "load", first_alone)
    with pytest.raises(UnsupportedError):
        costs._latencies(OnnxCpu(), (artifact, one), (artifact, one))
    assert len(opened) == 1 and closed == opened


@pytest.mark.parametrize(
    ("ratios", "remarks"),
    [
        ((1.13, 1.10, 1.16), ("slower than float: 1.13x (1.10-1.16) of its latency",)), ((1.13, 0.97, 1.4), ()), ((1.04, 1.02, 1.06), ()),
        ((0.5, 0.4, 0.6), ()),
    ],
)  # fmt: skip
def test_slower_is_what_is_slower_in_every_repeat(ratios, remarks):
    assert Costs("float", 0.3, *ratios).remarks == remarks
    assert "0.30x of the bytes" in str(Costs("float", 0.3, *ratios))
