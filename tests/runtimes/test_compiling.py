"""`compile` proves what it publishes, and leaves nothing behind when it cannot."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from portside.runtimes import compiling
from portside.runtimes.artifact import amend, open_artifact
from portside.runtimes.base import CompileOptions
from portside.runtimes.compiling import compile, default_out  # noqa: A004 - its public name
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.runtimes.samples import graph_model, node
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.errors import ContractError, FormatError, StoreError, TrustError, UnsupportedError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
DOUBLE = graph_model(SIGNATURE, [node("Add", ["x", "x"], "y")], {})
X = np.arange(8, dtype=np.float32).reshape(4, 2)


def case_of(factor):
    return Case({"x": X}, {"y": X * np.float32(factor)}, why=("random",) * 4)


@pytest.fixture
def wrong(make_package):
    """A package whose program does not do what its contract says."""
    return make_package(SIGNATURE, [("main", DOUBLE)], cases=[case_of(2.01)], rules={"y": Rule("value")})


def made_lossy(monkeypatch):
    """ONNX Runtime's artifacts say that they compute below float32; the list names those that did."""
    made, real = [], OnnxCpu.compile

    def lossy(self, package, options, out):
        made.append(self.name)
        return amend(real(self, package, options, out), lossy=True)

    monkeypatch.setattr(OnnxCpu, "compile", lossy)
    return made


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_proven_artifact_is_published_and_says_so(mixed, tmp_path):
    out = tmp_path / "out" / "artifact"
    artifact = compile(mixed[1], out=out)
    assert artifact.path == out.resolve()
    assert artifact.verified["verdict"] == "passed"
    assert artifact.batch_invariant
    assert open_artifact(out) == artifact
    assert names_in(out.parent) == ["artifact"]


def test_by_default_it_goes_below_home(mixed, home):
    artifact = compile(mixed[1])
    assert artifact.path == default_out(mixed[1], "onnx-cpu").resolve()
    assert home in artifact.path.parents


def test_a_program_that_breaks_its_contract_is_not_written(wrong, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ContractError) as caught:
        compile(wrong, out=tmp_path / "out" / "artifact")
    assert caught.value.report.verdict == "failed"
    assert names_in(tmp_path / "out") == []


def test_what_is_not_proven_is_said_with_its_worst_row(wrong, tmp_path):
    with pytest.raises(ContractError, match=r"got contract: y failed \(.*\); case 0 row 3: reference .* see ContractError"):
        compile(wrong, out=tmp_path / "artifact")


def test_too_few_rows_say_how_many_are_needed_and_where_they_are_given(mixed, tmp_path, monkeypatch):
    lossy = made_lossy(monkeypatch)
    with pytest.raises(ContractError, match=r"scores not enough data \(19 rows, 32 are needed\); contract.*--data FILE.*--allow-unproven"):
        compile(mixed[1], out=tmp_path / "artifact")
    assert lossy == ["onnx-cpu"]


def test_unproven_is_not_an_excuse_for_wrong(wrong, tmp_path):
    with pytest.raises(ContractError):
        compile(wrong, out=tmp_path / "artifact", allow_unproven=True)


def test_a_failed_compile_leaves_the_artifact_that_was_there(wrong, mixed, tmp_path):
    before = compile(mixed[1], out=tmp_path / "artifact")
    with pytest.raises(ContractError):
        compile(wrong, out=tmp_path / "artifact")
    assert open_artifact(tmp_path / "artifact").digest == before.digest


def test_without_a_contract_nothing_is_proven(make_package, tmp_path):
    package = make_package(SIGNATURE, [("main", DOUBLE)])
    with pytest.raises(FormatError, match="contract"):
        compile(package, out=tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()
    assert compile(package, out=tmp_path / "artifact", prove=False).verified == {}


def test_an_artifact_is_replaced_and_other_folders_are_not(mixed, tmp_path):
    first = compile(mixed[1], out=tmp_path / "artifact")
    assert compile(mixed[1], out=tmp_path / "artifact").digest == first.digest
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years")
    with pytest.raises(StoreError, match="not empty"):
        compile(mixed[1], out=tmp_path / "work")
    assert names_in(tmp_path / "work") == ["thesis.tex"]


def test_the_digest_is_the_same_in_another_folder(mixed, tmp_path):
    one, other = compile(mixed[1], out=tmp_path / "a" / "one"), compile(mixed[1], out=tmp_path / "b" / "deeper" / "other")
    assert one.digest == other.digest
    assert str(tmp_path) not in (other.path / "artifact.json").read_text()


def test_host_stages_need_trust_before_anything_is_made(make_package, tmp_path):
    source = "def double(x):\n    return {'y': x * 2}"
    package = make_package(SIGNATURE, [("double", source, ("x",), ("y",))], cases=[case_of(2)], rules={"y": Rule("value")})
    with pytest.raises(TrustError):
        compile(package, out=tmp_path / "artifact")
    artifact = compile(replace(package, trusted=True), out=tmp_path / "artifact")
    assert artifact.verified["verdict"] == "passed"


@pytest.mark.parametrize("wish", [{"target": "abacus"}, {"taps": ("features",)}, {"no_such_option": 1}])
def test_what_the_target_does_not_have_is_refused(mixed, tmp_path, wish):
    (tmp_path / "out").mkdir()
    with pytest.raises(UnsupportedError):
        compile(mixed[1], out=tmp_path / "out" / "artifact", **wish)
    assert names_in(tmp_path / "out") == []


def test_a_full_disk_is_a_store_error_and_leaves_nothing(mixed, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(compiling, "sync_tree", full)
    with pytest.raises(StoreError, match="No space left"):
        compile(mixed[1], out=tmp_path / "out" / "artifact")
    assert names_in(tmp_path / "out") == []


def test_a_fault_of_the_runtime_leaves_nothing(mixed, tmp_path, monkeypatch):
    def broken(self, package, options: CompileOptions, out):
        out.mkdir()
        (out / "half").write_text("made")
        raise UnsupportedError("The operator Fancy")

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(OnnxCpu, "compile", broken)
    with pytest.raises(UnsupportedError, match="Fancy"):
        compile(mixed[1], out=tmp_path / "out" / "artifact")
    assert names_in(tmp_path / "out") == []


def test_compiles_of_one_package_at_once_leave_one_whole_artifact(mixed, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        digests = {artifact.digest for artifact in pool.map(lambda _: compile(mixed[1], out=tmp_path / "out" / "artifact"), range(6))}
    assert digests == {open_artifact(tmp_path / "out" / "artifact").digest}
    assert names_in(tmp_path / "out") == ["artifact"]


def test_a_codec_that_could_not_answer_is_not_compiled(make_package, tmp_path):
    package = make_package(SIGNATURE, [("main", DOUBLE)], cases=[case_of(2)], rules={"y": Rule("value")})
    odd = replace(package.content, codec=({"kind": "categories", "field": "x", "options": 5},))
    broken = replace(package, manifest=replace(package.manifest, content=odd))
    with pytest.raises(FormatError, match="options"):
        compile(broken, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
