"""Plain functions as models, and a featurize declared with host=[...]."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
from portside.sdk.core.errors import TraceError

FILE = Path(__file__).parent / "hosted.py"
_spec = importlib.util.spec_from_file_location("hosted_for_tests", FILE)
assert _spec is not None and _spec.loader is not None
hosted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hosted)

TEXT = ["Buy NOW!!!", "hello there", "", "Ünïcode."]


class Scorer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 3)

    def forward(self, features):
        return self.layer(features)


def test_a_plain_function_is_one_host_stage(run_program):
    program = import_model(hosted.whole_model, ImportOptions(examples={"text": TEXT}))
    (stage,) = program.stages
    assert (stage.kind, stage.function, stage.inputs, stage.outputs) == ("host", "whole_model", ("text",), ("score", "words"))
    assert program.files[stage.file] == FILE.read_bytes()
    assert program.signature.input("text").dtype == "string" and program.signature.input("text").shape == ("batch",)
    assert program.signature.output("words").dtype == "i64" and program.signature.output("words").shape == ("batch",)
    held = {"text": np.array(TEXT)}
    found, expected = run_program(program, held), program.source(held)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_host_featurize_runs_ahead_of_the_graph(run_program):
    def predict(model, features):
        return {"label": model(features).argmax(-1)}

    options = ImportOptions(examples={"text": TEXT}, featurize=hosted.clean_text, predict=predict, host=("clean_text",))
    program = import_model(Scorer(), options)
    assert [(stage.kind, stage.inputs, stage.outputs) for stage in program.stages] == [
        ("host", ("text",), ("features",)), ("graph", ("features",), ("label",)),
    ]  # fmt: skip
    assert program.stages[1].file == "program/01-main.onnx" and program.boundaries["features"] == ("features",)
    assert [spec.name for spec in program.signature.inputs] == ["text"]
    held = {"text": np.array(["One", "two words"])}
    assert np.array_equal(run_program(program, held)["label"], program.source(held)["label"])


def test_host_featurize_with_named_features(run_program):
    class Sum(torch.nn.Module):
        def forward(self, length, ids):
            return length + ids

    examples = {"text": TEXT, "weight": np.float64(1.5)}
    program = import_model(Sum(), ImportOptions(examples=examples, featurize=hosted.two_features, host=("two_features",)))
    held = {"text": np.array(TEXT), "weight": np.float64(2.0)}
    np.testing.assert_allclose(run_program(program, held)["output"], program.source(held)["output"], atol=1e-5)


@pytest.mark.parametrize("function", [lambda text: text, Scorer.forward])
def test_lambdas_and_methods_are_refused(function):
    with pytest.raises(TraceError, match="must be a plain function") as caught:
        import_model(function, ImportOptions(examples={"text": TEXT}))
    assert caught.value.where is not None and caught.value.fix


def test_nested_functions_are_refused_with_their_line():
    limit = 3

    def inner(text):
        return np.array([len(item) > limit for item in text])

    with pytest.raises(TraceError, match="must be a plain function") as caught:
        import_model(inner, ImportOptions(examples={"text": TEXT}))
    assert caught.value.where is not None and "def inner(text):" in caught.value.where.text


def test_a_failing_host_function_names_its_line():
    with pytest.raises(TraceError, match="fails on the examples") as caught:
        import_model(hosted.broken, ImportOptions(examples={"text": TEXT}))
    assert caught.value.where is not None and caught.value.where.text == 'return text["missing"]'


def test_host_names_featurize_only():
    def predict(model, features):
        return model(features)

    for host in (("predict",), ("nothing",), ("clean_text", "predict")):
        with pytest.raises(TraceError, match="featurize only"):
            import_model(Scorer(), ImportOptions(examples={"text": TEXT}, featurize=hosted.clean_text, predict=predict, host=host))


def test_a_host_value_under_an_inputs_name_is_refused():
    with pytest.raises(TraceError, match="under the name of an input"):
        import_model(Scorer(), ImportOptions(examples={"text": TEXT}, featurize=hosted.clashing, host=("clashing",)))


def test_a_plain_function_has_no_featurize():
    with pytest.raises(TraceError, match="no featurize and predict"):
        import_model(hosted.whole_model, ImportOptions(examples={"text": TEXT}, featurize=hosted.clean_text))


def test_a_file_that_imports_its_neighbours_is_refused(tmp_path: Path):
    file = tmp_path / "relative.py"
    file.write_text("def run(text):\n    from .other import thing\n    return thing(text)\n")
    spec = importlib.util.spec_from_file_location("relative_for_tests", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(TraceError, match="neighbours") as caught:
        import_model(module.run, ImportOptions(examples={"text": TEXT}))
    assert caught.value.where is not None and caught.value.where.line == 2
