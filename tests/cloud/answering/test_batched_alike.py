"""What the batcher relies on: joined, run and taken apart again, calls answer as they do alone, on every session that says so."""

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portside.cloud.answering.joining import Joiner
from portside.runtimes import samples
from portside.runtimes.artifact import open_artifact
from portside.runtimes.base import LoadOptions, installed
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.invariance import take
from portside.sdk.core.errors import UnsupportedError

TARGETS = ("onnx-cpu", "paper", "tflite")
NAMES = sorted(set(samples.SAMPLES) - {"slow"})


def usable():
    known = installed()
    return [target for target in TARGETS if target in known and known[target]().missing() is None]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """(target, sample) -> (an open session that is batch-invariant, the golden rows), compiled once; None where there is none."""
    kept = {}

    def opened(target, name):
        if (target, name) not in kept:
            kept[target, name] = None
            folder = tmp_path_factory.mktemp("alike")
            with contextlib.suppress(UnsupportedError):
                artifact = compile_package(samples.SAMPLES[name]().write(folder / "package"), target, out=folder / "artifact")
                if open_artifact(artifact.path).batch_invariant:
                    session = installed()[target]().load(artifact.path, LoadOptions(door=False))
                    kept[target, name] = session, max(artifact.contract().cases, key=lambda case: case.rows)
        return kept[target, name]

    yield opened
    for found in kept.values():
        if found is not None:
            found[0].close()


@pytest.mark.parametrize("target", [pytest.param(target, marks=[pytest.mark.slow] if target == "tflite" else []) for target in usable()])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_batched_is_single(sessions, target, name, data):
    found = sessions(target, name)
    if found is None:
        return
    session, case = found
    joiner, axes = Joiner(session.info.signature), {spec.name: spec.batch_axis for spec in session.info.signature.inputs}
    assert joiner.can
    rows = st.lists(st.integers(0, case.rows - 1), min_size=1, max_size=4)
    calls = [take(case.inputs, axes, picked) for picked in data.draw(st.lists(rows, min_size=1, max_size=6))]
    if len({joiner.kind(call) for call in calls}) > 1:
        return
    counts = [joiner.measure(call)[0] for call in calls]
    together = joiner.split(session.run(joiner.join(calls)), counts)
    for call, got in zip(calls, together, strict=True):
        alone = session.run(call)
        for spec in session.info.signature.outputs:
            if got[spec.name].dtype.kind == "f":
                np.testing.assert_allclose(got[spec.name], alone[spec.name], rtol=1e-4, atol=1e-5)
            else:
                assert (got[spec.name] == alone[spec.name]).mean() == 1.0, spec.name


def test_rows_and_images_of_any_size_are_among_them(sessions):
    assert [name for name in NAMES if sessions("onnx-cpu", name) is not None] == ["canvas", "mixed"]
