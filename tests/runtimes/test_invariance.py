"""Batch invariance is measured: float programs have it, dynamic quantization and batch statistics do not."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.invariance import batch_invariant, can_batch, spoil
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 8)),), (TensorSpec("y", "f32", ("batch", 4), kind="value"),))
WEIGHT = np.random.default_rng(0).integers(-100, 100, (8, 4)).astype(np.int8)


def measured(package, tmp_path):
    artifact = OnnxCpu().compile(package, CompileOptions(), tmp_path / "artifact")
    session = OnnxCpu().load(artifact.path, LoadOptions(door=False))
    return batch_invariant(session, artifact.contract())


@pytest.mark.parametrize(("name", "expected"), [("mixed", True), ("canvas", True), ("scalar", False), ("stateful", False)])
def test_samples(name, expected, tmp_path):
    assert measured(samples.SAMPLES[name]().write(tmp_path / "package"), tmp_path) is expected


def case_of(rows=6):
    x = np.random.default_rng(1).normal(size=(rows, 8)).astype(np.float32)
    return Case({"x": x}, {"y": np.zeros((rows, 4), np.float32)}, why=("random",) * rows)


def test_dynamic_int8_depends_on_batch_mates(make_package, tmp_path):
    quantize = node("DynamicQuantizeLinear", ["x"], "q")
    quantize.output.extend(["scale", "zero"])
    nodes = [quantize, node("MatMulInteger", ["q", "weight", "zero"], "sum"), node("Cast", ["sum"], "real", to=1),
             node("Mul", ["real", "scale"], "y")]  # fmt: skip
    package = make_package(SIGNATURE, [("main", graph_model(SIGNATURE, nodes, {"weight": WEIGHT}))],
                           cases=[case_of()], rules={"y": Rule("value")})  # fmt: skip
    assert measured(package, tmp_path) is False


def test_batch_statistics_depend_on_batch_mates(make_package, tmp_path):
    nodes = [node("ReduceMax", ["x", "rows"], "top", keepdims=1), node("Sub", ["x", "top"], "d"), node("MatMul", ["d", "weight"], "y")]
    model = graph_model(SIGNATURE, nodes, {"rows": np.array([0], np.int64), "weight": WEIGHT.astype(np.float32)})
    package = make_package(SIGNATURE, [("main", model)], cases=[case_of()], rules={"y": Rule("value")})
    assert measured(package, tmp_path) is False


def test_a_fixed_batch_cannot_be_batched():
    fixed = Signature((TensorSpec("x", "f32", (1, 8)),), SIGNATURE.outputs)
    assert can_batch(SIGNATURE)
    assert not can_batch(fixed)
    assert not can_batch(Signature((TensorSpec("x", "f32", (8,), None),), SIGNATURE.outputs))


OUTLIERS = [("f4", "scaled", 40), ("f4", "nan", np.nan), ("u1", "scaled", 253), ("i4", "nan", 2)]


@pytest.mark.parametrize(("dtype", "kind", "expected"), OUTLIERS)
def test_outliers(dtype, kind, expected):
    row = np.full((1, 3), 2, dtype)
    spoil(row, kind)
    np.testing.assert_array_equal(row, np.full((1, 3), expected, dtype))


class Closed:
    """A session whose door refuses NaN and cannot be opened."""

    def __init__(self, session):
        self._session, self.info = session, session.info

    def run(self, inputs, cancel=None):
        for name, value in inputs.items():
            if value.dtype.kind == "f" and np.isnan(value).any():
                raise InputError("a value is missing", field=name)
        return self._session.run(inputs, cancel)


def test_mates_that_no_door_lets_in_are_left_out(tmp_path):
    sample = samples.mixed()
    artifact = OnnxCpu().compile(sample.write(tmp_path / "package"), CompileOptions(), tmp_path / "artifact")
    session = OnnxCpu().load(artifact.path, LoadOptions(door=False))
    assert batch_invariant(Closed(session), artifact.contract())


def test_a_session_that_lets_no_mates_in_is_not_proven(tmp_path):
    sample = samples.mixed()
    artifact = OnnxCpu().compile(sample.write(tmp_path / "package"), CompileOptions(), tmp_path / "artifact")
    session = Closed(OnnxCpu().load(artifact.path, LoadOptions(door=False)))
    rows = session.run

    def alone_only(inputs, cancel=None):
        if any(len(value) > 1 for value in inputs.values()):
            raise InputError("one row at a time", field="x")
        return rows(inputs, cancel)

    session.run = alone_only
    assert not batch_invariant(session, artifact.contract())
