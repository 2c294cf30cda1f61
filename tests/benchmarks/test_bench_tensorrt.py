"""What a GPU will be asked to measure runs here on a simulated one, where times mean nothing: openings, turns, rivals, empty cells."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import portside as ps
from portside.runtimes import samples

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]
bench = import_module("bench_tensorrt")


def forget():
    """So that no later test finds what this one had imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tensorrt", "cuda")]:
        del sys.modules[name]


@pytest.fixture
def machine(monkeypatch):
    """A simulated GPU."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "fakes" / "simulated")
    forget()
    yield import_module("cuda.bindings.runtime").machine
    forget()


@pytest.fixture(autouse=True)
def zoo(tmp_path, monkeypatch):
    """Two packages in place of the zoo's, and turns that take no time."""
    samples.mixed().write(tmp_path / "zoo" / "mixed")
    samples.scalar().write(tmp_path / "zoo" / "scalar")
    monkeypatch.setattr(bench.subjects, "PACKAGES", tmp_path / "zoo")
    monkeypatch.setattr(bench, "interleave", lambda calls: {name: SimpleNamespace(percentile_ms=lambda q, call=call: _called(call))
                                                            for name, call in calls.items()})  # fmt: skip


def _called(call):
    call()
    return 1.25


def test_openings_and_turns_are_told_with_where_they_were_taken(machine, tmp_path):
    rows = bench.measure(file=tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text()) == rows and [row["package"] for row in rows] == ["mixed", "scalar"]
    mixed = rows[0]
    assert mixed["opened_s"] > 0 and mixed["again_s"] > 0 and not mixed["failed"]
    assert mixed["p50_ms"] == {"portside, 1": 1.25, "portside, 64": 1.25}
    assert mixed["place"].startswith("Simulated 9000") and "onnxruntime 1." in mixed["versions"]
    shown = bench.show(rows)
    assert "Simulated 9000 (compute capability 9.0)" in shown and "unverified" not in shown


def test_a_rival_that_fails_leaves_an_empty_cell_and_its_words(machine, monkeypatch):
    def absent(package, artifact):
        raise OSError("no libcublas")

    rivals = {"onnxruntime": lambda package, artifact: lambda inputs: 1 // (next(iter(inputs.values())).shape[0] < 64),
              "torch.compile": absent}  # fmt: skip
    monkeypatch.setattr(bench, "RIVALS", rivals)
    (row,) = bench.measure(only=["mixed"])
    assert set(row["p50_ms"]) == {"portside, 1", "onnxruntime, 1", "portside, 64"}
    assert row["failed"] == {"torch.compile": "OSError: no libcublas",
                             "onnxruntime, 64": "ZeroDivisionError: integer division or modulo by zero"}  # fmt: skip
    assert "mixed: torch.compile: OSError: no libcublas" in bench.show([row])


def test_an_engine_that_answers_wrongly_is_told_and_the_next_package_is_measured(machine):
    machine.skew = 1.0
    rows = bench.measure()
    assert all("does not answer like its package" in row["failed"]["portside"] and "opened_s" not in row for row in rows if row["failed"])
    assert any(row["failed"] for row in rows) and all("place" in row for row in rows)


def test_the_provider_of_onnx_runtime_is_asked_with_the_same_file(monkeypatch, machine):
    asked = []
    real = bench.ort.InferenceSession

    def session(model, *options, providers):
        asked.append(providers)
        return real(model, *options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(bench.ort, "get_available_providers", lambda: [bench.PROVIDER])
    monkeypatch.setattr(bench.ort, "InferenceSession", session)
    (row,) = bench.measure(only=["mixed"])
    assert set(row["p50_ms"]) == {"portside, 1", "onnxruntime, 1", "portside, 64", "onnxruntime, 64"} and not row["failed"]
    assert ["TensorrtExecutionProvider", "CUDAExecutionProvider"] in asked


def test_torch_compiles_the_traced_program_and_takes_the_same_rows(monkeypatch, tmp_path):
    model = torch.nn.Linear(4, 2).eval()
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    package = ps.pack(model, name="linear", examples={"input": x}, out=tmp_path / "linear")
    assert bench._compiled(package, None) is None  # no CUDA in torch
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    monkeypatch.setattr(torch, "compile", lambda module: module)
    (made,) = bench._compiled(package, None)({"input": x[:3]})
    assert np.allclose(made.numpy(), model(torch.from_numpy(x[:3])).detach().numpy(), atol=1e-6)


def test_without_a_gpu_the_columns_stay_empty_and_unverified_is_said():
    (row,) = bench.measure(only=["mixed"])
    assert row["unproven"] == "unverified on a GPU: no tensorrt here" and "p50_ms" not in row and row["ready_s"] > 0
    assert bench.show([row]).endswith("unverified on a GPU: no tensorrt here")
