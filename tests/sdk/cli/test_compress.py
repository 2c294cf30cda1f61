"""`portside compress`: what it prints, writes and answers."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import portside as ps
from portside.compress import rungs, trials
from portside.compress.compressing import LADDER
from portside.runtimes import costs
from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.package import write
from portside.sdk.core.plan import plan_of
from portside.sdk.opening import open as open_package
from portside.sdk.pack import pack


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Latency is measured briefly: tests do not look at it."""
    monkeypatch.setattr(trials, "REPEATS", 2)
    monkeypatch.setattr(trials, "SECONDS", 0.005)
    monkeypatch.setattr(rungs, "SLOWER", 1000.0)


@pytest.fixture
def rows(tmp_path):
    """Calibration and held-out rows of the package `sums`."""
    for name, seed, count in (("train", 0, 200), ("test", 1, 1200)):
        x = np.random.default_rng(seed).random((count, 2)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", x=x, label=(x.sum(1) > 1).astype(np.int64))
    return tmp_path


@pytest.fixture
def network(tmp_path):
    """A package with a layer that takes every class: (batch, 2) -> 96 -> 96 -> 2."""
    random = np.random.default_rng(0)
    shapes = {"w0": (2, 96), "b0": (96,), "w1": (96, 96), "w2": (96, 2)}
    tensors = {name: (random.normal(size=shape) / 8).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], name="Gemm_0"), helper.make_node("Relu", ["h"], ["r"], name="Relu_1"),
        helper.make_node("MatMul", ["r", "w1"], ["s"], name="MatMul_2"),
        helper.make_node("MatMul", ["s", "w2"], ["logits"], name="MatMul_3"),
        helper.make_node("ArgMax", ["logits"], ["label"], name="ArgMax_4", axis=1, keepdims=0),
    ]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"])
    graph = helper.make_graph(nodes, "main", [x], [label], [numpy_helper.from_array(value, name) for name, value in tensors.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "network.onnx"
    path.write_bytes(model.SerializeToString())
    return pack(path, name="network", examples={"x": random.random((64, 2)).astype(np.float32)}, out=tmp_path / "network")


@pytest.mark.slow
def test_with_a_target_every_rung_is_shown_and_the_result_compiles(portside, network, rows):
    words = ("compress", network.path, "int8-static", rows / "train.npz", "--target", "onnx-cpu", "--held-out", rows / "test.npz")
    said = portside(*words, "--max-flips", 0.05, "--out", rows / "small")
    assert said.code == 0, said.err
    assert "1. int8-static, min-max" in said.out
    made = open_package(rows / "small")
    assert plan_of(made.content.plan).lossy
    assert made.content.recipe[-1] == {"kind": "gates", "max_flips": 0.05}
    assert "gate       limit" in said.out and f"compile {rows / 'small'} --target onnx-cpu --data {rows / 'test.npz'}" in said.out
    compiled = portside("compile", rows / "small", "--data", rows / "test.npz", "--out", rows / "artifact")
    assert compiled.code == 0, compiled.err


def test_without_a_target_json_names_the_package(portside, network, rows):
    found = portside("compress", network.path, "float16", rows / "train.npz", "--out", rows / "small", "--json").json
    assert found["package"] == open_package(rows / "small").digest
    assert found["ladder"] is None


@pytest.mark.slow
def test_what_calibration_warned_of_is_said_once_and_kept(portside, network, rows):
    np.savez(rows / "few.npz", x=np.random.default_rng(2).random((9, 2)).astype(np.float32))
    said = portside("compress", network.path, "int8-static", rows / "few.npz", "--out", rows / "small")
    assert said.code == 0 and said.out.count("calibration: calibrated on 9 rows") == 1, said.out
    shown = portside("inspect", rows / "small").out
    assert shown.count("calibrated on 9 rows") == 1 and "warnings" not in shown
    words = ("compress", network.path, "int8-static", rows / "few.npz", "--target", "onnx-cpu", "--held-out", rows / "test.npz")
    said = portside(*words, "--max-flips", 0.9, "--out", rows / "climbed")
    assert said.out.count("calibrated on 9 rows") == 1, said.out
    assert portside("inspect", rows / "climbed").out.count("calibrated on 9 rows") == 1
    found = portside(*words[:4], "--out", rows / "again", "--json").json
    assert [held.split(":")[0] for held in found["warnings"]] == ["calibrated on 9 rows"]


@pytest.mark.slow
def test_the_page_of_a_ladder_stands_alone_and_says_how_to_make_it_again(portside, network, rows):
    words = ("compress", network.path, "int8-static", rows / "train.npz", "--target", "onnx-cpu", "--held-out", rows / "test.npz")
    said = portside(*words, "--max-flips", 0.05, "--max-drop", 0.1, "--out", rows / "small", "--html", rows / "pages" / "ladder.html")
    assert said.code == 0 and f"page: {rows / 'pages' / 'ladder.html'}" in said.err, said.err
    page = (rows / "pages" / "ladder.html").read_text()
    assert page.startswith("<!doctype html>") and "<script" not in page and not re.search(r"(src|href)='(?!data:)", page)
    assert all(f"portside compress {network.path} int8-static" in page and word in page for word in ("--max-flips 0.05", "onnx-cpu"))
    made = open_package(rows / "small")
    assert made.digest in page and network.digest in page and "max_flips &le; 0.05" in page
    again = ps.ladder_report(made, rows / "again.html").read_text()
    assert re.findall(r"<tr>.*?</table>", again)[0] == re.findall(r"<tr>.*?</table>", page)[0], "the same rungs, from the package alone"


@pytest.mark.slow
@pytest.mark.long
def test_a_page_of_other_rows_or_of_a_damaged_ladder_is_refused(portside, network, rows):
    words = ("compress", network.path, "int8-static", rows / "train.npz", "--target", "onnx-cpu", "--held-out", rows / "test.npz")
    portside(*words, "--max-flips", 0.9, "--out", rows / "small")
    made = open_package(rows / "small")
    with pytest.raises(InputError, match="not the rows"):
        ps.ladder_report(made, rows / "page.html", ps.Data({"x": np.zeros((3, 2), np.float32)}))
    ladder = json.loads(made.read(LADDER))
    figureless = json.dumps({**ladder, "rungs": [{**held, "figures": {"p50_ms": "1"}} for held in ladder["rungs"]]})
    for damaged in ("[]", '{"rungs": []}', json.dumps(ladder | {"rungs": [{"why": 3}]}), figureless):
        notes = {**{name: made.path / name for name in made.manifest.annotations.files}, LADDER: damaged.encode()}
        files = {name: made.path / name for name in made.content.files}
        other = write(replace(made.content, files={}), files, rows / "other", replace(made.manifest.annotations, files={}), notes)
        with pytest.raises(FormatError):
            ps.ladder_report(other, rows / "page.html")
        shutil.rmtree(rows / "other")
    assert not (rows / "page.html").exists()


def test_a_page_needs_a_ladder(portside, network, rows):
    said = portside("compress", network.path, "float16", rows / "train.npz", "--out", rows / "small", "--html", rows / "page.html")
    assert said.code == 2 and "--target" in said.err and not (rows / "small").exists()
    with pytest.raises(InputError, match="keeps no ladder"):
        ps.ladder_report(network, rows / "page.html")


@pytest.mark.slow
@pytest.mark.long
def test_rows_for_calibration_need_no_slices(portside, network, rows):
    held = dict(np.load(rows / "test.npz"))
    np.savez(rows / "test.npz", site=np.arange(1200) % 2, **held)
    words = ("compress", network.path, "float16", rows / "train.npz", "--slice", "site")
    said = portside(*words, "--target", "onnx-cpu", "--held-out", rows / "test.npz", "--max-slice-drop", 0.5, "--out", rows / "small")
    assert said.code == 0, said.err
    said = portside(*words, "--out", rows / "other")
    assert said.code == 2 and f"{rows / 'train.npz'} has no such column" in said.err, "then no other rows have it"


@pytest.mark.slow
def test_a_compile_says_what_a_plan_costs_beside_float(portside, network, rows, monkeypatch):
    portside("compress", network.path, "float16", rows / "train.npz", "--out", rows / "small")
    monkeypatch.setattr(costs, "LARGER", 0.0)
    said = portside("compile", rows / "small", "--out", rows / "artifact", "--allow-unproven")
    assert said.code == 0, said.err
    assert "of the latency of float" in said.out and "\nlarger than float: 0." in said.out
    assert "costs" not in portside("compile", network.path, "--out", rows / "whole").out


def test_a_recipe_is_a_json_file_as_well(portside, network, rows):
    (rows / "recipe.json").write_text('{"pass": [{"kind": "quantize", "precision": "float16"}], "gates": {"max_flips": 0.1}}')
    said = portside("compress", network.path, rows / "recipe.json", rows / "train.npz", "--out", rows / "small")
    assert said.code == 0, said.err
    assert [step["kind"] for step in open_package(rows / "small").content.recipe] == ["quantize", "gates"]


def test_help_teaches(portside):
    said = portside("compress", "--help")
    assert said.code == 0
    assert all(word in said.out for word in ("int8-static", "--held-out", "recipe.toml", "--max-drop"))


def test_what_no_class_can_lower_is_refused_by_name(portside, package, rows):
    said = portside("compress", package.path, "int8-static", rows / "train.npz", "--out", rows / "small")
    assert said.code != 0
    assert "int8-static" in said.err
    assert not (rows / "small").exists()


def test_an_unknown_recipe_says_what_there_is(portside, package, rows):
    said = portside("compress", package.path, "int3", rows / "train.npz")
    assert (said.code, "int4-weights" in said.err) != (0, False)
