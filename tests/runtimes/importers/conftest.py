"""Run an imported Program stage by stage with bare ONNX Runtime: independent of Portside's own runtimes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from portside.runtimes.importers.program import Program
from portside.runtimes.tree_stage import read_trees
from portside.runtimes.trees_onnx import to_onnx
from portside.sdk.core.signature import NUMPY

RunProgram = Callable[[Program, Mapping[str, Any]], dict[str, Any]]


@pytest.fixture
def run_program(tmp_path: Path) -> RunProgram:
    """A function that runs a program's stages from files on the disk and returns the outputs in signature dtypes."""
    count = 0

    def run(program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal count
        folder = tmp_path / f"program{count}"
        count += 1
        for path, data in program.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        values = dict(inputs)
        for stage in program.stages:
            if stage.kind == "host":
                values |= _host(folder / stage.file, str(stage.function), {name: values[name] for name in stage.inputs}, stage.outputs)
            elif stage.kind == "trees":
                values |= _trees(folder, stage, values[stage.inputs[0]])
            else:
                values |= _graph(folder / stage.file, {name: values[name] for name in stage.inputs}, stage.outputs)
        return {spec.name: values[spec.name].astype(NUMPY[spec.dtype]) for spec in program.signature.outputs}

    return run


def _host(file: Path, function: str, inputs: Mapping[str, Any], outputs: tuple[str, ...]) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("host_stage_under_test", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = getattr(module, function)(**inputs)
    return result if isinstance(result, dict) else {outputs[0]: result}


def _graph(file: Path, inputs: Mapping[str, Any], outputs: tuple[str, ...]) -> dict[str, Any]:
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    rim = {"tensor(float)": "f4", "tensor(int32)": "i4", "tensor(uint8)": "u1", "tensor(bool)": "?", "tensor(int8)": "i1"}
    feeds = {item.name: np.asarray(inputs[item.name]).astype(rim[item.type]) for item in session.get_inputs()}
    assert {item.type for item in session.get_outputs()} <= set(rim)
    return dict(zip(outputs, session.run(list(outputs), feeds), strict=True))


def _trees(folder: Path, stage: Any, x: Any) -> dict[str, Any]:
    """The ensemble walked in numpy, after the tree operator of ONNX Runtime has said the same."""
    trees = read_trees(lambda path: (folder / path).read_bytes(), stage.file)
    session = ort.InferenceSession(to_onnx(trees).SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.asarray(x, np.float32)
    result = trees.evaluate(x)
    np.testing.assert_allclose(session.run(None, {"features": x})[0], result, rtol=1e-5, atol=1e-5)
    return {stage.outputs[0]: result}
