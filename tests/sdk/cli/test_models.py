"""Commands that run a model: predict, compile, verify, bench, on a package written by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.manifest import Annotations
from portside.sdk.core.package import Package, write
from portside.sdk.core.signature import Signature, TensorSpec

Run = Callable[..., Any]


@pytest.mark.parametrize("target", ["reference", "onnx-cpu"])
def test_predict_answers_with_a_receipt(target: str, portside: Run, package: Package) -> None:
    said = portside("predict", package.path, "x=[[0.5, 0.25], [1, 1]]", "--target", target, "--json")
    assert said.code == 0, said.err
    assert said.json["outputs"] == {"score": [0.75, 2.0], "label": [0, 1]}
    receipt = said.json["receipt"]
    assert (receipt["model"], receipt["digest"], receipt["target"]) == ("sums", package.digest, target)
    assert receipt["time_ms"] > 0 and receipt["reason"] == "primary"
    assert "flags" not in said.json


def test_predict_prints_a_table(portside: Run, package: Package) -> None:
    said = portside("predict", package.path, "x=[1, 1]")  # one row, without its batch axis
    assert said.out.splitlines()[:2] == ["score  label", "    2      1"]
    assert f"digest   {package.digest[7:19]}" in said.out


def test_predict_shows_what_is_unusual(portside: Run, package: Package, tmp_path: Path) -> None:
    content, steps = package.content, Codec.of({"colour": Categories(["red", "blue"])})
    inputs = (*content.signature.edit("x", range=(0, 5)).inputs, TensorSpec("colour", "i32", ("batch",)))
    signature = Signature(inputs, content.signature.outputs)
    files = {name: package.read(name) for name in content.files if name.startswith("program/")}
    odd = write(replace(content, signature=steps.annotate(signature), codec=steps.steps), files, tmp_path / "odd", Annotations(name="odd"))
    said = portside("predict", odd.path, "x=[9, 1]", "colour=mauve")
    assert said.code == 0, said.err
    assert "noticed: x row 0 is outside its range: 9.0\nnoticed: colour row 0 is an unknown category: mauve\n" in said.out
    flags = portside("predict", odd.path, "x=[9, 1]", "colour=mauve", "--json").json["flags"]
    assert flags[1] == {"field": "colour", "row": 0, "why": "unknown", "value": "mauve"}


def test_predict_reads_files_and_standard_input(portside: Run, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"x": [[0, 0]]}))
    assert portside("predict", package.path, tmp_path / "rows.json", "--json").json["outputs"]["label"] == [0]
    monkeypatch.setattr("sys.stdin", io.StringIO('{"inputs": {"x": [[4, 0]]}}'))
    assert portside("predict", package.path, "-", "--json").json["outputs"]["label"] == [1]


@pytest.mark.parametrize(
    ("word", "field"), [("y=[1]", "y"), ("x=[[1, 2, 3]]", "x"), ("x=abc", "x"), ("photo.jpg", None), ("{", None), ("x=[[1], [2, 3]]", "x")]
)
def test_a_wrong_input_is_usage_and_names_the_field(word: str, field: str | None, portside: Run, package: Package) -> None:
    said = portside("predict", package.path, word, "--json")
    assert said.code == 2
    assert said.json.get("field") == field


def test_compile_verify_and_predict_the_artifact(portside: Run, package: Package, tmp_path: Path) -> None:
    said = portside("compile", package.path, "--out", tmp_path / "artifact", "--json")
    assert said.code == 0, said.err
    assert said.json["verified"]["verdict"] == "passed"
    assert portside("verify", tmp_path / "artifact").code == 0
    assert portside("inspect", tmp_path / "artifact", "--json").json["package"] == package.digest
    answer = portside("predict", tmp_path / "artifact", "x=[1, 1]", "--json").json
    assert answer["receipt"]["target"] == "onnx-cpu"
    assert answer["outputs"]["label"] == [1]


def test_compile_replaces_an_artifact_says_so_and_names_the_next_step(portside: Run, package: Package, tmp_path: Path) -> None:
    out = tmp_path / "arti fact"
    said = portside("compile", package.path, "--out", out)
    assert "replaces" not in said.err
    assert said.out.splitlines()[-2:] == [f"next: portside predict '{out}' x=...", f"      portside bench '{out}'"]
    said = portside("compile", package.path, "--out", out)
    assert said.code == 0 and f"it replaces the artifact in {out}" in said.err
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    assert portside("compile", package.path, "--out", tmp_path / "work").code == 3


@pytest.mark.parametrize("words", ["compile {} --target abacuss", "verify {} --targets abacuss", "verify {} --targets onnx-cpu,abacuss",
                                   "bench {} --target abacuss", "predict {} x=[1,1] --target abacuss"])  # fmt: skip
def test_a_target_that_is_not_there_is_the_same_no_for_every_command(words: str, portside: Run, package: Package) -> None:
    said = portside(*words.format(package.path).split())
    assert said.code == 1 and "There is no such target" in said.out + said.err


def test_compile_for_a_target_that_is_not_there(portside: Run, package: Package, tmp_path: Path) -> None:
    said = portside("compile", package.path, "--target", "abacus", "--out", tmp_path / "artifact")
    assert said.code == 1
    assert "onnx-cpu" in said.err
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("option", ["threads", "data=x", "prove=false", "abacus=1"])
def test_compile_refuses_an_option_that_the_target_does_not_have(option: str, portside: Run, package: Package, tmp_path: Path) -> None:
    assert portside("compile", package.path, "--option", option, "--out", tmp_path / "artifact").code != 0
    assert not (tmp_path / "artifact").exists()


@pytest.mark.slow
def test_verify_prints_one_table_over_a_zoo(portside: Run, package: Package, tmp_path: Path) -> None:
    zoo(tmp_path, package)
    said = portside("verify", "--targets", "onnx-cpu", tmp_path)
    lines = said.out.splitlines()
    assert lines[0].split()[:3] == ["package", "target", "rows"]
    assert [line.split()[0] for line in lines[1:4]] == ["contract", "held", "broken"]
    assert lines[-1] == "2 of 3 passed"
    assert said.code == 3  # the worst: one entry cannot even be opened
    assert "[3/3] broken" in said.err


def test_verify_of_part_of_a_zoo_as_json(portside: Run, package: Package, tmp_path: Path) -> None:
    zoo(tmp_path, package)
    said = portside("verify", "--targets", "onnx-cpu", "--only", "held", tmp_path / "zoo.py", "--json")
    assert said.code == 0
    (held,) = said.json
    assert (held["name"], held["verdict"]) == ("held", "passed")
    assert held["targets"][0]["held_out"]["rows"] == 40
    assert portside("verify", "--only", "nothing", tmp_path).code == 2


def test_verify_reads_held_out_rows(portside: Run, package: Package, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).random((30, 2)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows, label=(rows.sum(1) > 1).astype(np.int64), site=np.array(["a", "b"] * 15))
    said = portside("verify", package.path, "--targets", "onnx-cpu", "--data", tmp_path / "rows.npz", "--slice", "site",
                    "--html", tmp_path / "page.html", "--json")  # fmt: skip
    assert said.code == 0, said.err
    target = next(held for held in said.json[0]["targets"] if held["target"] == "onnx-cpu")
    assert target["held_out"]["rows"] == 30
    assert target["quality"] is not None
    assert "sums" in (tmp_path / "page.html").read_text()


def zoo(folder: Path, package: Package) -> None:
    """Three entries: on the contract alone, with held-out rows, and one that is altered."""
    (folder / "zoo.py").write_text(f"""
import numpy as np
import portside as ps

def contract():
    return ps.Package(ps.open({str(package.path)!r}).path, ps.open({str(package.path)!r}).manifest), None

def held():
    return contract()[0], ps.Data(inputs={{"x": np.random.default_rng(2).random((40, 2)).astype(np.float32)}})

def broken():
    return ps.open({str(package.path / "nothing")!r}), None

PACKAGES = {{"contract": contract, "held": held, "broken": broken}}
""")


def test_bench_measures_every_batch_size(portside: Run, package: Package) -> None:
    said = portside("bench", package.path, "--batches", "1,4", "--seconds", "0.01", "--repeats", "2", "--processes", "0", "--json")
    assert said.code == 0, said.err
    assert set(said.json["latency"]) == {"1", "4"}
    assert said.json["latency"]["1"]["rows_per_second"] > 0
    assert portside("bench", package.path, "--batches", "one").code == 2
