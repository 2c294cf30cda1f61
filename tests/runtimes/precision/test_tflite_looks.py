"""Which tensor is which value: by what they hold on the same rows, whatever the layout."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes.precision.tflite_looks import Look, look, looks_of, matched, read_looks, values_of, write_looks
from portside.sdk.core.manifest import Stage


def drawn(seed=0, shape=(4, 6, 5)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_look_does_not_depend_on_layout_and_survives_another_engines_rounding():
    value = drawn()
    moved = np.transpose(value, (2, 0, 1)).reshape(20, 6) * np.float32(1 + 1e-6)
    assert look(value).apart(look(moved)) < 1e-5


@pytest.mark.parametrize("change", [lambda v: v * 1.01, lambda v: v + 0.02, lambda v: -v, np.abs, lambda v: v[:, :, :4], np.sort])
def test_other_values_look_otherwise_but_for_their_order(change):
    value = drawn()
    apart = look(value).apart(look(change(value)))
    assert apart < 1e-9 if change is np.sort else apart > 1e-3


@pytest.mark.parametrize("value", [np.zeros((0, 3), np.float32), np.array([1, np.nan], np.float32), np.array([np.inf], np.float32)])
def test_what_is_empty_or_not_finite_has_no_look(value):
    assert look(value) is None


def test_a_tensor_takes_the_range_of_the_value_that_looks_the_same():
    one, other = drawn(1), drawn(2)
    values = {"main/one": look(one), "main/other": look(other), "main/unranged": look(drawn(3))}
    ranges = {"main/one": (-9.0, 9.0), "main/other": (-7.0, 8.0)}
    tensors = {"0/4": look(other.transpose(2, 1, 0)), "0/5": look(one), "0/6": look(drawn(3)), "0/7": look(drawn(4))}
    assert matched(tensors, values, ranges) == {"0/4": (-7.0, 8.0), "0/5": (-9.0, 9.0)}
    assert matched(tensors, {}, ranges) == {}


def test_values_are_found_in_the_segment_of_several_stages(graphs):
    x = {"x": drawn(shape=(3, 4))}
    model = graphs.model([graphs.op("Relu", "x", "0/inner"), graphs.op("Neg", "0/inner", "mid"), graphs.op("Abs", "mid", "1/inner"),
                          graphs.op("Neg", "1/inner", "y")], x, "y", {})  # fmt: skip
    stages = [Stage("graph", name, f"program/{name}.onnx", ("x",), ("y",)) for name in ("first", "second")]
    wanted = ["first/x", "first/inner", "first/mid", "second/mid", "second/inner", "second/nothing", "elsewhere/inner"]
    found = values_of(stages, wanted, model)
    assert found == {
        "first/x": "x", "first/inner": "0/inner", "first/mid": "mid", "second/mid": "mid", "second/inner": "1/inner",
    }  # fmt: skip
    looks = looks_of(model, found, x)
    assert looks["first/x"] == look(x["x"])
    assert looks["second/inner"] == look(np.abs(-np.maximum(x["x"], 0)))
    assert looks["first/mid"] == looks["second/mid"]
    assert looks_of(model, {}, x) == {}
    assert list(looks_of(model, {"first/x": "x"}, x)) == ["first/x"]
    assert [value.name for value in model.graph.output] == ["y"], "the model was changed"


def test_looks_survive_their_file(tmp_path):
    looks = {"b8": {"main/x": Look(8, -1.5, 2.25, 0.125, 1.0)}, "b1": {}}
    write_looks(looks, tmp_path / "looks")
    assert read_looks(tmp_path / "looks") == looks
    assert read_looks(tmp_path / "none") == {}
