"""What `bench` reports: the figures are there, add up, and travel as JSON. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes import samples
from portside.runtimes.bench import bench, of_rows, probe
from portside.runtimes.compiling import compile  # noqa: A004 - its public name
from portside.runtimes.loading import load
from portside.sdk.core.errors import EngineError, InputError
from portside.sdk.core.signature import Signature, TensorSpec

QUICK = {"repeats": 2, "seconds": 0.005}


@pytest.fixture
def artifact(mixed, tmp_path):
    return compile(mixed[1], out=tmp_path / "artifact")


def test_an_artifact_is_measured_whole(artifact):
    timings = bench(artifact.path, processes=1, batches=(1, 4), **QUICK)
    assert list(timings.latency) == [1, 4]
    assert 0 < timings.p50_ms <= timings.p95_ms <= timings.p99_ms
    assert timings.size_mb == artifact.size_bytes / 1e6
    assert timings.memory_mb > 1
    assert timings.cold_start_ms > timings.p50_ms
    assert timings.rows_per_second > 0


def test_the_table_and_the_json_say_the_same(artifact):
    timings = bench(artifact, processes=0, **QUICK)
    data = json.loads(json.dumps(timings.to_dict()))
    assert f"{data['latency']['1']['p50_ms']:.3f}" in str(timings)
    assert data["memory_mb"] is None
    assert "cold start" not in str(timings)


def test_a_session_needs_inputs(artifact, mixed):
    session = load(artifact)
    with pytest.raises(InputError, match="inputs="):
        bench(session)
    assert bench(session, mixed[0].inputs(3), batches=(2,), **QUICK).latency[2].calls >= 10


def test_a_fresh_process_that_fails_is_an_error(artifact):
    (artifact.path / "engine" / "extra").write_bytes(b"")
    with pytest.raises(EngineError) as caught:
        probe(artifact)
    assert caught.value.reason == "crashed"


def test_stateful_and_fixed_programs_are_called_as_they_are(tmp_path):
    artifact = compile(samples.stateful().write(tmp_path / "package"), out=tmp_path / "artifact")
    assert list(bench(artifact, processes=0, batches=(3,), **QUICK).latency) == [3]
    fixed = Signature((TensorSpec("x", "f32", (1, 2)),), ())
    assert of_rows(fixed, {"x": np.zeros((1, 2))}, 4) is None


@given(st.integers(1, 9), st.integers(1, 9))
def test_rows_are_repeated_or_cut(held, wanted):
    signature = Signature((TensorSpec("x", "f32", ("batch",)), TensorSpec("shared", "f32", (2,), None)), ())
    made = of_rows(signature, {"x": np.arange(held), "shared": np.zeros(2)}, wanted)
    assert made["x"].tolist() == [row % held for row in range(wanted)]
    assert made["shared"].shape == (2,)
