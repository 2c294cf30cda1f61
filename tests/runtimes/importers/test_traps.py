"""What traces silently wrong or not at all is refused with the user's line and a way out."""

from __future__ import annotations

import inspect
import random
from typing import Any

import numpy as np
import pytest
import torch

from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
from portside.sdk.core.errors import TraceError

EXAMPLES = {"x": np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)}


class Double(torch.nn.Module):
    def forward(self, x):
        return x * 2


def refused(featurize: Any = None, predict: Any = None, model: Any = None, examples: Any = None, **more: Any) -> TraceError:
    with pytest.raises(TraceError) as caught:
        import_model(model or Double(), ImportOptions(examples=examples or EXAMPLES, featurize=featurize, predict=predict, **more))
    assert caught.value.fix
    return caught.value


def points_at(error: TraceError, function: Any, text: str) -> None:
    lines, first = inspect.getsourcelines(function)
    assert error.where is not None and error.where.file == __file__
    assert text in error.where.text and lines[error.where.line - first].strip() == error.where.text


def test_a_branch_on_the_data():
    def featurize(x):
        if x.sum() > 0:
            return x
        return -x

    error = refused(featurize)
    assert "depends on the data" in error.what
    points_at(error, featurize, "if x.sum() > 0:")


def test_a_branch_on_the_batch():
    def featurize(x):
        if x.shape[0] > 1:
            return x - x.mean(0)
        return x

    error = refused(featurize)
    assert "batch=1" in error.what
    points_at(error, featurize, "if x.shape[0] > 1:")


def test_a_branch_on_a_large_batch():
    def featurize(x):
        if x.shape[0] > 100:
            return x * 0
        return x

    points_at(refused(featurize), featurize, "if x.shape[0] > 100:")


def test_a_loop_over_rows_fixes_the_batch():
    def featurize(x):
        return torch.stack([x[row] for row in range(x.shape[0])])

    error = refused(featurize)
    assert "fixes dimension batch" in error.what
    points_at(error, featurize, "range(x.shape[0])")


def test_a_fixed_reshape_names_the_dimension():
    def featurize(x):
        return x.reshape(6, 4)

    assert "batch" in refused(featurize).what


def test_a_branch_on_the_sequence_length():
    def featurize(x):
        return x.mean(1, keepdim=True) if x.shape[1] > 2 else x[:, :1]

    error = refused(featurize, dynamic={"x": {1: "sequence"}})
    assert "sequence=" in error.what
    points_at(error, featurize, "x.shape[1] > 2")


def test_numpy_in_the_path():
    def featurize(x):
        return torch.from_numpy(np.log1p(np.abs(x.numpy())))

    error = refused(featurize)
    assert "numpy" in error.what and "host" in str(error.fix)
    points_at(error, featurize, "np.log1p")


def test_numpy_functions_on_tensors():
    def featurize(x):
        return torch.as_tensor(np.sqrt(np.abs(x)))

    points_at(refused(featurize), featurize, "np.sqrt")


def test_python_randomness_is_found_by_running_twice():
    def featurize(x):
        return x + random.random()

    assert "second time" in refused(featurize).what


def test_torch_randomness():
    def predict(model, features):
        out = model(features)
        return {"score": out + torch.rand(4)}

    points_at(refused(predict=predict), predict, "torch.rand(4)")


def test_randomness_that_does_not_show_in_the_outputs_is_found_in_the_graph():
    def predict(model, features):
        out = model(features)
        return {"score": torch.where(torch.rand(4) < 2, out, -out)}

    error = refused(predict=predict)
    assert "random number" in error.what
    points_at(error, predict, "torch.rand(4)")


def test_functional_dropout_is_random():
    def featurize(x):
        return torch.nn.functional.dropout(x, 0.5)

    points_at(refused(featurize), featurize, "dropout(x, 0.5)")


@pytest.mark.parametrize(("value", "kind"), [(3, "int 3"), (None, "None"), ("yes", "str")])
def test_outputs_that_are_not_tensors(value, kind):
    def predict(model, features):
        return {"score": model(features), "version": value}

    error = refused(predict=predict)
    assert "'version' is not a tensor" in error.what and kind in str(error.got)


def test_numpy_outputs():
    def predict(model, features):
        return {"score": model(features).numpy()}

    assert "not a torch tensor" in refused(predict=predict).what


def test_an_empty_answer():
    assert "no outputs" in refused(predict=lambda model, features: {}).what


def test_an_error_in_the_users_code_is_told_apart_from_tracing():
    def featurize(x):
        return x @ torch.ones(3, 3)

    error = refused(featurize)
    assert "fail on the examples" in error.what
    points_at(error, featurize, "torch.ones(3, 3)")


def test_an_error_in_a_function_that_featurize_calls():
    error = refused(lambda x: _inner(x))
    points_at(error, _inner, "missing")


def _inner(x):
    return x["missing"]


def test_a_model_that_writes_its_own_buffer():
    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x):
            self.count.copy_(x[:1, 0])
            return x + self.count

    error = refused(model=Counting())
    assert "buffer" in error.what and "state=" in str(error.fix)


def test_something_that_is_no_model():
    with pytest.raises(TraceError, match="not a model"):
        import_model(42, ImportOptions(examples=EXAMPLES))


def test_a_shape_assertion_that_holds_is_not_refused():
    def featurize(x):
        assert x.shape[0] >= 1, "no rows"
        return x

    program = import_model(Double(), ImportOptions(examples=EXAMPLES, featurize=featurize))
    assert program.signature.input("x").shape == ("batch", 4)
