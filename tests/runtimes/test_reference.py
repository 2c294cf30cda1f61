"""The reference: the package as it stands, without optimisation."""

from __future__ import annotations

import numpy as np
import pytest

from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.onnx_engine import OnnxEngine
from portside.runtimes.reference import Reference
from portside.sdk.core.errors import FormatError, MissingExtraError, TrustError
from portside.sdk.core.package import open_folder
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2)),))
HOST = ("double", "def double(x):\n    return {'y': x * 2}", ("x",), ("y",))


def test_a_package_predicts_through_it(mixed):
    sample, package = mixed
    inputs = sample.inputs(5)
    outputs = package.predict(inputs)
    for name, value in sample.truth(inputs).items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5)


def test_without_onnx_runtime_a_package_names_the_extra(mixed, monkeypatch):
    monkeypatch.setattr("portside.runtimes.reference.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"no onnxruntime.*portside\[onnx\]"):
        mixed[1].predict(mixed[0].inputs(1))


def test_two_runs_give_the_same_bits(any_sample, tmp_path):
    package = any_sample.write(tmp_path / "package")
    inputs = any_sample.inputs(7)
    first, second = Reference().open(package).run(inputs), Reference().open(package).run(inputs)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_host_stages_need_a_package_opened_with_trust(make_package):
    package = make_package(SIGNATURE, [HOST])
    with pytest.raises(TrustError, match="host"):
        Reference().open(package)
    trusted = open_folder(package.path, trust=True)
    assert Reference().open(trusted).run({"x": [[1, 2]]})["y"].tolist() == [[2, 4]]


def test_an_artifact_of_it_needs_trust_at_load(make_package, tmp_path):
    artifact = Reference().compile(make_package(SIGNATURE, [HOST]), CompileOptions(), tmp_path / "artifact")
    with pytest.raises(TrustError):
        Reference().load(artifact.path, LoadOptions())
    assert Reference().load(artifact.path, LoadOptions(trust=True)).run({"x": [[1, 2]]})["y"].tolist() == [[2, 4]]


def test_it_has_no_taps(mixed, tmp_path):
    with pytest.raises(FormatError, match="onnx-cpu"):
        Reference().compile(mixed[1], CompileOptions(taps=("features",)), tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


def test_its_engine_is_not_optimised(mixed, monkeypatch):
    seen = []
    start = OnnxEngine.__init__
    monkeypatch.setattr(OnnxEngine, "__init__", lambda self, model, options: (seen.append(options), start(self, model, options))[1])
    Reference().open(mixed[1])
    assert [(options.optimize, options.threads, options.deterministic) for options in seen] == [("none", 1, True)]
