"""`portside verify`: failed and absent targets are shown, and nothing that could not be asked passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portside.runtimes.base import CompileOptions
from portside.runtimes.fidelity import Fidelity
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.report import Report, TargetReport
from portside.runtimes.tflite_edge import TfliteEdge
from portside.runtimes.wasm_web import WasmWeb
from portside.sdk.cli.verify import Outcome, _data, _details
from portside.sdk.core.errors import MissingExtraError
from portside.sdk.core.package import Package

Run = Callable[..., Any]


def test_a_failed_report_keeps_its_figures_and_its_details() -> None:
    """A report is falsy then, and must not be taken for none."""
    report = Report("cell", "sha256:" + "0" * 64, (TargetReport("wasm", Fidelity(fault="case 3: boom")),))
    outcome = Outcome("cell", 1.0, report)
    assert not report and _data(outcome)["targets"][0]["verdict"] == "failed"
    assert any("boom" in line for line in _details(outcome))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs TFLite, and compiles nothing."""

    def refuse(self: TfliteEdge, package: Package, options: CompileOptions, out: Path) -> None:
        raise MissingExtraError("Compiling for tflite needs what is not installed here", got="no onnx", extra="tflite-compile")

    monkeypatch.setattr(OnnxCpu, "missing", lambda self: "onnxruntime")
    monkeypatch.setattr(WasmWeb, "missing", lambda self: "playwright")
    monkeypatch.setattr(TfliteEdge, "missing", lambda self: None)
    monkeypatch.setattr(TfliteEdge, "compile", refuse)


def test_where_nothing_compiles_every_target_is_listed_with_its_command(device: None, package: Package, portside: Run) -> None:
    said = portside("verify", package.path)
    assert said.code == 3
    for target, extra in (("onnx-cpu", "onnx"), ("tflite", "tflite-compile"), ("wasm", "wasm"), ("tensorrt", "tensorrt")):
        assert f"{target} was not asked" in said.out and f"pip install 'portside[{extra}]'" in said.out
    assert said.out.count("not asked\n") == 4 and "0 of 1 passed" in said.out
    assert portside("verify", package.path, "--json").json[0]["verdict"] == "failed"


def test_one_that_works_is_enough_and_the_others_are_listed(package: Package, portside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (TfliteEdge, WasmWeb):
        monkeypatch.setattr(kind, "missing", lambda self: "something")
    said = portside("verify", package.path, "--quick")
    assert said.code == 0 and said.out.count("was not asked") == 3 and "1 of 1 passed" in said.out
