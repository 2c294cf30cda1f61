"""Target tensorrt from the outside: what is missing, options, and what is said where there is no GPU."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from onnx import TensorProto

from portside.runtimes import base, samples
from portside.runtimes.base import CompileOptions, LoadOptions, Missing
from portside.runtimes.bench import bench
from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.elsewhere import compiler, unproven
from portside.runtimes.loading import load
from portside.runtimes.tensorrt import checking
from portside.runtimes.tensorrt_gpu import TensorRTGpu
from portside.runtimes.verify import verify
from portside.sdk.cli.main import main
from portside.sdk.core.budget import Budget
from portside.sdk.core.contract import Case, Rule
from portside.sdk.core.errors import ContractError, EngineError, FormatError, MissingExtraError, TrustError, UnsupportedError
from portside.sdk.core.signature import Signature, TensorSpec


@pytest.fixture
def no_gpu(simulated_tensorrt):
    """TensorRT is installed, and CUDA finds no device."""
    simulated_tensorrt.machine.gpus = 0
    return simulated_tensorrt


@pytest.fixture
def no_check(monkeypatch):
    """TensorRT-RTX is not installed, whatever this machine has."""
    monkeypatch.setattr(checking, "can_check", lambda: False)


def test_without_the_packages_the_extra_is_named():
    assert TensorRTGpu().missing() == "tensorrt"
    assert str(base.lack(TensorRTGpu())).endswith("got no tensorrt. Run: pip install 'portside[tensorrt]'")
    assert base.compile_lack(TensorRTGpu()) is None


def test_a_folder_of_that_name_is_not_the_package(tmp_path, monkeypatch):
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert TensorRTGpu().missing() == "tensorrt"


def test_without_a_gpu_that_is_said_and_pip_is_not_the_way_out(no_gpu):
    missing = TensorRTGpu().missing()
    assert missing == "NVIDIA GPU (no CUDA-capable device is detected)"
    assert isinstance(missing, Missing) and "failover chain" in missing.fix
    assert unproven(TensorRTGpu()) == "unverified on a GPU: no NVIDIA GPU (no CUDA-capable device is detected) here"
    with pytest.raises(MissingExtraError, match="no NVIDIA GPU"):
        base.runtime("tensorrt")
    assert compiler("tensorrt").name == "tensorrt"


def test_with_a_gpu_nothing_is_missing(simulated_tensorrt):
    assert TensorRTGpu().missing() is None and unproven(compiler("tensorrt")) is None


def test_bindings_that_do_not_load_are_missing_too(simulated_tensorrt, monkeypatch):
    monkeypatch.setattr("portside.runtimes.tensorrt.binding.import_module", _broken)
    assert "libnvinfer.so.11" in str(TensorRTGpu().missing())


def _broken(name):
    raise ImportError("libnvinfer.so.11: cannot open shared object file")


def test_a_compile_without_a_gpu_is_refused_and_says_unverified(mixed, tmp_path, no_check):
    with pytest.raises(ContractError, match=r"is unverified on a GPU: no tensorrt here.*--allow-unproven") as raised:
        compile_package(mixed[1], "tensorrt", tmp_path / "out")
    assert raised.value.report.verdict == "not enough data"
    assert "TensorRT-RTX is not installed" in str(raised.value.got)
    assert not (tmp_path / "out").exists()


def test_a_compile_that_is_taken_unproven_says_so_for_good(mixed, tmp_path, no_check):
    artifact = compile_package(mixed[1], "tensorrt", tmp_path / "out", allow_unproven=True)
    assert artifact.verified["verdict"] == "not enough data" and artifact.verified["unproven"].startswith("unverified on a GPU")
    assert not artifact.batch_invariant
    with pytest.raises(MissingExtraError, match=r"cannot run here.*no tensorrt"):
        TensorRTGpu().load(artifact.path, LoadOptions())
    report = verify(artifact)
    assert report.verdict == "not enough data" and "tensorrt: unverified\n  unverified on a GPU" in str(report)
    assert "unverified on a GPU" in report.to_html(tmp_path / "page.html").read_text()


def test_gates_cannot_be_passed_where_nothing_runs(mixed, tmp_path, no_check):
    with pytest.raises(ContractError, match=r"gates are judged there"):
        compile_package(mixed[1], "tensorrt", tmp_path / "out", allow_unproven=True, gates=Budget(max_drop=0.01))


def test_an_unproven_artifact_proves_itself_where_it_is_opened(mixed, tmp_path, no_gpu, no_check):
    artifact = compile_package(mixed[1], "tensorrt", tmp_path / "out", allow_unproven=True)
    no_gpu.machine.gpus = 1
    session, inputs = load(artifact), mixed[0].inputs(5)
    assert np.array_equal(session.run(inputs)["label"], mixed[0].truth(inputs)["label"])
    session.close()
    assert verify(artifact).verdict == "passed"


def test_all_targets_leave_it_out_and_say_why(mixed, monkeypatch):
    few = {name: kind for name, kind in base.installed().items() if name in ("onnx-cpu", "tensorrt")}
    monkeypatch.setattr("portside.runtimes.verify.installed", lambda: few)
    report = verify(mixed[1], targets="all")
    assert "tensorrt" not in [target.target for target in report.targets]
    assert "no tensorrt" in report.absent["tensorrt"]


def test_asked_by_name_the_verdict_is_not_enough_data(mixed, no_gpu, no_check):
    report = verify(mixed[1], targets=("onnx-cpu", "tensorrt"))
    assert [target.outcome for target in report.targets] == ["passed", "unverified"]
    assert report.verdict == "not enough data"


def test_the_command_line_says_unverified_on_a_gpu(mixed, tmp_path, capsys, no_check):
    where = str(mixed[1].path)
    assert main(["verify", "--quick", "--targets", "tensorrt", where]) == 4
    assert "unverified on a GPU: no tensorrt here" in capsys.readouterr().out
    assert main(["compile", where, "--target", "tensorrt", "--out", str(tmp_path / "a")]) == 4
    assert "unverified on a GPU" in capsys.readouterr().err
    assert main(["compile", where, "--target", "tensorrt", "--out", str(tmp_path / "a"), "--allow-unproven"]) == 0
    out = capsys.readouterr().out
    assert "unverified on a GPU" in out and "portside verify" in out and "portside bench" not in out
    assert main(["inspect", str(tmp_path / "a")]) == 0
    assert re.search(r"unproven +unverified on a GPU: no tensorrt here\ncheck +not built either", capsys.readouterr().out)
    assert main(["compile", where, "--target", "tensorrt", "--out", str(tmp_path / "b"), "--allow-unproven", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verified"]["unproven"].startswith("unverified on a GPU")


def test_bench_measures_it_as_any_runtime(mixed, tmp_path, simulated_tensorrt):
    artifact = compile_package(mixed[1], "tensorrt", tmp_path / "out")
    timings = bench(artifact, mixed[0].inputs(1), batches=(1, 70), repeats=1, seconds=0.02, processes=0)
    assert timings.p50_ms > 0


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"batches": [8, "x"]}, r"batches is not a list of sizes"),
        ({"batches": [1, 2, 3, 4]}, r"batches is not a list of sizes"),
        ({"sizes": [1]}, r"sizes names no dimensions"),
        ({"sizes": {"height": [1]}}, r"'height' that is not symbolic"),
        ({"eight_bits": "int9"}, r"eight_bits has no such value.*int8, float8"),
        ({"engine": "borrowed"}, r"engine has no such value.*portable, shipped"),
        ({"level": 9}, r"level.*0 to 5"),
        ({"tf32": "yes"}, r"tf32"),
        ({"workspace_mb": 0}, r"workspace_mb"),
        ({"fp16": True}, r"no compile option 'fp16'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(mixed, tmp_path, extra, words):
    with pytest.raises(UnsupportedError, match=words):
        TensorRTGpu().compile(mixed[1], CompileOptions(extra=extra), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_engine_cannot_be_shipped_without_a_gpu(mixed, tmp_path):
    with pytest.raises(EngineError, match="TensorRT cannot be loaded"):
        TensorRTGpu().compile(mixed[1], CompileOptions(extra={"engine": "shipped"}), tmp_path / "out")


def test_batches_of_the_option_are_the_profile(mixed, tmp_path):
    artifact = TensorRTGpu().compile(mixed[1], CompileOptions(extra={"batches": [2, 4]}), tmp_path / "out")
    assert artifact.engine["rims"]["engine/00-main.onnx"]["ranges"] == {"batch": [2, 4, 4]}


def test_a_dimension_of_which_nothing_is_known_asks_for_sizes(make_package, tmp_path):
    signature = Signature((TensorSpec("x", "f32", ("batch", "width")),), (TensorSpec("y", "f32", ("batch", "width"), kind="value"),))
    model = samples.graph_model(signature, [samples.node("Neg", ["x"], "y")], {})
    package = make_package(signature, [("main", model)])
    with pytest.raises(UnsupportedError, match=r"'width' may have any size.*sizes=\{'width': \[1, 64, 256\]\}"):
        TensorRTGpu().compile(package, CompileOptions(), tmp_path / "out")
    artifact = TensorRTGpu().compile(package, CompileOptions(extra={"sizes": {"width": [1, 8, 32]}}), tmp_path / "out")
    assert artifact.engine["rims"]["engine/00-main.onnx"]["ranges"]["width"] == [1, 8, 32]


def test_other_sizes_are_those_of_the_contract(make_package, tmp_path):
    signature = Signature((TensorSpec("x", "f32", ("batch", "width")),), (TensorSpec("y", "f32", ("batch", "width"), kind="value"),))
    arrays = [np.zeros((1, width), np.float32) for width in (3, 5, 9)]
    cases = [Case({"x": array}, {"y": array}) for array in arrays]
    model = samples.graph_model(signature, [samples.node("Neg", ["x"], "y")], {})
    package = make_package(signature, [("main", model)], cases=cases, rules={"y": Rule("value")})
    artifact = TensorRTGpu().compile(package, CompileOptions(), tmp_path / "out")
    assert artifact.engine["rims"]["engine/00-main.onnx"]["ranges"]["width"] == [3, 5, 9]


def test_a_dimension_that_is_made_inside_the_program_is_named(make_package, tmp_path):
    spec = lambda name, *shape: TensorSpec(name, "f32", shape)  # noqa: E731
    signature = Signature((spec("x", "batch", 4),), (spec("y", "batch", 4),))
    nodes = [samples.node("Neg", ["x"], "kept"), samples.node("NonZero", ["x"], "places"),
             samples.node("Cast", ["places"], "some", to=TensorProto.FLOAT)]  # fmt: skip
    first = samples.graph_model(Signature((spec("x", "batch", 4),), (spec("kept", "batch", 4), spec("some", 2, "found"))), nodes, {})
    second = "def middle(kept, some):\n    return {'a': kept, 'b': some}\n"
    last = samples.graph_model(Signature((spec("a", "batch", 4), spec("b", 2, "found")), (spec("y", "batch", 4),)),
                               [samples.node("ReduceSum", ["b"], "all", keepdims=0), samples.node("Add", ["a", "all"], "y")],
                               {})  # fmt: skip
    package = make_package(signature, [("first", first), ("middle", second, ("kept", "some"), ("a", "b")), ("last", last)], trusted=True)
    with pytest.raises(UnsupportedError, match=r"The dimension 'found' is made inside the program"):
        TensorRTGpu().compile(package, CompileOptions(), tmp_path / "out")


def test_an_artifact_of_another_target_is_not_opened(mixed, tmp_path):
    artifact = compile_package(mixed[1], "onnx-cpu", tmp_path / "out")
    with pytest.raises(FormatError, match=r"another target.*onnx-cpu.*tensorrt"):
        TensorRTGpu().load(artifact.path, LoadOptions())


def test_a_machine_without_onnx_cannot_compile_for_it(mixed, tmp_path, monkeypatch):
    monkeypatch.setattr("portside.runtimes.tensorrt_gpu.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"no onnx.*portside\[onnx\]"):
        TensorRTGpu().compile(mixed[1], CompileOptions(), tmp_path / "out")


def test_a_host_stage_runs_between_two_engines(make_package, simulated_tensorrt, tmp_path):
    signature = Signature((TensorSpec("x", "f32", ("batch", 2)),), (TensorSpec("y", "f32", ("batch", 2), kind="value"),))
    spec = lambda name: TensorSpec(name, "f32", ("batch", 2))  # noqa: E731
    first = samples.graph_model(Signature((spec("x"),), (spec("a"),)), [samples.node("Neg", ["x"], "a")], {})
    last = samples.graph_model(Signature((spec("b"),), (spec("y"),)), [samples.node("Abs", ["b"], "y")], {})
    source = "import numpy as np\n\ndef middle(a):\n    return {'b': a * np.float32(2)}\n"
    parts = [("first", first), ("middle", source, ("a",), ("b",)), ("last", last)]
    package = make_package(signature, parts, trusted=True)
    artifact = TensorRTGpu().compile(package, CompileOptions(), tmp_path / "out")
    with pytest.raises(TrustError, match=r"Python of the package would have to run.*middle\.py"):
        TensorRTGpu().load(artifact.path, LoadOptions())
    session = TensorRTGpu().load(artifact.path, LoadOptions(trust=True))
    x = np.random.default_rng(0).normal(size=(70, 2)).astype(np.float32)
    assert np.allclose(session.run({"x": x})["y"], np.abs(2 * x))
    session.close()
