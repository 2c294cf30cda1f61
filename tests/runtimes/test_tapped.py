"""Sessions whose calls bring the values of boundaries along, in every isolation."""

import numpy as np
import pytest
from test_assemble import three_stages  # noqa: F401  a fixture

from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.isolation import isolate
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.reference import Reference
from portside.runtimes.tapped import TappedSession, open_by_runtime
from portside.sdk.core.errors import FormatError

X = np.array([[0.0, 0.2], [1.0, np.nan]], np.float32)


@pytest.fixture
def artifact(three_stages, tmp_path):  # noqa: F811
    return OnnxCpu().compile(three_stages, CompileOptions(taps=("features",)), tmp_path / "artifact")


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
    assert isinstance(session, TappedSession) and {spec.name for spec in session.info.signature.outputs} == {"label", "scores"}
    assert set(session.predict({"x": X})) == {"label", "scores"}
    session.close()


def test_a_tap_that_was_not_compiled_in_is_refused(artifact, three_stages, tmp_path):  # noqa: F811
    with pytest.raises(FormatError, match="--tap model"):
        open_by_runtime("onnx-cpu", artifact.path, LoadOptions(taps=("model",)))
    plain = Reference().compile(three_stages, CompileOptions(), tmp_path / "plain")
    with pytest.raises(FormatError, match="tap"):
        open_by_runtime("reference", plain.path, LoadOptions(taps=("features",)))
