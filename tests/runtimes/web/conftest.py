"""Bundles of small samples, and the sessions that run them."""

from __future__ import annotations

import pytest

from portside.runtimes import samples
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.wasm_web import WasmWeb


@pytest.fixture
def make_bundle(tmp_path):
    """Name of a sample -> (sample, package, artifact)."""

    def make(name="mixed"):
        sample = samples.SAMPLES[name]()
        package = sample.write(tmp_path / f"{name}-package")
        return sample, package, WasmWeb().compile(package, CompileOptions(), tmp_path / f"{name}-bundle")

    return make


@pytest.fixture
def open_bundle(make_bundle):
    """Name of a sample -> (sample, session); sessions are closed at the end of the test."""
    opened = []

    def open_(name="mixed", **options):
        sample, _, artifact = make_bundle(name)
        opened.append(WasmWeb().load(artifact.path, LoadOptions(**options)))
        return sample, opened[-1]

    yield open_
    for session in opened:
        session.close()
