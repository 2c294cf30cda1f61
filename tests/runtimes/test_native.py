"""Native stages among other stages: they stand alone, are copied, and open in their own engine."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portside as ps
from portside.runtimes.assemble import assemble
from portside.runtimes.opening import open_segments
from portside.runtimes.reference import Reference
from portside.runtimes.samples import graph_model, node
from portside.runtimes.segments import EngineOptions, SegmentSpec, stage_segment
from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.errors import FormatError, MissingExtraError, UnsupportedError
from portside.sdk.core.manifest import CONTRACT, CONTRACT_TENSORS, Content, Stage
from portside.sdk.core.package import Package, open_folder, write
from portside.sdk.core.signature import Signature, TensorSpec

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "v2"
X = TensorSpec("x", "f32", (1, 4))
HELD, NEXT = TensorSpec("held", "f32", (1, 4), None), TensorSpec("held_next", "f32", (1, 4), None, kind="value")
FRAME, ANSWER = TensorSpec("frame", "f32", (1, 4)), TensorSpec("answer", "f32", (1, 4))
BEST = TensorSpec("best", "f32", (1, 4), kind="value")


@pytest.fixture
def native() -> Package:
    """Version 2's golden package: answer = (frame + held) / 2."""
    return open_folder(GOLDEN)


@pytest.fixture
def mixed(native: Package, tmp_path: Path) -> Package:
    """frame = 2 x, the native file, best = answer + 1; with one golden row."""
    before = graph_model(Signature((X,), (FRAME,)), [node("Add", ["x", "x"], "frame")], {})
    after = graph_model(Signature((ANSWER,), (BEST,)), [node("Add", ["answer", "one"], "best")], {"one": np.ones((1, 4), np.float32)})
    (stage,) = native.content.stages
    stages = (
        Stage("graph", "before", "program/00-before.onnx", ("x",), ("frame",)), replace(stage, file="program/01-main.tflite"),
        Stage("graph", "after", "program/02-after.onnx", ("answer",), ("best",)),
    )  # fmt: skip
    signature = Signature((X, HELD), (BEST, NEXT), native.signature.state)
    x = np.array([[0.0, 1.0, 2.0, -3.0]], np.float32)
    case = Case({"x": x}, {"best": x + 1.25, "held_next": 2 * x + 0.5}, why=("sequence",), sequence="0")
    head, tensors = Contract((case,), {"best": Rule("value"), "held_next": Rule("value")}).to_bytes()
    files = {"program/00-before.onnx": before.SerializeToString(), "program/01-main.tflite": native.read(stage.file),
             "program/02-after.onnx": after.SerializeToString(), CONTRACT: head, CONTRACT_TENSORS: tensors}  # fmt: skip
    return write(Content(signature, stages, {}), files, tmp_path / "mixed")


def test_a_native_stage_stands_between_graphs(mixed: Package) -> None:
    parts = assemble(mixed, "tflite")
    assert [part.spec.kind for part in parts] == ["onnx", "tflite", "onnx"]
    assert [part.model is None for part in parts] == [False, True, False]
    assert (parts[1].copied, parts[1].spec.file) == ("program/01-main.tflite", "engine/01-main.tflite")
    with pytest.raises(UnsupportedError, match="'main' cannot run on onnx-cpu"):
        assemble(mixed, "onnx-cpu")


def test_the_reference_runs_all_of_it(mixed: Package) -> None:
    session = Reference().open(mixed)
    found = session.run({"x": np.array([[0.0, 1.0, 2.0, -3.0]], np.float32)})
    session.close()
    np.testing.assert_array_equal(found["best"], [[1.25, 2.25, 3.25, -1.75]])
    np.testing.assert_array_equal(found["held_next"], [[0.5, 2.5, 4.5, -5.5]])


@pytest.mark.slow
@pytest.mark.long
def test_graphs_are_lowered_around_a_native_stage(mixed: Package, tmp_path: Path) -> None:
    made = ps.compile(mixed, target="tflite", out=tmp_path / "device")
    assert made.engine["source"] == {
        "engine/00-before.tflite": "onnx", "engine/01-main.tflite": "given", "engine/02-after.tflite": "onnx",
    }  # fmt: skip
    assert made.verified["verdict"] == "passed"
    assert (made.path / "engine/01-main.tflite").read_bytes() == mixed.read("program/01-main.tflite")


def test_a_stage_of_an_unknown_engine_is_refused(native: Package) -> None:
    (stage,) = native.content.stages
    for wrong in (replace(stage, file="program/00-main.mlmodel"), replace(stage, extra={}), replace(stage, extra={"plan": "main"})):
        with pytest.raises(FormatError, match=r"unknown engine.*a \.tflite file and its plan"):
            stage_segment(wrong, wrong.file)


def test_a_native_stage_for_every_target_is_not_written(native: Package, tmp_path: Path) -> None:
    (stage,) = native.content.stages
    content, files = replace(native.content, stages=(replace(stage, only=()),)), {name: native.read(name) for name in native.content.files}
    with pytest.raises(FormatError, match="does not say which targets"):
        write(content, files, tmp_path / "p")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("plan", [None, {}, {"inputs": 3, "outputs": []}, {"inputs": [], "outputs": [], "signatures": []}])
def test_a_malformed_plan_is_refused(native: Package, plan: Any) -> None:
    spec = SegmentSpec("tflite", "program/00-main.tflite", ("frame", "held"), ("answer", "held_next"), plan=plan)
    with pytest.raises(FormatError):
        open_segments([spec], native.path, False, EngineOptions())


def test_a_segment_with_a_plan_makes_the_round_trip(native: Package) -> None:
    spec = stage_segment(native.content.stages[0], "engine/00-main.tflite")
    assert SegmentSpec.from_dict(spec.to_dict()) == spec
    assert "plan" in spec.to_dict()
    assert "plan" not in SegmentSpec("onnx", "a", (), ()).to_dict()


def test_without_an_interpreter_the_extra_is_named(native: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("ai_edge_litert", "portside.runtimes.tflite.interpreter"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(MissingExtraError, match=r"portside\[tflite\]"):
        Reference().open(native)
