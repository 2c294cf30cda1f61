"""Plans of packages that were an ONNX file: nodes without names, weights in Constant nodes, opsets of long ago, files quantized before."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

import portside as ps
from portside.compress.quantize import Plans
from portside.sdk.core.errors import UnsupportedError
from portside.sdk.core.plan import plan_of

SHAPE = (3, 12, 12)
FORMS = ({}, {"named": False}, {"constants": True}, {"opset": 11}, {"named": False, "constants": True, "opset": 9})


def pictures(rows, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, *SHAPE)).astype(np.float32)


def network(named=True, constants=False, opset=17):
    """Two convolutions, a join, a dense layer."""
    draw = np.random.default_rng(1).normal
    held = {"w1": draw(size=(8, 3, 3, 3)) / 5, "b1": draw(size=8) / 5, "w2": draw(size=(8, 8, 3, 3)) / 8, "b2": draw(size=8) / 5,
            "w3": draw(size=(4, 16)) / 4, "b3": draw(size=4)}  # fmt: skip
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()]
    made = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in tensors] if constants else []
    steps = [
        ("Conv", ["picture", "w1", "b1"], "c1", {"pads": [1] * 4}), ("Relu", ["c1"], "r1", {}),
        ("Conv", ["r1", "w2", "b2"], "c2", {"pads": [1] * 4}), ("Relu", ["c2"], "r2", {}), ("Concat", ["r1", "r2"], "j", {"axis": 1}),
        ("GlobalAveragePool", ["j"], "p", {}), ("Flatten", ["p"], "f", {}), ("Gemm", ["f", "w3", "b3"], "scores", {"transB": 1}),
    ]  # fmt: skip
    nodes = [helper.make_node(kind, inputs, [out], name=f"somebody/{out}" if named else "", **more) for kind, inputs, out, more in steps]
    rim = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])] for name, shape in (("picture", SHAPE), ("scores", (4,)))
    ]
    graph = helper.make_graph([*made, *nodes], "g", *rim, [] if constants else tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def packed(model, folder):
    onnx.save(model, str(folder / "model.onnx"))
    return ps.pack(folder / "model.onnx", examples={"picture": pictures(48)}, name="given", out=folder / "package")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_layer_is_planned_calibrated_and_lowered(form, tmp_path):
    package = packed(network(**form), tmp_path)
    small = ps.compress(package, "int8-static", ps.Data({"picture": pictures(128, seed=3)}), out=tmp_path / "small")
    plan = plan_of(small.content.plan)
    assert len(plan.nodes) == 6, plan.nodes  # two convolutions, the join, the pool, its flattening, the dense layer
    artifact = ps.compile(small, "onnx-cpu", tmp_path / "artifact", allow_unproven=True)
    assert artifact.engine["precision"]["achieved"] == {"int8-static": 6}
    assert not artifact.engine["precision"]["kept"]
    given = pictures(32, seed=9)
    before, after = (
        ps.load(ps.compile(one, "onnx-cpu", tmp_path / f"{index}", allow_unproven=True)) for index, one in enumerate((package, small))
    )
    truth, made = (session.predict({"picture": given})["scores"] for session in (before, after))
    assert 0 < np.abs(made - truth).max() < 0.1 * np.ptp(truth)


def test_a_layer_is_kept_by_the_id_that_the_plan_shows(tmp_path):
    package = packed(network(), tmp_path)
    conv, *_ = Plans(package).nodes("int8-static")
    small = ps.compress(package, ps.Quantize("int8-static", keep=(conv,)), ps.Data({"picture": pictures(128)}), out=tmp_path / "small")
    plan = plan_of(small.content.plan)
    assert conv not in plan.nodes
    assert dict(plan.kept) == {conv: "asked for"}


def test_a_file_that_was_quantized_before_has_nothing_to_lower(tmp_path):
    class Rows(CalibrationDataReader):
        def __init__(self):
            self.left = iter([{"picture": pictures(16)}])

        def get_next(self):
            return next(self.left, None)

    onnx.save(network(), str(tmp_path / "float.onnx"))
    quantize_static(tmp_path / "float.onnx", tmp_path / "quantized.onnx", Rows(), quant_format=QuantFormat.QDQ)
    package = packed(onnx.load(str(tmp_path / "quantized.onnx")), tmp_path)
    with pytest.raises(UnsupportedError, match="can be int8-static"):
        ps.compress(package, "int8-static", ps.Data({"picture": pictures(128)}), out=tmp_path / "small")


@pytest.mark.slow
@pytest.mark.long
def test_the_file_on_tflite_has_the_ranges_of_the_plan(tmp_path):
    package = packed(network(named=False), tmp_path)
    small = ps.compress(package, "int8-static", ps.Data({"picture": pictures(128, seed=3) * 3}), out=tmp_path / "small")
    artifact = ps.compile(small, "tflite", tmp_path / "artifact", allow_unproven=True)
    said = artifact.engine["precision"]
    assert said["achieved"] == {"int8-static": 3}
    assert not [note for note in said["notes"] if "golden" in note]
