"""7-bit weights: when they are taken, that their sums fit 16 bits, and what is warned of where an artifact is loaded."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from onnx import TensorProto, helper, load, numpy_helper

from portside.runtimes import onnx_cpu
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.precision.onnx_lower import lower
from portside.runtimes.precision.onnx_range import REDUCE, reduced, warning_of
from portside.runtimes.precision.onnx_static import REDUCED
from portside.runtimes.samples import Sample, graph_model, node
from portside.sdk.core.contract import Rule
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.manifest import Content
from portside.sdk.core.package import write
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec

WEIGHT = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 64)),), (TensorSpec("y", "f32", ("batch", 32), kind="value"),))
INT8 = {"achieved": {"int8-static": 3}}


@pytest.mark.parametrize(("option", "sums", "bits"), [
    ("auto", "saturating", 7), ("auto", "exact", 8), ("auto", "unknown", 8), ("on", "exact", 7), ("on", "saturating", 7),
    ("off", "saturating", 8), ("off", "exact", 8),
])  # fmt: skip
def test_weights_are_reduced_where_it_is_asked_for_or_needed_and_it_is_said(option, sums, bits):
    held, notes = reduced(option, sums)
    assert held is (bits == 7)
    assert bool(notes) is (bits == 7 or sums == "saturating")


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(UnsupportedError, match="reduce_range has no such value; got maybe") as caught:
        reduced("maybe", "exact")
    assert all(one in str(caught.value) for one in REDUCE)


@pytest.mark.parametrize(("precision", "sums", "warned"), [
    (INT8, "saturating", True), (INT8, "exact", False), (INT8, "unknown", False), ({**INT8, "reduced": True}, "saturating", False),
    ({"achieved": {"int8-dynamic": 1}}, "saturating", True), ({"achieved": {"float16": 3}}, "saturating", False), ({}, "saturating", False),
])  # fmt: skip
def test_only_a_file_that_saturates_here_is_warned_of(precision, sums, warned):
    said = warning_of(precision, sums)
    assert (said is not None) is warned
    assert said is None or "reduce_range=on" in said


@pytest.mark.parametrize("precision", ["int8-static", "int8-dynamic"])
def test_sums_of_two_products_fit_into_16_bits(precision, graphs):
    model = graphs.model([graphs.op("MatMul", "x w", "y")], {"x": np.zeros((2, 64), np.float32)}, "y", {"w": WEIGHT})
    plan = PrecisionPlan({"y": precision}, {"x": (-3.0, 3.0), "y": (-30.0, 30.0)})
    codes = [_codes(lower(model, plan, {}, largest)[0]) for largest in (REDUCED, 127)]
    assert [int(np.abs(held.astype(int)).max()) for held in codes] == [63, 127]
    assert 2 * 255 * 63 < 2**15 < 2 * 255 * 127


def _codes(model):
    (held,) = [numpy_helper.to_array(one) for one in model.graph.initializer if one.data_type == TensorProto.INT8 and len(one.dims) == 2]
    return held


def rows(count):
    return {"x": np.random.default_rng(1).normal(size=(count, 64)).astype(np.float32)}


@pytest.fixture
def package(tmp_path):
    """One product, with a plan of dynamic int8."""
    model = graph_model(SIGNATURE, [node("MatMul", ["x", "w"], "y")], {"w": WEIGHT})
    sample = Sample("product", SIGNATURE, model, lambda held: {"y": held["x"] @ WEIGHT}, rows, {"y": Rule("value")})
    made = sample.write(tmp_path / "float")
    plan = PrecisionPlan({f"{made.content.stages[0].name}/y": "int8-dynamic"})
    content = Content(**{**vars(made.content), "plan": plan.to_dict()})
    return write(content, {name: made.read(name) for name in made.content.files}, tmp_path / "planned")


def compiled(package, out, **extra):
    return OnnxCpu().compile(package, CompileOptions(verify=False, extra=extra), out)


def test_an_artifact_of_a_cpu_that_saturates_has_7_bits_and_says_why(package, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_cpu, "int8_sums_here", lambda: "saturating")
    made = {name: compiled(package, tmp_path / name, reduce_range=name) for name in REDUCE}
    largest = {name: int(np.abs(_codes(_file(one)).astype(int)).max()) for name, one in made.items()}
    assert largest == {"auto": 63, "on": 63, "off": 127}
    assert made["auto"].engine["precision"]["reduced"] is True
    assert "compiled on such a CPU" in made["auto"].engine["precision"]["notes"][0]
    assert "reduce_range=on avoids it" in made["off"].engine["precision"]["notes"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OnnxCpu().load(made["auto"].path, LoadOptions()).close()
    with pytest.warns(RuntimeWarning, match="may answer otherwise here"):
        OnnxCpu().load(made["off"].path, LoadOptions()).close()


def test_an_artifact_of_another_cpu_is_warned_of_only_where_it_saturates(package, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_cpu, "int8_sums_here", lambda: "exact")
    made = compiled(package, tmp_path / "made")
    assert "reduced" not in made.engine["precision"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OnnxCpu().load(made.path, LoadOptions()).close()
    monkeypatch.setattr(onnx_cpu, "int8_sums_here", lambda: "saturating")
    with pytest.warns(RuntimeWarning, match="Verify it on this machine"):
        OnnxCpu().load(made.path, LoadOptions()).close()


@pytest.mark.slow
def test_on_a_cpu_without_vnni_products_are_cut_and_with_7_bits_exact(tmp_path):
    """Emulated, where QEMU is installed: the reason for all of this."""
    emulator = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("needs qemu-user (apt-get install qemu-user-static) on x86_64")
    given, codes = np.full((4, 64), 255, np.uint8), {top: np.full((64, 16), top, np.int8) for top in (127, 63)}
    for top, weight in codes.items():
        model = helper.make_model(helper.make_graph(
            [helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", 64])],
            [helper.make_tensor_value_info("y", TensorProto.INT32, ["n", 16])], [numpy_helper.from_array(weight, "w")],
        ), opset_imports=[helper.make_opsetid("", 18)], ir_version=10)  # fmt: skip
        (tmp_path / f"{top}.onnx").write_bytes(model.SerializeToString())
    script = ("import sys; sys.path[:0] = sys.argv[2].split(':'); import numpy as np, onnxruntime as ort; "
              "print([int(ort.InferenceSession(f'{sys.argv[1]}/{top}.onnx', providers=['CPUExecutionProvider'])"
              ".run(None, {'x': np.full((4, 64), 255, np.uint8)})[0][0, 0]) for top in (127, 63)])")  # fmt: skip
    paths = ":".join(path for path in sys.path if path)
    command = [emulator, "-cpu", "Haswell", os.path.realpath(sys.executable), "-c", script, str(tmp_path), paths]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()[-1]
    exact = [int(given[0].astype(int) @ weight[:, 0].astype(int)) for weight in codes.values()]
    assert said == f"[{32 * 32767}, {exact[1]}]"
    assert exact[0] > 32 * 32767


def _file(artifact):
    return load(str(artifact.path / artifact.engine["segments"][0]["file"]))
