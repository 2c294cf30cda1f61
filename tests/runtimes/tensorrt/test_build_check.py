"""The build check with the real TensorRT-RTX, which pip brings into a folder of its own: 230 MB that nobody else needs.

What its parser refuses is named; what is rewritten, it builds, in every precision; and what was recorded of it is still so.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, defs

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions
from portside.runtimes.onnx_files import write_model
from portside.runtimes.precision.onnx_lower import graph_of
from portside.runtimes.precision.onnx_static import needed_values
from portside.runtimes.precision.tensorrt_lower import lower
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tensorrt.binding import logger_of
from portside.runtimes.tensorrt.check_process import MODULE
from portside.runtimes.tensorrt.checking import check_build
from portside.runtimes.tensorrt.operators import KNOWN
from portside.runtimes.tensorrt.preparing import prepare
from portside.runtimes.tensorrt.sizes import rim_of
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.runtimes.trees_gather import to_gather
from portside.runtimes.trees_gemm import to_gemm
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.plan import PrecisionPlan
from portside.sdk.core.signature import Signature, TensorSpec

sys.path.insert(0, str(Path(__file__).parents[1]))
from grown import random_trees

pytestmark = [pytest.mark.slow, pytest.mark.long]  # 233 MB are installed for it
VERSION = "1.7.1.116"
VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "tensorrt_signatures.json"
ROWS = {"batch": (1, 4, 8)}


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A folder with TensorRT-RTX in it."""
    folder = tmp_path_factory.mktemp("tensorrt-rtx")
    wanted = [f"tensorrt-rtx-cu13-{part}=={VERSION}" for part in ("bindings", "libs")]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *wanted], check=True)
    return folder


@pytest.fixture
def rtx(installed, monkeypatch):
    """The folder on the path of this process, and so on its children's."""
    monkeypatch.syspath_prepend(installed)
    yield installed
    for name in [name for name in sys.modules if name.startswith("tensorrt_rtx")]:
        del sys.modules[name]


def checked(model, folder):
    """The build check of one model of the signature that samples have."""
    (folder / "engine").mkdir(exist_ok=True)
    write_model(model, folder / "engine" / "model.onnx")
    rim = rim_of(model, Signature((TensorSpec("x", "f32", ("batch", 4)),), ()), ROWS)
    return check_build(folder, {"engine/model.onnx": rim})


def test_every_sample_of_the_conformance_suite_is_built(rtx, tmp_path):
    for name, make in samples.SAMPLES.items():
        package = make().write(tmp_path / name)
        if name == "slow":  # 3,000 operators: the same four, again and again
            continue
        artifact = TensorRTGpu().compile(package, CompileOptions(), tmp_path / f"{name}-artifact")
        said = TensorRTGpu().build_check(artifact.path)
        assert said.startswith(f"the build check passed: TensorRT-RTX {VERSION} built 1 engine") and said.endswith("nothing was run")


def test_a_program_as_it_was_is_refused_and_rewritten_it_is_built(rtx, tmp_path):
    signature = Signature((TensorSpec("x", "u8", ("batch", 8, 8, 3)),), (TensorSpec("y", "f32", ("batch", 3, 4, 4)),))
    nodes = [node("Transpose", ["x"], "turned", perm=[0, 3, 1, 2]), node("Cast", ["turned"], "floats", to=TensorProto.FLOAT),
             node("Resize", ["floats", "", "", "sizes"], "y", mode="linear", antialias=1)]  # fmt: skip
    model = graph_model(signature, nodes, {"sizes": np.array([1, 3, 4, 4], np.int64)}, opset=19)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(UnsupportedError, match=r"does not hold the operator Transpose.*its parser refuses"):
        checked(model, tmp_path)
    assert checked(prepare(model), tmp_path).engines == 1


def test_an_operator_without_another_form_is_named(rtx, tmp_path):
    signature = Signature((TensorSpec("x", "f32", ("batch", 4)),), (TensorSpec("y", "f32", ("batch", 4)),))
    nodes = [node("Cast", ["x"], "wide", to=TensorProto.INT32), node("BitwiseNot", ["wide"], "turned"),
             node("Cast", ["turned"], "y", to=TensorProto.FLOAT)]  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"TensorRT-RTX 1\.7\.1\.116 does not hold the operator BitwiseNot"):
        checked(graph_model(signature, nodes, {}), tmp_path)


@pytest.mark.parametrize(("precision", "eight"), [("int8-static", "int8"), ("int8-static", "float8"), ("float16", "int8"),
                                                  ("int4-weights", "int8")])  # fmt: skip
def test_every_precision_is_built(rtx, tmp_path, precision, eight):
    random = np.random.default_rng(0)
    signature = Signature((TensorSpec("x", "f32", ("batch", 64)),), (TensorSpec("y", "f32", ("batch", 32)),))
    nodes = [node("Gemm", ["x", "w1", "b1"], "g", transB=1), node("Relu", ["g"], "h"), node("MatMul", ["h", "w2"], "y")]
    constants = {"w1": random.normal(size=(64, 64)), "b1": random.normal(size=64), "w2": random.normal(size=(64, 32))}
    model = graph_model(signature, nodes, {name: value.astype(np.float32) for name, value in constants.items()})
    names = ["g", "y"]
    ranges = dict.fromkeys(needed_values(graph_of(model, {}), set(names)), (-4.0, 4.0))
    lowered, kept = lower(model, PrecisionPlan(dict.fromkeys(names, precision), ranges=ranges), {}, eight)
    assert kept == {} and checked(prepare(lowered), tmp_path).engines == 1


def test_what_was_recorded_of_the_binding_is_still_so(rtx):
    module, recorded = import_module(MODULE), json.loads(VECTORS.read_text())["tensorrt"]["signatures"]
    assert module.__version__ == VERSION
    for name, lines in recorded.items():
        kind, method = name.split(".")
        text = getattr(getattr(module, kind), method).__doc__
        found = [re.sub(r"[\w.]*\.(?=\w)", "", line) for line in text.splitlines() if re.match(r"(\d+\. )?\w+\(self", line)]
        assert {line.split(". ")[-1] for line in found} <= {line.split(". ")[-1] for line in lines}, name


def test_the_list_of_operators_is_the_parsers_own(rtx):
    module = import_module(MODULE)
    logger = logger_of(module, lambda words: None)
    builder = module.Builder(logger)
    network = builder.create_network(0)
    parser = module.OnnxParser(network, logger)
    names = {schema.name for schema in defs.get_all_schemas() if schema.domain == ""}
    assert {name for name in names if parser.supports_operator(name)} == KNOWN & names


@pytest.mark.long
def test_every_package_of_the_zoo_passes_or_names_the_operator(rtx, tmp_path):
    """As docs/tensorrt.md says; packages of the zoo that this machine has built."""
    from portside.sdk.core.package import open_folder

    folder = Path(__file__).resolve().parents[3] / "examples" / "zoo" / "packages"
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not found:
        pytest.skip("the zoo's packages are not built here: portside verify examples/zoo builds them")
    refused = {}
    for path in found:
        try:
            artifact = TensorRTGpu().compile(open_folder(path), CompileOptions(), tmp_path / path.name)
            assert "the build check passed" in TensorRTGpu().build_check(artifact.path)
        except UnsupportedError as error:
            refused[path.name] = str(error)
    assert set(refused) <= {"silero", "wake_word"}, refused
    assert all("operator If" in words or "tflite" in words for words in refused.values())


@pytest.mark.parametrize("lowering", [to_gemm, to_gather])
def test_trees_are_built_as_products_and_as_gathers(rtx, tmp_path, lowering):
    model = lowering(random_trees(3, trees=5, outputs=2), "x", "y")
    assert checked(prepare(model), tmp_path).engines == 1
