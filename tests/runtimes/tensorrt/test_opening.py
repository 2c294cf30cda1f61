"""Engines of an artifact: kept per place, built once, shipped or refused elsewhere, and proven before they answer."""

from __future__ import annotations

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from portside.runtimes import samples
from portside.runtimes.artifact import amend, finish, open_artifact
from portside.runtimes.base import CompileOptions, LoadOptions
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.home import home
from portside.runtimes.loading import load
from portside.runtimes.tensorrt import opening
from portside.runtimes.tensorrt import place as places
from portside.runtimes.tensorrt.binding import bindings
from portside.runtimes.tensorrt.building import Built, Fault, Refused, Settings
from portside.runtimes.tensorrt.engines import Engines
from portside.runtimes.tensorrt.place import Place, here
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.runtimes.verify import verify
from portside.sdk.core.errors import ContractError, EngineError, FormatError, IntegrityError


def _plans():
    return list(home().glob("cache/tensorrt/*/*.plan"))


@pytest.fixture
def compiled(simulated_tensorrt, tmp_path):
    """(options) -> the artifact of the sample "mixed"."""
    sample = samples.mixed()
    package = sample.write(tmp_path / "package")

    def make(**extra):
        return TensorRTGpu().compile(package, CompileOptions(extra=extra), tmp_path / f"artifact{len(list(tmp_path.iterdir()))}")

    make.sample, make.package = sample, package
    return make


def builds(simulated):
    return simulated.trt.Builder.builds


def opened(artifact):
    session = TensorRTGpu().load(artifact.path, LoadOptions())
    session.close()


def test_an_engine_is_built_once_for_a_place_and_anew_elsewhere(compiled, simulated_tensorrt):
    artifact, machine = compiled(), simulated_tensorrt.machine
    opened(artifact)
    opened(artifact)
    assert builds(simulated_tensorrt) == 1
    for name, value in (("name", "Other 1"), ("cuda", 13010), ("tensorrt", "11.5.0"), ("capability", (8, 9))):
        setattr(machine, name, value)
        opened(artifact)
        opened(artifact)
    assert builds(simulated_tensorrt) == 5


@pytest.mark.parametrize(("said", "version"), [
    ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  12.2.0\n", "535.129.03"),
    ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@host)  Tue Sep 23\n", "580.95.05"),
    ("something else 1.2.3\n", ""),
])  # fmt: skip
def test_the_driver_is_the_one_that_is_loaded(said, version, tmp_path, monkeypatch):
    (tmp_path / "version").write_text(said)
    monkeypatch.setattr(places, "DRIVER", tmp_path / "version")
    assert places.driver_version() == version


def test_a_system_that_names_no_driver_is_known_by_its_cuda_alone(tmp_path, monkeypatch, simulated_tensorrt):
    monkeypatch.setattr(places, "DRIVER", tmp_path / "not there")
    place = here(bindings())
    assert place.driver == "" and str(place) == "Simulated 9000 (compute capability 9.0), driver for CUDA 13000, TensorRT 11.4.0.106"
    assert Place.from_dict(json.loads(json.dumps(place.to_dict()))) == place
    with pytest.raises(FormatError, match="malformed"):
        Place.from_dict({**place.to_dict(), "more": 1})


def test_another_driver_builds_anew_and_still_takes_a_shipped_engine(compiled, simulated_tensorrt, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "DRIVER", tmp_path / "version")
    portable, shipped = compiled(), compiled(engine="shipped")
    before = builds(simulated_tensorrt)
    for version in ("580.65.06", "580.95.05"):
        (tmp_path / "version").write_text(f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Tue\n")
        opened(portable)
        opened(portable)
        opened(shipped)
    assert builds(simulated_tensorrt) == before + 2


def test_of_many_that_want_an_engine_one_builds_it(compiled, simulated_tensorrt):
    artifact, place = compiled(), here(bindings())
    engines, built = [Engines(artifact, place, Settings()) for _ in range(4)], []

    def build(timing):
        built.append(timing)
        time.sleep(0.05)
        return Built(b"plan")

    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(lambda held: held.obtain("engine/00-main.onnx", build), engines))
    assert plans == [b"plan"] * 4 and built == [b""]


def test_settings_of_the_builder_are_part_of_the_key(compiled, simulated_tensorrt):
    for options in ({}, {"tf32": True}, {"level": 5}, {"workspace_mb": 64}):
        opened(compiled(**options))
    assert builds(simulated_tensorrt) == 4


@pytest.mark.parametrize("damage", ["plan", "seal", "gone"])
def test_an_engine_that_was_damaged_is_built_anew(compiled, simulated_tensorrt, damage):
    artifact = compiled()
    opened(artifact)
    (plan,) = _plans()
    seal = plan.with_name(f"{plan.name}.sha256")
    if damage == "plan":
        plan.write_bytes(plan.read_bytes()[:-7] + b"damaged")
    elif damage == "seal":
        seal.write_text("0" * 64)
    else:
        seal.unlink()
    opened(artifact)
    assert builds(simulated_tensorrt) == 2


def test_a_sealed_engine_that_tensorrt_does_not_take_is_built_once_more(compiled, simulated_tensorrt):
    artifact = compiled()
    opened(artifact)
    (plan,) = _plans()
    plan.write_bytes(b"not an engine")
    plan.with_name(f"{plan.name}.sha256").write_text(hashlib.sha256(b"not an engine").hexdigest())
    opened(artifact)
    assert builds(simulated_tensorrt) == 2


def test_timings_are_kept_for_the_next_build_at_the_place(compiled, simulated_tensorrt):
    opened(compiled())
    opened(compiled(level=4))
    (timing,) = home().glob("cache/tensorrt/*.timing")
    assert timing.read_bytes() == b"timed;timed;"


def test_an_engine_that_cannot_be_kept_whole_is_not_kept(compiled, simulated_tensorrt, monkeypatch):
    artifact = compiled()
    monkeypatch.setattr("portside.runtimes.tensorrt.engines.os.replace", _full)
    opened(artifact)
    assert not _plans() and not list(home().glob("cache/tensorrt/*/.new-*"))


def _full(*_):
    raise OSError(28, "No space left on device")


def test_a_home_that_cannot_be_written_is_done_without(compiled, simulated_tensorrt, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PORTSIDE_HOME", str(tmp_path / "file" / "home"))
    opened(compiled())
    assert builds(simulated_tensorrt) == 1


def test_a_shipped_engine_is_used_where_it_was_built_and_refused_elsewhere(compiled, simulated_tensorrt):
    artifact = open_artifact(compiled(engine="shipped").path)
    assert [name for name in artifact.files if name.endswith(".plan")]
    opened(artifact)
    assert builds(simulated_tensorrt) == 1
    simulated_tensorrt.machine.name = "Other 1"
    with pytest.raises(EngineError, match=r"another GPU, driver or version.*Other 1.*13000.*11\.4\.0.*Simulated 9000.*engine=portable"):
        opened(artifact)
    simulated_tensorrt.machine.name, simulated_tensorrt.machine.tensorrt = "Simulated 9000", "12.0.0"
    with pytest.raises(EngineError, match=r"TensorRT 12\.0\.0.*TensorRT 11\.4\.0"):
        opened(artifact)


def test_a_shipped_engine_is_audited_as_every_file(compiled):
    artifact = compiled(engine="shipped")
    plan = next(artifact.path.rglob("*.plan"))
    plan.write_bytes(plan.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        open_artifact(artifact.path)


def test_an_engine_that_answers_otherwise_never_answers(compiled, simulated_tensorrt):
    artifact = compiled()
    simulated_tensorrt.machine.skew = 0.01
    with pytest.raises(ContractError, match="does not answer like its package on this GPU") as raised:
        load(artifact)
    assert raised.value.report.verdict == "failed"
    report = verify(artifact)
    assert report.verdict == "failed" and report.targets[0].golden.checks
    machine = simulated_tensorrt.machine
    assert not (machine.memory or machine.host or machine.streams)


def test_compile_verifies_and_fails_closed(compiled, simulated_tensorrt, tmp_path):
    made = compile_package(compiled.package, "tensorrt", tmp_path / "good")
    assert made.verified["verdict"] == "passed" and made.batch_invariant
    simulated_tensorrt.machine.skew = 0.01
    with pytest.raises(ContractError):
        compile_package(compiled.package, "tensorrt", tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_taps_come_out_beside_the_outputs(simulated_tensorrt, make_package):
    sample = samples.mixed()
    package = make_package(sample.signature, [("main", sample.model)], boundaries={"model": ("logits",)})
    artifact = TensorRTGpu().compile(package, CompileOptions(taps=("model",)), package.path.parent / "tapped")
    session = TensorRTGpu().load(artifact.path, LoadOptions())
    outputs, taps = session.run_tapped(sample.inputs(3), ("model",))
    assert list(outputs) == [spec.name for spec in sample.signature.outputs] and taps["logits"].shape == (3, 3)
    session.close()


def test_what_the_builder_refuses_and_an_engine_that_is_never_taken_are_errors(compiled, simulated_tensorrt, monkeypatch):
    artifact = compiled()
    runtime = simulated_tensorrt.trt.Runtime
    with monkeypatch.context() as patched, pytest.raises(EngineError, match=r"does not take the engine.*no reason given"):
        patched.setattr(runtime, "deserialize_cuda_engine", lambda self, serialized_engine: None)
        opened(artifact)
    assert builds(simulated_tensorrt) == 2 and opened(artifact) is None

    def refuse(*_):
        raise Refused("parse", (Fault("no such plugin", "NonZero", "where"),))

    monkeypatch.setattr(opening, "build", refuse)
    with pytest.raises(EngineError, match=r"TensorRT 11\.4\.0\.106 cannot build the engine.*NonZero 'where': no such plugin"):
        opened(compiled(level=1))


def test_an_artifact_in_float8_names_the_gpu_that_has_none(compiled, simulated_tensorrt):
    artifact = compiled()
    amend(artifact, engine={**artifact.engine, "precision": {"achieved": {"int8-static": 3}, "eight bits": "float8"}})
    opened(artifact)
    simulated_tensorrt.machine.capability = (8, 6)
    with pytest.raises(EngineError, match=r"float8, which this GPU does not.*8\.6.*8\.9 or later.*eight_bits=int8"):
        opened(artifact)
    amend(artifact, engine={**artifact.engine, "precision": {"achieved": {"float16": 3}, "eight bits": "float8"}})
    opened(artifact)


def test_an_artifact_whose_description_was_cut_is_refused(compiled):
    artifact = compiled()
    described = json.loads((artifact.path / "artifact.json").read_text())
    assert set(described["engine"]["rims"]) == {"engine/00-main.onnx"}
    finish(artifact, engine={**artifact.engine, "rims": {}})
    with pytest.raises(FormatError, match="does not describe"):
        opened(artifact)


@pytest.mark.slow
def test_a_process_of_its_own_opens_it_too(compiled, simulated_tensorrt, monkeypatch):
    folder = Path(simulated_tensorrt.trt.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    session, sample = load(compiled(), isolation="process"), compiled.sample
    try:
        inputs = sample.inputs(70)
        assert (session.run(inputs)["label"] == sample.truth(inputs)["label"]).all()
    finally:
        session.close()


@pytest.mark.slow
@pytest.mark.long
def test_every_program_of_the_zoo_answers_as_its_package_once_it_is_ready(simulated_tensorrt):
    """As docs/tensorrt.md says; packages of the zoo that this machine has built. Numbers are ONNX Runtime's."""
    folder = Path(__file__).resolve().parents[3] / "examples" / "zoo" / "packages"
    found = sorted(path for path in folder.iterdir() if path.name not in ("silero", "wake_word")) if folder.is_dir() else []
    if not found:
        pytest.skip("the zoo's packages are not built here: portside verify examples/zoo builds them")
    outcomes = {path.name: verify(path, targets=("tensorrt",)).verdict for path in found}
    assert set(outcomes.values()) == {"passed"}, outcomes


@pytest.mark.parametrize(("where", "value"), [
    ("segments.0.file", []), ("rims", None), ("rims", []), ("rims.engine/00-main.onnx.inputs.0.dtype", "x"),
    ("rims.engine/00-main.onnx.inputs.0.shape", "x"), ("rims.engine/00-main.onnx.inputs.0.shape", ["other", 4]),
    ("rims.engine/00-main.onnx.inputs.0.shape", ["batch", None]), ("rims.engine/00-main.onnx.outputs.0.dtype", {}),
    ("rims.engine/00-main.onnx.batch", "other"), ("settings", 7), ("settings.level", "x"), ("settings.workspace_mb", "x"),
    ("settings.workspace_mb", -1), ("plans", []), ("precision", {"eight bits": "float8"}),
])  # fmt: skip
def test_what_an_artifact_says_of_its_engine_is_not_trusted_to_be_well_formed(compiled, where, value):
    """Its digests fit: whoever wrote it wrote them too."""
    artifact = compiled()
    engine = json.loads(json.dumps(dict(artifact.engine)))
    *way, last = where.replace("00-main.onnx", "00-main!onnx").split(".")
    held = engine
    for name in way:
        held = held.setdefault(name.replace("!", "."), {}) if isinstance(held, dict) else held[int(name)]
    held[int(last) if isinstance(held, list) else last.replace("!", ".")] = value
    replace(artifact, engine=engine).save()
    with pytest.raises(FormatError, match="malformed"):
        load(artifact.path)
