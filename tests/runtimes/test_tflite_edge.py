"""Target tflite from package to answer: trees, sentences, host stages, options, and what a device must not import."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions, LoadOptions, compile_lack
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.reference import Reference
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tflite_edge import TfliteEdge
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.errors import FormatError, InputError, TrustError, UnsupportedError
from portside.sdk.core.signature import Signature, TensorSpec


def beside(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, Path(__file__).parent / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sentence = beside("tflite/conftest.py")
trees = beside("grown.py")
sentence_package = sentence.sentence_package


def test_sentences_of_any_length_are_padded_and_cropped(sentence_package, tmp_path):
    artifact = compile_package(sentence_package, "tflite", tmp_path / "artifact", batches=(1, 4))
    session = load(artifact)
    for rows, length in ((1, 1), (1, 8), (3, 5), (4, 12), (9, 11)):
        given = sentence.sentences(rows, length, seed=length)
        made, truth = session.run(given), sentence.sentence_truth(given["ids"], given["mask"])
        for name, value in truth.items():
            assert made[name].shape == value.shape
            np.testing.assert_allclose(made[name], value, atol=1e-5)
    with pytest.raises(InputError, match="at most 12") as caught:
        session.run(sentence.sentences(1, 13))
    assert caught.value.field == "ids"
    answered = session.predict({"text": ["red green", "blue " * 50]})
    assert answered["words"].shape == (2, 12, 5)


def host_package(make_package):
    """scores -> trees -> a host stage that names the best -> a graph behind it."""
    doubled = TensorSpec("doubled", "f32", ("batch", 3), kind="value")
    signature = Signature((TensorSpec("x", "f32", ("batch", 4), missing=True),), (doubled,))
    forest = trees.random_trees(3)
    value = helper.make_tensor_value_info
    last = helper.make_model(helper.make_graph(
        [node("Add", ["shifted", "shifted"], "doubled")], "last", [value("shifted", TensorProto.FLOAT, ["batch", 3])],
        [value("doubled", TensorProto.FLOAT, ["batch", 3])]), opset_imports=[helper.make_opsetid("", 18)], ir_version=9)  # fmt: skip
    x = trees.random_rows(1, 24)
    truth = {"doubled": 2 * (forest.evaluate(x) + np.float32(1))}
    source = "def shift(scores):\n    return {'shifted': scores + scores.dtype.type(1)}\n"
    return forest, make_package(
        signature, [("trees", forest, ["x"], ["scores"]), ("shift", source, ["scores"], ["shifted"]), ("last", last)],
        cases=[Case({"x": x}, truth, why=("random",) * 24)], rules={"doubled": Rule("value")}, trusted=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.long
def test_trees_and_a_host_stage_between_two_files(make_package, tmp_path):
    forest, package = host_package(make_package)
    artifact = compile_package(package, "tflite", tmp_path / "artifact")
    assert [segment["kind"] for segment in artifact.engine["segments"]] == ["tflite", "host", "tflite"]
    with pytest.raises(TrustError):
        load(artifact)
    session = load(artifact, trust=True)
    assert not session.info.thread_safe
    x = trees.random_rows(7, 13)
    np.testing.assert_allclose(session.run({"x": x})["doubled"], 2 * (forest.evaluate(x) + 1), rtol=1e-4, atol=1e-4)


@pytest.mark.long
@pytest.mark.slow
def test_gathered_trees_decide_exactly_in_the_interpreter(make_package, tmp_path, monkeypatch):
    monkeypatch.setattr("portside.runtimes.tflite.tree_lowering.GEMM_FLOATS", 0)
    forest, package = host_package(make_package)
    session = load(compile_package(package, "tflite", tmp_path / "artifact"), trust=True)
    x = trees.random_rows(8, 40)
    np.testing.assert_allclose(session.run({"x": x})["doubled"], 2 * (forest.evaluate(x) + 1), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.long
def test_names_that_no_argument_can_have_and_an_input_that_comes_out_again(make_package, tmp_path):
    signature = Signature(
        (TensorSpec("cell type", "f32", ("batch", 2)), TensorSpec("class", "i64", ("batch",)), TensorSpec("idle", "u8", ("batch",))),
        (TensorSpec("z/out.1", "f32", ("batch", 2), kind="value"), TensorSpec("again", "i64", ("batch",), kind="decision"),
         TensorSpec("a", "f32", ("batch", 2), kind="value")),
    )  # fmt: skip
    nodes = [node("Neg", ["cell type"], "z/out.1"), node("Identity", ["class"], "again"), node("Identity", ["z/out.1"], "a")]
    given = {"cell type": np.array([[1, 2], [3, 4]], np.float32), "class": np.array([5, 6], np.int32), "idle": np.array([0, 1], np.uint8)}
    truth = {"z/out.1": -given["cell type"], "again": np.array([5, 6]), "a": -given["cell type"]}
    rules = {"z/out.1": Rule("value"), "again": Rule("decision"), "a": Rule("value")}
    package = make_package(signature, [("main", graph_model(signature, nodes, {}))], cases=[Case(given, truth, why=("random",) * 2)],
                           rules=rules)  # fmt: skip
    made = load(compile_package(package, "tflite", tmp_path / "artifact")).run(given)
    assert list(made) == list(truth)
    for name, value in truth.items():
        assert made[name].dtype == value.dtype
        np.testing.assert_array_equal(made[name], value)


def test_an_operator_without_a_lowering_is_named(make_package, tmp_path):
    signature = Signature((TensorSpec("x", "f32", ("batch", 4)),), (TensorSpec("y", "f32", ("batch", 4), kind="value"),))
    package = make_package(signature, [("main", graph_model(signature, [node("Det", ["x"], "y")], {}))])
    with pytest.raises(UnsupportedError, match="Det"):
        TfliteEdge().compile(package, CompileOptions(), tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("extra", [
    {"batch": 3}, {"source": "pt2"}, {"sizes": {"nowhere": (1,)}}, {"batches": (0,)}, {"batches": 1}, {"timeout_s": "an hour"},
])  # fmt: skip
def test_options_are_checked_before_anything_is_lowered(mixed, tmp_path, extra):
    with pytest.raises(UnsupportedError):
        TfliteEdge().compile(mixed[1], CompileOptions(extra=extra), tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


def test_an_artifact_of_another_target_is_refused(mixed, tmp_path):
    made = OnnxCpu().compile(mixed[1], CompileOptions(), tmp_path / "artifact")
    with pytest.raises(FormatError, match="another target"):
        TfliteEdge().load(made.path, LoadOptions())


@pytest.mark.parametrize(("present", "numpy", "missing"), [
    ({"ai_edge_litert"}, "2.4.0", None), ({"ai_edge_litert", "tflite_runtime"}, "2.4.0", None), ({"tflite_runtime"}, "1.26.4", None),
    ({"tflite_runtime"}, "2.4.0", "numpy<2"), (set(), "2.4.0", "ai-edge-litert"),
])  # fmt: skip
def test_what_is_missing_is_said(monkeypatch, present, numpy, missing):
    monkeypatch.setattr("portside.runtimes.tflite_edge.find_spec", lambda name: name if name in present else None)
    monkeypatch.setattr("portside.runtimes.tflite_edge.version_of", lambda name: numpy)
    found = TfliteEdge().missing()
    assert found is None if missing is None else missing in found


@pytest.mark.parametrize(("present", "variable", "missing"), [
    ({"ai_edge_litert"}, "", "onnx"), ({"ai_edge_litert", "onnx", "onnxruntime", "torch"}, "", "litert_torch"),
    ({"ai_edge_litert", "onnx", "onnxruntime"}, "/elsewhere/python", None), (set(), "", "ai-edge-litert"),
    ({"ai_edge_litert", "onnx", "onnxruntime", "torch", "litert_torch"}, "", None),
])  # fmt: skip
def test_a_device_that_runs_it_need_not_compile_it(monkeypatch, present, variable, missing):
    monkeypatch.setattr("portside.runtimes.tflite_edge.find_spec", lambda name: name if name in present else None)
    monkeypatch.setenv("PORTSIDE_TFLITE_PYTHON", variable)
    assert TfliteEdge().missing_to_compile() == missing
    said = compile_lack(TfliteEdge())
    assert said is None if missing is None else "pip install 'portside[tflite-compile]'" in str(said)


def test_a_device_loads_neither_onnx_nor_torch(tmp_path):
    sample = samples.stateful()
    package = sample.write(tmp_path / "package")
    made = TfliteEdge().compile(package, CompileOptions(extra={"batches": (1,)}), tmp_path / "artifact")
    assert list(made.engine["plans"]["engine/00-main.tflite"]["signatures"]) == ["batch1"]
    script = (
        "import sys, numpy as np, portside as ps\n"
        "session = ps.load(sys.argv[1])\n"
        "y = session.run({'x': np.ones((2, 2), np.float32)})['y']\n"
        "assert (y == -1.5).all(), y\n"
        "print([name for name in ('onnx', 'onnxruntime', 'torch', 'litert_torch', 'jax') if name in sys.modules])\n"
    )
    said = subprocess.run([sys.executable, "-P", "-c", script, str(made.path)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    inputs = sample.inputs(3)
    np.testing.assert_array_equal(TfliteEdge().load(made.path, LoadOptions()).run(inputs)["y"], Reference().open(package).run(inputs)["y"])
