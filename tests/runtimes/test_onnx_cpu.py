"""The target onnx-cpu: light loading, external weights, the local cache, cancellation."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from portside.runtimes import onnx_files
from portside.runtimes.artifact import amend, open_artifact
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.loading import load
from portside.runtimes.onnx_cache import Cache
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.onnx_engine import OnnxEngine
from portside.runtimes.onnx_files import write_model
from portside.runtimes.segments import EngineOptions
from portside.sdk.core.errors import EngineError, FormatError, IntegrityError, UnsupportedError


@pytest.fixture
def artifact(mixed, tmp_path):
    return OnnxCpu().compile(mixed[1], CompileOptions(), tmp_path / "artifact")


def same(one, other):
    return list(one) == list(other) and all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_loading_imports_neither_onnx_nor_torch(artifact):
    code = (
        "import sys; from portside.runtimes.loading import load;"
        f"load({str(artifact.path)!r}).predict({{'x': [[1, 2, 3, 4]], 'ids': [1], 'on': [True]}});"
        "print(sorted({'onnx', 'torch', 'sklearn', 'bentoml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


def test_another_targets_artifact_is_refused(artifact):
    amend(artifact, target="reference")
    with pytest.raises(FormatError, match="another target"):
        OnnxCpu().load(artifact.path, LoadOptions())


def test_the_artifact_says_what_precision_it_achieved(artifact):
    assert artifact.engine["weights_bytes"]["float"] > 0
    assert not artifact.lossy


@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
def test_load_answers_under_every_isolation(mixed, artifact, isolation):
    sample, _ = mixed
    session = load(artifact, isolation=isolation)
    try:
        inputs = sample.inputs(3)
        truth = sample.truth(inputs)
        np.testing.assert_array_equal(session.run(inputs)["label"], truth["label"])
        np.testing.assert_array_equal(session.predict(inputs)["label"], truth["label"])
    finally:
        session.close()
    with pytest.raises(EngineError):
        session.run(sample.inputs(1))


def test_load_refuses_what_it_does_not_know(artifact):
    with pytest.raises(FormatError, match="inline"):
        load(artifact, isolation="container")
    with pytest.raises(IntegrityError):
        load(artifact, digest="sha256:" + "0" * 64)
    amend(artifact, target="abacus")
    with pytest.raises(UnsupportedError, match="onnx-cpu"):
        load(artifact.path)


def test_large_weights_lie_beside_the_model(mixed, tmp_path, monkeypatch):
    sample, package = mixed
    monkeypatch.setattr(onnx_files, "EXTERNAL_BYTES", 0)
    big = onnx.helper.make_tensor("big", onnx.TensorProto.FLOAT, [64, 64], np.ones(4096, np.float32).tobytes(), raw=True)
    model = onnx.ModelProto.FromString(package.read("program/00-main.onnx"))
    model.graph.initializer.append(big)
    write_model(model, tmp_path / "00-main.onnx", external_bytes=0)
    assert (tmp_path / "00-main.weights").stat().st_size == 16384
    inputs = {"x": sample.inputs(2)["x"], "ids": np.zeros(2, np.int32), "on": np.zeros(2, bool)}
    assert OnnxEngine(tmp_path / "00-main.onnx").run(["label"], inputs)[0].shape == (2,)


def test_the_cache_answers_the_same_and_is_filled_once(mixed, artifact, home):
    sample, _ = mixed
    inputs = sample.inputs(4)
    plain = load(artifact).run(inputs)
    assert not (home / "cache").exists()
    assert same(load(artifact, cache=True).run(inputs), plain)
    (cached,) = (home / "cache" / "onnx-cpu").rglob("*.onnx")
    written = cached.stat().st_mtime_ns
    assert same(load(artifact, cache=True).run(inputs), plain)
    assert cached.stat().st_mtime_ns == written
    assert not list(cached.parent.glob(".new-*"))


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"nonsense"), lambda file: file.unlink(),
                                    lambda file: file.with_name(file.name + ".sha256").write_text("0" * 64)])  # fmt: skip
def test_a_damaged_cache_entry_is_made_anew(mixed, artifact, home, damage):
    inputs = mixed[0].inputs(4)
    plain = load(artifact, cache=True).run(inputs)
    (cached,) = (home / "cache").rglob("*.onnx")
    damage(cached)
    assert same(load(artifact, cache=True).run(inputs), plain)


def test_a_cache_that_cannot_be_written_is_done_without(mixed, artifact, home):
    (home / "cache").write_text("in the way")
    inputs = mixed[0].inputs(4)
    assert same(load(artifact, cache=True).run(inputs), load(artifact).run(inputs))


def test_the_cache_is_keyed_by_cpu_and_engine(artifact, monkeypatch):
    options = EngineOptions()
    here = Cache(artifact, options).folder
    assert Cache(open_artifact(artifact.path), options).folder == here
    with monkeypatch.context() as patch:
        patch.setattr("portside.runtimes.onnx_cache.cpu_features", lambda: ("other",))
        assert Cache(artifact, options).folder != here
    with monkeypatch.context() as patch:
        patch.setattr("portside.runtimes.onnx_cache.version_of", lambda name: "0")
        assert Cache(artifact, options).folder != here


def test_two_loads_may_fill_the_cache_at_once(mixed, artifact):
    inputs = mixed[0].inputs(4)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: load(artifact, cache=True).run(inputs), range(8)))
    assert all(same(answer, answers[0]) for answer in answers)


def test_a_model_that_the_engine_refuses_is_an_engine_error(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(EngineError, match="cannot open"):
        OnnxEngine(tmp_path / "bad.onnx")
    with pytest.raises(EngineError):
        OnnxEngine(b"\xff\xfe")
