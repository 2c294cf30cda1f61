"""Every signature is held against the program: what is wrong is named where it happens."""

from dataclasses import replace

import numpy as np
import pytest

from portside.runtimes.assemble import assemble
from portside.runtimes.tflite.plan import Plan, Slot
from portside.runtimes.tflite.proving import asked, differs, odd, prove, stretched
from portside.runtimes.tflite.sizes import contract_of
from portside.sdk.core.errors import EngineError
from portside.sdk.core.package import open_folder

FLOAT, FLAG = Slot("y", "y", "f32", ("batch",)), Slot("y", "y", "bool", ("batch",))


def test_an_answer_is_compared_by_shape_dtype_and_value():
    one = np.array([1.0, np.nan, np.inf, -3.0], np.float32)
    assert differs(FLOAT, one, one) is None
    assert differs(FLOAT, one + np.float32(1e-4), one) is None
    assert "shape" in differs(FLOAT, one[:2], one)
    assert "dtype" in differs(FLOAT, one.astype(np.float64), one)
    assert "apart" in differs(FLOAT, np.array([1.0, np.nan, np.inf, -2.9], np.float32), one)
    assert "NaN" in differs(FLOAT, np.array([1.0, 0, np.inf, -3.0], np.float32), one)
    assert "infinities" in differs(FLOAT, np.array([1.0, np.nan, -np.inf, -3.0], np.float32), one)
    assert differs(FLAG, np.array([True] * 9 + [False]), np.ones(10, bool)) is None
    assert "50%" in differs(FLAG, np.array([True, False]), np.ones(2, bool))


def test_an_answer_of_lower_precision_is_compared_by_its_form_and_with_the_other_answers():
    other = Slot("z", "z", "f32", ("batch",))
    wanted = {"y": np.linspace(0, 1, 8, dtype=np.float32), "z": np.linspace(5, 3, 8, dtype=np.float32)}
    rough = {name: held + np.float32(0.3) for name, held in wanted.items()}
    assert odd(FLOAT, rough, wanted) is None
    assert "nearer to what 'z' should be" in odd(FLOAT, {"y": rough["z"], "z": rough["y"]}, wanted)
    assert "nearer to what 'y'" in odd(other, {"y": rough["z"], "z": rough["y"]}, wanted)
    assert "dtype int8" in odd(FLOAT, {"y": rough["y"].astype(np.int8)}, wanted)
    assert "NaN or infinities" in odd(FLOAT, {"y": np.full(8, np.inf, np.float32)}, wanted)


def test_padded_dimensions_are_asked_one_short_and_exact_ones_are_not():
    slot = Slot("x", "x", "f32", ("batch", "length", "width"))
    plan = Plan((slot,), (), {"one": {"batch": 8, "length": 4, "width": 3}}, "batch", ("width",))
    assert list(asked(plan)) == [{"batch": 8, "length": 4, "width": 3}, {"batch": 8, "length": 3, "width": 3}]


def test_golden_rows_are_repeated_or_cut():
    slot = Slot("x", "x", "i32", ("batch", "length"))
    np.testing.assert_array_equal(stretched(slot, np.array([[1, 2, 3]]), {"batch": 2, "length": 4}), [[1, 2, 3, 1]] * 2)
    assert stretched(slot, np.array([[1, 2, 3]]), {"batch": 1, "length": 2}).dtype == np.int32


@pytest.fixture
def proven(mixed_artifact):
    _, artifact = mixed_artifact
    package = open_folder(artifact.path.parent / "package")
    (part,) = assemble(package, "tflite")
    ((file, plan),) = artifact.engine["plans"].items()
    return package, replace(part, spec=replace(part.spec, file=file)), Plan.from_dict(plan), artifact.path / "engine"


def test_two_outputs_that_change_places_are_caught(proven):
    package, part, plan, root = proven
    prove(package, [part], {part.spec.file: plan}, root, contract_of(package))
    keys = {slot.name: slot.key for slot in plan.outputs}
    swapped = {"first": keys["first"], "scores": keys["scores"], "label": keys["label"], "above": keys["above"]}
    swapped["label"], swapped["above"] = swapped["above"], swapped["label"]
    wrong = replace(plan, outputs=tuple(replace(slot, key=swapped[slot.name]) for slot in plan.outputs))
    with pytest.raises(EngineError, match=r"segment '00-main' answers 'label' otherwise.*dtype bool instead of int32, at \{'batch': 1\}"):
        prove(package, [part], {part.spec.file: wrong}, root, contract_of(package))


def test_a_model_that_onnx_runtime_refuses_is_an_engine_error(proven):
    package, part, plan, root = proven
    part.model.opset_import[0].version = 999
    with pytest.raises(EngineError, match="cannot open the model"):
        prove(package, [part], {part.spec.file: plan}, root, contract_of(package))
