"""Sessions whose calls bring the values of boundaries along, in every isolation."""

import numpy as np
import pytest

from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.isolation import isolate
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.reference import Reference
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tapped import TappedSession, open_by_runtime
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import Signature, TensorSpec

X = np.array([[0.0, 0.2], [1.0, -3.0]], np.float32)
IN, FEATURES = TensorSpec("x", "f32", ("batch", 2)), TensorSpec("features", "f32", ("batch", 2))
OUT = TensorSpec("scores", "f32", ("batch", 2), kind="value")


@pytest.fixture
def package(make_package):
    """features = 2 x, scores = features + features."""
    first = graph_model(Signature((IN,), (FEATURES,)), [node("Add", ["x", "x"], "features")], {})
    second = graph_model(Signature((FEATURES,), (OUT,)), [node("Add", ["features", "features"], "scores")], {})
    return make_package(Signature((IN,), (OUT,)), [("featurize", first), ("predict", second)], boundaries={"features": ("features",)})


@pytest.fixture
def artifact(package, tmp_path):
    return OnnxCpu().compile(package, CompileOptions(taps=("features",)), tmp_path / "artifact")


@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
def test_taps_come_behind_the_outputs(artifact, isolation):
    plain = OnnxCpu().load(artifact.path, LoadOptions()).run({"x": X})
    lane = isolate(artifact.path, isolation, LoadOptions(door=False, taps=("features",)))
    try:
        if isolation == "process":
            lane.session.wait_ready(30)
        found = lane.run({"x": X})
    finally:
        lane.close()
    assert list(found) == [*plain, "features/features"]
    for name, value in plain.items():
        np.testing.assert_array_equal(found[name], value)
    np.testing.assert_array_equal(found["features/features"], X * 2)


def test_taps_are_no_part_of_the_signature(artifact):
    session = open_by_runtime("onnx-cpu", artifact.path, LoadOptions(taps=("features",)))
    assert isinstance(session, TappedSession) and {spec.name for spec in session.info.signature.outputs} == {"scores"}
    assert set(session.predict({"x": X})) == {"scores"}
    session.close()


def test_a_tap_that_was_not_compiled_in_is_refused(artifact, package, tmp_path):
    with pytest.raises(FormatError, match="--tap model"):
        open_by_runtime("onnx-cpu", artifact.path, LoadOptions(taps=("model",)))
    plain = Reference().compile(package, CompileOptions(), tmp_path / "plain")
    with pytest.raises(FormatError, match="tap"):
        open_by_runtime("reference", plain.path, LoadOptions(taps=("features",)))
