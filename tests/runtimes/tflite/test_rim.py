"""A segment's rim as a plan, and what has no place in TFLite."""

from dataclasses import replace

import pytest
from onnx import TensorProto, helper

from portside.runtimes import samples
from portside.runtimes.samples import node
from portside.runtimes.tflite import rim
from portside.runtimes.tflite.rim import depends, keys_of, plan_of
from portside.runtimes.tflite.sizes import Sizes
from portside.sdk.core.errors import UnsupportedError

SIZES = Sizes("batch", {"batch": (1, 8)})
PADDED = Sizes("batch", {"batch": (1,), "length": (4, 8)}, {"x": 0})


def model(nodes, inputs, outputs, constants=()):
    values = [[helper.make_tensor_value_info(name, *kind) for name, kind in side.items()] for side in (inputs, outputs)]
    return helper.make_model(helper.make_graph(nodes, "main", *values, list(constants)), opset_imports=[helper.make_opsetid("", 18)])


FLOATS = (TensorProto.FLOAT, ["batch", 4])
LONG = (TensorProto.FLOAT, ["batch", "length"])


def test_a_plan_keeps_names_dtypes_and_symbols():
    plan = plan_of(samples.mixed().model, SIZES, "main")
    assert [(slot.name, slot.dtype, slot.shape) for slot in plan.inputs] == [
        ("x", "f32", ("batch", 4)), ("ids", "i32", ("batch",)), ("on", "bool", ("batch",))]  # fmt: skip
    assert list(plan.signatures) == ["batch1", "batch8"]
    assert plan.batch == "batch"


def test_names_become_keys_that_an_argument_can_have_and_none_is_lost():
    names = ["x", "class", "cell type", "cell-type", "save/scale_0.tmp_1", "self", "1st", "größe", "x"]
    keys = keys_of(names)
    assert keys[0] == "x"
    assert len(set(keys)) == len(names)
    assert all(key.isidentifier() and key.isascii() and key not in ("class", "self") for key in keys)


def test_one_value_for_a_whole_batch_is_refused_by_name():
    with pytest.raises(UnsupportedError, match="'mean' of the segment 'main' is one for a whole batch"):
        plan_of(samples.scalar().model, SIZES, "main")


def test_a_value_that_no_row_reaches_may_stand_alone():
    made = model([node("Neg", ["x"], "y"), node("Identity", ["c"], "constant")], {"x": FLOATS, "c": (TensorProto.FLOAT, [2])},
                 {"y": FLOATS, "constant": (TensorProto.FLOAT, [2])})  # fmt: skip
    assert [slot.name for slot in plan_of(made, SIZES, "main").outputs] == ["y", "constant"]
    assert depends(made, "y", {"x"})
    assert not depends(made, "constant", {"x"})


def test_a_dimension_that_no_input_has_is_refused():
    inner = model([node("Neg", ["x"], "y")], {"x": (TensorProto.FLOAT, ["batch", "found"])}, {"y": (TensorProto.FLOAT, ["batch", "found"])})
    with pytest.raises(UnsupportedError, match="'found'"):
        plan_of(inner, SIZES, "late")


def test_a_dtype_without_a_place_is_refused():
    wide = model([node("Neg", ["x"], "y")], {"x": (TensorProto.DOUBLE, ["batch"])}, {"y": (TensorProto.DOUBLE, ["batch"])})
    with pytest.raises(UnsupportedError, match=r"'x'.*DOUBLE"):
        plan_of(wide, SIZES, "main")


def test_an_output_whose_size_hangs_on_a_padded_dimension_unknown_how_is_refused():
    made = model([node("NonZero", ["x"], "y")], {"x": LONG}, {"y": (TensorProto.FLOAT, ["batch", "many"])})
    with pytest.raises(UnsupportedError, match="'y' depends on a padded dimension"):
        plan_of(made, PADDED, "main")


def test_what_a_flatbuffer_cannot_hold_is_refused_before_anything_is_lowered(monkeypatch):
    monkeypatch.setattr(rim, "MOST_BYTES", 10)
    with pytest.raises(UnsupportedError, match="less than 2 GiB"):
        plan_of(samples.mixed().model, SIZES, "main")


def test_pads_reach_the_slots():
    plan = plan_of(model([node("Neg", ["x"], "y")], {"x": LONG}, {"y": LONG}), replace(PADDED, pads={"x": 7}), "main")
    assert plan.inputs[0].pad == 7
    assert plan.signatures["batch1_length8"] == {"batch": 1, "length": 8}
