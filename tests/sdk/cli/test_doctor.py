"""`portside doctor`: what a target lacks, and the command that brings it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portside.runtimes.base import Missing
from portside.runtimes.tflite_edge import TfliteEdge
from portside.runtimes.wasm_web import WasmWeb

Run = Callable[..., Any]


def test_a_device_runs_and_cannot_compile(portside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TfliteEdge, "missing", lambda self: None)
    monkeypatch.setattr(TfliteEdge, "missing_to_compile", lambda self: "litert_torch")
    said = portside("doctor", "--target", "tflite")
    assert said.code == 0
    assert "runs, cannot compile  litert_torch  pip install 'portside[tflite-compile]'" in said.out
    (found,) = portside("doctor", "--target", "tflite", "--json").json["targets"]
    assert (found["works"], found["compiles"]) == (True, False)


def test_compile_options_are_listed_by_target(portside: Run) -> None:
    for said in (portside("doctor"), portside("doctor", "--target", "tflite"), portside("compile", "--help")):
        assert all(name in said.out for name in TfliteEdge.options), said.out
    (found,) = portside("doctor", "--target", "tflite", "--json").json["targets"]
    assert found["options"] == TfliteEdge.options
    assert "batches" not in portside("doctor", "--target", "onnx-cpu").out


def test_a_target_that_lacks_something_names_it(portside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WasmWeb, "missing", lambda self: "playwright")
    said = portside("doctor", "--target", "wasm")
    assert said.code == 1 and "playwright  pip install 'portside[wasm]'" in said.out
    monkeypatch.setattr(WasmWeb, "missing", lambda self: Missing("Chromium", "Install Chromium"))
    assert "Chromium  Install Chromium" in portside("doctor", "--target", "wasm").out
