"""The build check in a process of its own, on a simulated TensorRT-RTX: what it says, whom it names, and how it ends with its builder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.onnx_files import write_model
from portside.runtimes.samples import graph_model, node
from portside.runtimes.tensorrt import checking
from portside.runtimes.tensorrt.checking import Checked, check_build
from portside.runtimes.tensorrt.rim import Rim, Slot
from portside.runtimes.verify import verify
from portside.sdk.core.errors import ContractError, EngineError, UnsupportedError
from portside.sdk.core.signature import Signature, TensorSpec

RIM = Rim((Slot("x", "float32", ("batch", 4)),), (Slot("y", "float32", ("batch", 4)),), {"batch": (1, 4, 8)}, "batch")


@pytest.fixture
def rtx(monkeypatch):
    """A function that says how the simulated builder is to end."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "fakes" / "simulated_rtx")
    yield lambda how: monkeypatch.setenv("SIMULATED_RTX", how)
    assert not [name for name in sys.modules if name.startswith("tensorrt_rtx")]  # a builder may crash: never here


def checked(folder, nodes, dtype="f32"):
    """The build check of a program of these nodes, from x to y."""
    signature = Signature((TensorSpec("x", dtype, ("batch", 4)),), (TensorSpec("y", dtype, ("batch", 4)),))
    (folder / "engine").mkdir(exist_ok=True)
    write_model(graph_model(signature, nodes, {}), folder / "engine" / "model.onnx")
    return check_build(folder, {"engine/model.onnx": RIM})


def test_what_is_built_is_counted_and_nothing_is_claimed_of_a_gpu(rtx, tmp_path):
    found = checked(tmp_path, [node("Abs", ["x"], "a"), node("Neg", ["a"], "y")])
    assert isinstance(found, Checked) and (found.version, found.engines, found.layers) == ("1.7.1 (simulated)", 1, 2)
    assert str(found).startswith("the build check passed: TensorRT-RTX 1.7.1 (simulated) built 1 engine of 2 layers")
    assert str(found).endswith("and nothing was run")


def test_an_operator_that_the_parser_refuses_is_named(rtx, tmp_path):
    with pytest.raises(UnsupportedError, match=r"TensorRT-RTX 1\.7\.1 .*does not hold the operator Neg \('y'\): its parser refuses.*UInt8"):
        checked(tmp_path, [node("Neg", ["x"], "y")], "u8")


def test_a_node_that_the_builder_refuses_is_named_with_its_operator(rtx, tmp_path):
    rtx("named")
    with pytest.raises(UnsupportedError, match=r"does not hold the operator Abs \('y'\): its builder refuses.*any implementation"):
        checked(tmp_path, [node("Abs", ["x"], "y")])


def test_where_the_builder_names_nothing_operators_with_subgraphs_are(rtx, tmp_path):
    rtx("unnamed")
    with pytest.raises(UnsupportedError, match=r"does not hold the program of model\.onnx: its builder refuses"):
        checked(tmp_path, [node("Abs", ["x"], "y")])
    branches = {name: helper.make_graph([helper.make_node(kind, ["x"], ["out"])], name, [],
                                        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 4])])
                for name, kind in (("then_branch", "Abs"), ("else_branch", "Neg"))}  # fmt: skip
    first = [node("ReduceMax", ["x"], "most", keepdims=0), node("Cast", ["most"], "whether", to=TensorProto.BOOL)]
    with pytest.raises(UnsupportedError, match=r"does not hold the operator If, as far as can be told"):
        checked(tmp_path, [*first, node("If", ["whether"], "y", **branches)])


def test_sizes_that_do_not_fit_are_a_refusal(rtx, tmp_path):
    rtx("rejects")
    with pytest.raises(UnsupportedError, match=r"its builder refuses.*the sizes of x do not fit"):
        checked(tmp_path, [node("Abs", ["x"], "y")])


def test_a_builder_that_dies_ends_the_check_and_not_this_process(rtx, tmp_path):
    rtx("dies")
    with pytest.raises(EngineError, match=r"The build check died.*exit code 139"):
        checked(tmp_path, [node("Abs", ["x"], "y")])


def test_a_builder_that_does_not_end_is_ended(rtx, tmp_path, monkeypatch):
    rtx("hangs")
    monkeypatch.setattr(checking, "TIMEOUT_S", 2.0)
    with pytest.raises(EngineError, match=r"took too long.*more than 2 s"):
        checked(tmp_path, [node("Abs", ["x"], "y")])


def test_a_compile_without_a_gpu_says_how_far_it_came(rtx, mixed, tmp_path):
    with pytest.raises(ContractError, match=r"unverified on a GPU.*the build check passed: TensorRT-RTX .* nothing was run"):
        compile_package(mixed[1], "tensorrt", tmp_path / "out")
    made = compile_package(mixed[1], "tensorrt", tmp_path / "out", allow_unproven=True)
    assert made.verified["check"].startswith("the build check passed") and made.verified["verdict"] == "not enough data"


def test_what_the_check_refuses_is_refused_and_not_unverified(rtx, mixed, tmp_path):
    rtx("named")
    report = verify(mixed[1], targets=("tensorrt",))
    assert report.targets[0].outcome == "refused" and "its builder refuses" in str(report.targets[0].refused)
    with pytest.raises(UnsupportedError, match="its builder refuses"):
        compile_package(mixed[1], "tensorrt", tmp_path / "out", allow_unproven=True)
    assert not (tmp_path / "out").exists()
