"""ONNX files: third-party ones as they are, and with featurize and predict around them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
from portside.sdk.core.errors import FormatError, InputError, TraceError

RNG = np.random.default_rng(0)


def inside(package: str, path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is not installed"
    return Path(spec.origin).parent / path


def close(found: dict[str, Any], expected: dict[str, Any], atol: float = 1e-5) -> None:
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert found[name].dtype == wanted.dtype and found[name].shape == wanted.shape, name
        np.testing.assert_allclose(found[name], wanted, atol=atol, rtol=0, err_msg=name)


def linear(opset: int = 17, double: bool = False) -> onnx.ModelProto:
    """y = x @ w on ids or floats, with paths and comments that must not travel."""
    kind, dtype = (TensorProto.DOUBLE, np.float64) if double else (TensorProto.FLOAT, np.float32)
    weight = numpy_helper.from_array(np.arange(12, dtype=dtype).reshape(4, 3) / 10, "cat")
    node = helper.make_node("MatMul", ["x", "cat"], ["y"], name="/home/someone/model/MatMul", doc_string="/home/someone/train.py:12")
    graph = helper.make_graph([node], "/home/someone", [helper.make_tensor_value_info("x", kind, ["N", 4])],
                              [helper.make_tensor_value_info("y", kind, ["N", 3])], [weight])  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="someone")


def rows(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def test_silero_vad_with_state_if_and_a_scalar(run_program):
    examples = {"input": rows(6, 576) * 0.1, "state": np.zeros((2, 6, 128), np.float32), "sr": np.array(16000)}
    state = {"stateN": ("state", np.zeros((2, 1, 128), np.float32))}
    program = import_model(inside("silero_vad", "data/silero_vad.onnx"), ImportOptions(examples=examples, state=state))
    signature = program.signature
    assert signature.input("state").shape == (2, "batch", 128) and signature.input("state").batch_axis == 1
    assert signature.input("sr").dtype == "i64" and signature.input("sr").batch_axis is None
    assert signature.output("stateN").shape == (2, "batch", 128) and signature.state[0].input == "state"
    answer = run_program(program, examples)
    close(answer, program.source(examples))
    again = examples | {"state": answer["stateN"]}
    close(run_program(program, again), program.source(again))
    one = {"input": examples["input"][:1], "state": examples["state"][:, :1], "sr": examples["sr"]}
    close(run_program(program, one), program.source(one))


def test_silero_vad_without_if(run_program):
    examples = {"input": rows(4, 576) * 0.1, "state": np.zeros((2, 4, 128), np.float32)}
    program = import_model(str(inside("silero_vad", "data/silero_vad_half.onnx")), ImportOptions(examples=examples))
    assert program.signature.input("input").shape == ("batch", "sequence")
    close(run_program(program, examples), program.source(examples))


def test_magika_reads_integers(run_program):
    examples = {"bytes": RNG.integers(0, 255, (5, 2048))}
    program = import_model(inside("magika", "models/standard_v3_3/model.onnx"), ImportOptions(examples=examples))
    assert program.signature.input("bytes").shape == ("batch", 2048)
    close(run_program(program, examples), program.source(examples))


@pytest.mark.parametrize("name", ["ch_ppocr_mobile_v2.0_cls_infer", "ch_PP-OCRv4_det_infer"])
def test_rapidocr_images_of_any_size(name, run_program):
    file = inside("rapidocr_onnxruntime", f"models/{name}.onnx")
    program = import_model(file, ImportOptions(examples={"x": rows(2, 3, 64, 96)}, dynamic={"x": {2: "height", 3: "width"}}))
    assert program.signature.input("x").shape == ("batch", 3, "height", "width")
    held = {"x": rows(3, 3, 96, 128)}
    close(run_program(program, held), program.source(held))


def test_paths_and_comments_do_not_travel(run_program):
    program = import_model(linear().SerializeToString(), ImportOptions(examples={"x": rows(4, 4)}))
    assert all(b"/home/someone" not in data for data in program.files.values())
    assert program.boundaries == {"features": ("x",), "model": ("y",)}
    close(run_program(program, {"x": rows(7, 4)} | (held := {"x": rows(7, 4)})), program.source(held))


def test_double_inside_is_kept_behind_casts(run_program):
    program = import_model(linear(double=True), ImportOptions(examples={"x": rows(4, 4).astype(np.float64)}))
    assert program.signature.input("x").dtype == program.signature.output("y").dtype == "f64"
    graph = onnx.load_model_from_string(program.files["program/00-main.onnx"]).graph
    assert graph.input[0].type.tensor_type.elem_type == graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    held = {"x": rows(3, 4).astype(np.float64)}
    close(run_program(program, held), program.source(held))


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_featurize_and_predict_around_a_file(opset, run_program):
    def featurize(photo):
        return photo.float() / 255

    def predict(model, features):
        logits = model(features)["y"]
        return {"label": logits.argmax(-1), "cat": logits.softmax(-1)}

    examples = {"photo": RNG.integers(0, 255, (6, 4), dtype=np.uint8)}
    program = import_model(linear(opset), ImportOptions(examples=examples, featurize=featurize, predict=predict))
    assert program.boundaries == {"features": ("features",), "model": ("model.y",)}
    assert program.signature.output("cat").shape == ("batch", 3)
    for count in (1, 6):
        held = {"photo": examples["photo"][:count]}
        close(run_program(program, held), program.source(held))


def test_predict_alone_and_the_model_called_twice_by_name(run_program):
    def predict(model, features):
        return {"mean": (model(x=features)["y"] + model(x=-features)["y"]) / 2 + 1}

    program = import_model(linear(), ImportOptions(examples={"x": rows(5, 4)}, predict=predict))
    held = {"x": rows(2, 4)}
    close(run_program(program, held), program.source(held))


def test_silero_vad_behind_a_threshold(run_program):
    def predict(model, features):
        answer = model(features["input"], features["state"], features["sr"])
        return {"speech": answer["output"][:, 0] > 0.5, "next": answer["stateN"]}

    examples = {"input": rows(4, 576) * 0.1, "state": np.zeros((2, 4, 128), np.float32), "sr": np.array(16000)}
    file = inside("silero_vad", "data/silero_vad.onnx")
    program = import_model(file, ImportOptions(examples=examples, predict=predict, state={"next": ("state", 0.0)}))
    assert program.signature.output("next").shape == (2, "batch", 128)
    close(run_program(program, examples), program.source(examples))


def test_calling_the_file_with_other_tensors():
    with pytest.raises(TraceError, match="called with other tensors") as caught:
        import_model(linear(), ImportOptions(examples={"x": rows(4, 4)}, predict=lambda model, features: model(z=features)))
    assert caught.value.expected == "x"


def test_bytes_that_are_no_model():
    with pytest.raises(FormatError, match="not an ONNX model"):
        import_model(b"not onnx", ImportOptions(examples={"x": rows(4, 4)}))
    with pytest.raises(FormatError, match="cannot be read"):
        import_model("nowhere.onnx", ImportOptions(examples={"x": rows(4, 4)}))


def test_examples_that_do_not_fit_the_file():
    with pytest.raises(InputError, match="fixes axis 1"):
        import_model(linear(), ImportOptions(examples={"x": rows(4, 5)}))
    with pytest.raises(TraceError, match="fixes dimension 'width'"):
        import_model(linear(), ImportOptions(examples={"x": rows(4, 4)}, dynamic={"x": {1: "width"}}))


def test_text_tensors_are_refused_by_name():
    model = linear()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    with pytest.raises(TraceError, match="'x' is not a tensor that a package can hold"):
        import_model(model, ImportOptions(examples={"x": rows(4, 4)}))


def test_torch_is_not_needed_for_a_file_as_it_is():
    import subprocess
    import sys

    file = inside("silero_vad", "data/silero_vad_half.onnx")
    script = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
examples = {{"input": np.zeros((2, 576), np.float32), "state": np.zeros((2, 2, 128), np.float32)}}
print(len(import_model({str(file)!r}, ImportOptions(examples=examples)).stages))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr
    assert torch.__version__
