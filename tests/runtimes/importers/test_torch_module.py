"""Torch modules become one graph that answers as the module does, under the user's names."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.runtimes.importers.dispatch import import_model, input_names
from portside.runtimes.importers.program import ImportOptions
from portside.sdk.core.errors import InputError, TraceError
from portside.sdk.core.signature import Signature, TensorSpec

RNG = np.random.default_rng(0)


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)
        self.drop, self.head = torch.nn.Dropout(), torch.nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.conv(x))).mean((2, 3))))


class Mlp(torch.nn.Module):
    def __init__(self, inputs: int = 4, outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Linear(inputs, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs))

    def forward(self, x):
        return self.layers(x)


def rows(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def close(found: dict[str, Any], expected: dict[str, Any], atol: float = 1e-5) -> None:
    assert list(found) == list(expected)
    for name, wanted in expected.items():
        assert found[name].dtype == wanted.dtype and found[name].shape == wanted.shape, name
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found[name], wanted, atol=atol, rtol=0, err_msg=name)
        else:
            assert np.array_equal(found[name], wanted), name


def featurize_image(image):
    return image.permute(0, 3, 1, 2).float() / 255


def predict_classes(model, features):
    logits = model(features)
    return {"label": logits.argmax(-1), "confidence": logits.softmax(-1).amax(-1)}


def test_featurize_model_and_predict_are_one_graph(run_program):
    examples = {"image": RNG.integers(0, 255, (9, 16, 16, 3), dtype=np.uint8)}
    program = import_model(Small().train(), ImportOptions(examples=examples, featurize=featurize_image, predict=predict_classes))
    assert [(stage.kind, stage.name, stage.inputs, stage.outputs) for stage in program.stages] == [
        ("graph", "main", ("image",), ("label", "confidence"))
    ]
    assert program.signature.input("image").shape == ("batch", 16, 16, 3) and program.signature.input("image").dtype == "u8"
    assert program.signature.output("label").dtype == "i64" and program.signature.output("label").shape == ("batch",)
    assert program.boundaries == {"features": ("features",), "model": ("model",)}
    for count in (1, 2, 9):
        held = {"image": examples["image"][:count]}
        close(run_program(program, held), program.source(held))


def test_a_model_keeps_its_training_mode_and_its_hooks():
    model = Small().train()
    import_model(model, ImportOptions(examples={"x": rows(4, 3, 8, 8)}))
    assert model.training and model.drop.training and not model._forward_hooks


def test_a_bare_model_names_its_output_and_takes_forwards_parameter(run_program):
    examples = {"x": rows(6, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples))
    assert [spec.name for spec in program.signature.outputs] == ["output"]
    assert program.boundaries == {"features": ("x",), "model": ("output",)}
    close(run_program(program, examples), program.source(examples))


def test_one_array_is_enough_for_one_input(run_program):
    array = rows(5, 4)
    program = import_model(Mlp(), ImportOptions(examples=array))
    close(run_program(program, {"x": array}), program.source({"x": array}))


NAMES = ["mean", "cat", "class", "cell type", "größe", "v/Gemm_0", "w/model.layers.0.weight", "features", "model", "output", "lambda", "数"]


def test_names_that_clash_with_anything_inside_still_work(run_program):
    def predict(model, features):
        out = model(features)
        return {name: out[:, :1] * (index + 1) for index, name in enumerate(NAMES)}

    examples = {"x": rows(5, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples, predict=predict))
    assert [spec.name for spec in program.signature.outputs] == NAMES
    close(run_program(program, examples), program.source(examples))


def test_an_input_may_be_called_like_an_inner_value_or_a_keyword(run_program):
    class Keywords(torch.nn.Module):
        def forward(self, **raw):
            return {"sum": raw["class"] + raw["cell type"] + raw["cat"]}

    examples = {"class": rows(4, 2), "cell type": rows(4, 2), "cat": rows(4, 2)}
    program = import_model(Keywords(), ImportOptions(examples=examples))
    assert [spec.name for spec in program.signature.inputs] == ["class", "cell type", "cat"]
    close(run_program(program, examples), program.source(examples))


def test_outputs_may_be_inputs_constants_and_repeated(run_program):
    def predict(model, features):
        out = model(features)
        return {"same": features, "first": out, "second": out, "constant": torch.arange(3)}

    examples = {"x": rows(4, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples, predict=predict))
    assert program.signature.output("constant").batch_axis is None
    close(run_program(program, examples), program.source(examples))


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (lambda out: out, ["output"]),
        (lambda out: (out, out + 1), ["output_0", "output_1"]),
        (lambda out: {"a": out, "b": out * 2}, ["a", "b"]),
    ],
)
def test_outputs_as_tensor_tuple_or_dict(result, names, run_program):
    examples = {"x": rows(4, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples, predict=lambda model, features: result(model(features))))
    assert [spec.name for spec in program.signature.outputs] == names
    close(run_program(program, examples), program.source(examples))


def test_integers_are_32_bit_at_the_rim_and_64_bit_for_the_user(run_program):
    class Lookup(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(50, 8)

        def forward(self, tokens, scale):
            return {"sum": self.table(tokens).sum(1) * scale[:, None].float(), "first": tokens[:, 0], "wide": scale}

    examples = {"tokens": RNG.integers(0, 50, (6, 7)), "scale": RNG.normal(size=6)}
    program = import_model(Lookup(), ImportOptions(examples=examples, dynamic={"tokens": {1: "sequence"}}))
    assert program.signature.input("tokens").shape == ("batch", "sequence") and program.signature.input("tokens").dtype == "i64"
    assert [spec.dtype for spec in program.signature.outputs] == ["f32", "i64", "f64"]
    for count, length in ((1, 7), (6, 3), (3, 1), (2, 20)):
        scale = RNG.normal(size=count).astype(np.float32).astype(np.float64)
        held = {"tokens": RNG.integers(0, 50, (count, length)), "scale": scale}
        close(run_program(program, held), program.source(held))


def test_a_scalar_input_is_shared_by_all_rows(run_program):
    def featurize(x, threshold):
        return torch.where(x > threshold, x, torch.zeros_like(x))

    examples = {"x": rows(5, 4), "threshold": np.float32(0.3)}
    program = import_model(Mlp(), ImportOptions(examples=examples, featurize=featurize))
    assert program.signature.input("threshold").shape == () and program.signature.input("threshold").batch_axis is None
    close(run_program(program, examples), program.source(examples))


def test_where_on_booleans_runs_in_onnx_runtime(run_program):
    def predict(model, features):
        out = model(features)
        return {"flag": torch.where(out > 0, out > 0.5, out < -0.5)}

    examples = {"x": rows(32, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples, predict=predict))
    close(run_program(program, examples), program.source(examples))


def test_a_function_may_write_into_its_input(run_program):
    def featurize(x):
        x *= 2
        return x

    array = rows(4, 4)
    kept = array.copy()
    program = import_model(Mlp(), ImportOptions(examples={"x": array}, featurize=featurize))
    close(run_program(program, {"x": array}), program.source({"x": array}))
    assert np.array_equal(array, kept)


def test_modules_that_functions_capture_travel_too(run_program):
    encoder = Mlp(4, 4).train()

    def featurize(x):
        return encoder(x)

    examples = {"x": rows(4, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples, featurize=featurize))
    close(run_program(program, examples), program.source(examples))
    assert encoder.training


def test_a_model_called_twice_records_both_answers(run_program):
    def predict(model, features):
        return {"mean": (model(features) + model(-features)) / 2}

    examples = {"x": rows(4, 4)}
    program = import_model(Mlp(), ImportOptions(examples=examples, predict=predict))
    assert program.boundaries["model"] == ("model", "model@1")
    close(run_program(program, examples), program.source(examples))


@pytest.mark.slow
def test_images_of_any_size_through_dynamic_axes(run_program):
    examples = {"image": RNG.integers(0, 255, (3, 16, 20, 3), dtype=np.uint8)}
    options = ImportOptions(examples=examples, featurize=featurize_image, dynamic={"image": {1: "height", 2: "width"}})
    program = import_model(Small(), options)
    assert program.signature.input("image").shape == ("batch", "height", "width", 3)
    held = {"image": RNG.integers(0, 255, (2, 31, 9, 3), dtype=np.uint8)}
    close(run_program(program, held), program.source(held))


def test_state_pairs_are_declared_and_checked(run_program):
    class Cell(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.GRUCell(4, 6)

        def forward(self, x, h):
            new = self.cell(x, h)
            return {"score": new.mean(-1), "h_out": new}

    examples = {"x": rows(5, 4), "h": np.zeros((5, 6), np.float32)}
    program = import_model(Cell(), ImportOptions(examples=examples, state={"h_out": ("h", np.zeros((1, 6), np.float32))}))
    (pair,) = program.signature.state
    assert (pair.output, pair.input, pair.shape, pair.initial) == ("h_out", "h", ("batch", 6), 0.0)
    close(run_program(program, examples), program.source(examples))
    with pytest.raises(InputError, match="state= names a tensor"):
        import_model(Cell(), ImportOptions(examples=examples, state={"nothing": ("h", 0.0)}))


def test_the_users_signature_wins_over_what_is_inferred(run_program):
    x = TensorSpec("x", "f32", ("batch", 4), range=(-3.0, 3.0), unit="mm")
    wished = Signature((x,), (TensorSpec("output", "f32", (), None, kind="value"),))
    program = import_model(Mlp(), ImportOptions(examples={"x": rows(4, 4)}, signature=wished))
    assert program.signature.input("x").range == (-3.0, 3.0) and program.signature.input("x").unit == "mm"
    assert program.signature.output("output").kind == "value" and program.signature.output("output").shape == ("batch", 3)


def test_a_single_example_row_still_gives_a_dynamic_batch(run_program):
    program = import_model(Mlp(), ImportOptions(examples={"x": rows(1, 4)}))
    held = {"x": rows(7, 4)}
    close(run_program(program, held), program.source(held))


def test_examples_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="lack the input 'x'"):
        import_model(Mlp(), ImportOptions(examples={"y": rows(4, 4)}))
    with pytest.raises(InputError, match="Nothing takes the example 'extra'"):
        import_model(Mlp(), ImportOptions(examples={"x": rows(4, 4), "extra": rows(4, 4)}))
    with pytest.raises(InputError, match="disagree on dimension 'batch'"):
        import_model(Mlp(), ImportOptions(examples={"x": rows(4, 4), "z": rows(3, 4)}, featurize=lambda x, z: x))


def test_input_names_come_from_featurize_then_from_forward():
    assert input_names(Mlp(), ImportOptions(examples={})) == ("x",)
    assert input_names(Mlp(), ImportOptions(examples={}, featurize=lambda photo, age=1: photo)) == ("photo",)


def test_an_output_named_like_an_input_is_refused():
    with pytest.raises(TraceError, match="name of an input"):
        import_model(Mlp(), ImportOptions(examples={"x": rows(4, 4)}, predict=lambda model, features: {"x": model(features)}))


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True), width=st.integers(1, 6))
def test_any_batch_is_the_rows_one_by_one(run_program, sizes, width):
    program = import_model(Mlp(width, 2), ImportOptions(examples={"x": rows(3, width)}))
    for count in sizes:
        held = rows(count, width)
        whole = run_program(program, {"x": held})["output"]
        single = np.concatenate([run_program(program, {"x": held[row : row + 1]})["output"] for row in range(min(count, 3))])
        np.testing.assert_allclose(whole[: len(single)], single, atol=1e-6)


SCRIPT = """
import hashlib, numpy as np, torch
from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(40, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3))
def featurize(x, cat):
    return x / 3 + cat[:, None]
def predict(model, features):
    out = model(features)
    return {"label": out.argmax(-1), "mean": out.mean(-1)}
examples = {"x": np.zeros((4, 40), np.float32), "cat": np.arange(4)}
program = import_model(model, ImportOptions(examples=examples, featurize=featurize, predict=predict))
for path, data in sorted(program.files.items()):
    print(path, hashlib.sha256(data).hexdigest())
    assert b"/tmp" not in data and b"script.py" not in data
"""


@pytest.mark.slow
@pytest.mark.long
def test_the_same_bytes_from_two_folders_and_processes(tmp_path: Path):
    outputs: list[str] = []
    for name, seed in (("first", "1"), ("second-folder", "2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)
        done = subprocess.run([sys.executable, "script.py"], cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] and "weights.safetensors" in outputs[0]


def test_importing_says_nothing(capfd):
    import_model(Mlp(), ImportOptions(examples={"x": rows(4, 4)}))
    assert capfd.readouterr() == ("", "")


def test_weights_are_stored_once_and_small_constants_inline():
    program = import_model(Mlp(64, 64), ImportOptions(examples={"x": rows(4, 64)}))
    assert len(program.files["program/00-main.onnx"]) < 4000
    assert len(program.files["program/weights.safetensors"]) > 64 * 16 * 4
    assert hashlib.sha256(program.files["program/00-main.onnx"]).hexdigest()
