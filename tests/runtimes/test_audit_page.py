"""The page of an audit: it stands alone, says every verdict, and shows flipped rows as pictures or values."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import portside as ps
from portside.runtimes.audit import Audit, audit
from portside.runtimes.audit_page import page
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.signature import Signature, TensorSpec

ROWS = 600
GREY = np.random.default_rng(0).integers(0, 256, (ROWS, 12, 12)).astype(np.float32)
SITE = np.where(GREY[:, 0, 0] > 128, "<north>", "south")
SIGNATURE = Signature(
    (TensorSpec("picture", "f32", ("batch", 12, 12)),),
    (TensorSpec("label", "i64", ("batch",), kind="decision"), TensorSpec("score", "f32", ("batch",), kind="score")),
)
NODES = [
    node("ReduceMean", ["picture", "axes"], "mean", keepdims=0), node("Sub", ["mean", "threshold"], "over"),
    node("Sigmoid", ["over"], "score"), node("Greater", ["score", "half"], "above"), node("Cast", ["above"], "label", to=6),
]  # fmt: skip


@pytest.fixture
def made(make_package):
    def make(threshold: float, name: str):
        constants = {"axes": np.array([1, 2], np.int64), "threshold": np.array(threshold, np.float32), "half": np.array(0.5, np.float32)}
        score = 1 / (1 + np.exp(threshold - GREY[:40].mean((1, 2))))
        case = Case({"picture": GREY[:40]}, {"label": (score > 0.5).astype(np.int64), "score": score.astype(np.float32)},
                    why=("random",) * 40)  # fmt: skip
        rules = {"label": Rule("decision"), "score": Rule("score")}
        return make_package(SIGNATURE, [("main", graph_model(SIGNATURE, NODES, constants))], cases=[case], rules=rules, name=name)

    return make


@pytest.fixture
def found(made) -> Audit:
    labels = (GREY.mean((1, 2)) > 127.5).astype(np.int64)
    data = ps.Data({"picture": GREY}, labels=labels, slices={"site": SITE, "few": np.arange(ROWS) < 5})
    expectations = [ps.Perturbation(0.001, at_most=0.9)]
    return audit(made(129.0, "worse"), made(127.5, "right"), data, gates=ps.Budget(max_drop=0.5, max_slice_drop=0.01, max_flips=0.001),
                 expectations=expectations)  # fmt: skip


def test_it_stands_alone_and_says_everything(found, tmp_path) -> None:
    text = found.to_html(tmp_path / "new" / "page.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "<script" not in text
    assert not re.search(r"(src|href)='(?!data:)", text)
    assert "prefers-color-scheme:dark" in text
    assert "&lt;north&gt;" in text and "<north>" not in text
    for gate in found.gates:
        assert f"{gate.name}<br>" in text and f"{gate.measured:.4g}" in text
    assert {gate.verdict for gate in found.gates} == {"passed", "failed"}
    assert all(part in text for part in ("calibration (ece)", "noise", "few=True", "not enough data", "infinitely far"))
    assert found.lineage["data"] in text and found.subject in text and found.ancestor in text
    assert "ps.audit(" in text and "max_slice_drop=0.01" in text


def test_flipped_rows_are_pictures(found) -> None:
    text = page(found.to_dict(), found.row)
    count, moved = min(20, found.flips[0].count), len(found.drifts[0].examples)
    assert text.count("src='data:image/png;base64,") == text.count("<div class=card>") == count + moved > 25
    assert "<details><summary>score: the 20 rows that moved most" in text, "decisions come first: these are folded"
    assert "base64" not in page(found.to_dict(), None)


def test_rows_without_a_picture_are_values(made, make_package) -> None:
    signature = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("label", "i64", ("batch",), kind="decision"),))
    x = np.random.default_rng(0).random((64, 2)).astype(np.float32)

    def package(threshold: float, name: str):
        nodes = [node("ReduceSum", ["x", "axes"], "sum", keepdims=0), node("Greater", ["sum", "t"], "above"),
                 node("Cast", ["above"], "label", to=6)]  # fmt: skip
        model = graph_model(signature, nodes, {"axes": np.array([1], np.int64), "t": np.array(threshold, np.float32)})
        case = Case({"x": x[:32]}, {"label": (x[:32].sum(1) > threshold).astype(np.int64)}, why=("random",) * 32)
        return make_package(signature, [("main", model)], cases=[case], rules={"label": Rule("decision")}, name=name)

    found = audit(package(1.2, "b"), package(1.0, "a"), ps.Data({"x": x}))
    text = page(found.to_dict(), found.row)
    row = found.flips[0].examples[0].row
    assert f"x: [{x[row, 0]:.4g}, {x[row, 1]:.4g}]" in text
    assert "nothing was asked to hold" in text and "there are no labels" in text


@pytest.mark.parametrize(("kind", "said"), [("value", "moved by"), ("embedding", "cosine")])
def test_rows_that_moved_most_are_shown_where_nothing_decides(make_package, kind, said) -> None:
    signature = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind=kind),))
    x = np.random.default_rng(0).random((64, 2)).astype(np.float32) + 0.1

    def package(name: str, by: float):
        model = graph_model(signature, [node("Mul", ["x", "by"], "y")], {"by": np.array([1, by], np.float32)})
        cases = [Case({"x": x[:32]}, {"y": x[:32] * np.array([1, by], np.float32)}, why=("random",) * 32)]
        return make_package(signature, [("main", model)], cases=cases, rules={"y": Rule(kind)}, name=name)

    data = ps.Data({"x": x}, labels=x * 2, slices={"site": np.arange(64) % 2})
    found = audit(package("b", 1.5), package("a", 1.0), data)
    examples = found.drifts[0].examples
    assert len(examples) == 20 and [held.distance for held in examples] == sorted((held.distance for held in examples), reverse=True)
    far = np.abs(x[:, 1] / 2) if kind == "value" else 1 - (x * x * [1, 1.5]).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(
        x * [1, 1.5], axis=1)  # fmt: skip
    assert examples[0].row == far.argmax() and examples[0].distance == pytest.approx(far.max(), abs=1e-5)
    text, row = page(found.to_dict(), found.row), examples[0].row
    assert "y: the 20 rows that moved most" in text and "<details open>" in text and text.count("<div class=card>") == 20
    assert f"x: [{x[row, 0]:.4g}, {x[row, 1]:.4g}]" in text and said in text and f"site={row % 2}" in text
    assert examples[0].before in text and examples[0].after in text and examples[0].label in text
    assert f"  {row}  " in str(found) and "the rows that moved most" in str(found)
    still = package("c", 1.0)
    same = audit(still, still, data)
    assert same.drifts[0].examples == () and "moved most" not in page(same.to_dict(), same.row)


def test_the_page_of_a_failed_compile_can_be_written(found, tmp_path: Path) -> None:
    text = page({**found.to_dict(), "changes": {}, "slices": {}, "flips": [], "drifts": []}, found.row)
    assert "What was lost" in text
