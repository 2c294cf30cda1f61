"""Finding runtimes, cancellation, and options that nobody knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes import base
from portside.runtimes.base import Cancel, CompileOptions
from portside.runtimes.onnx_cpu import OnnxCpu
from portside.sdk.core.errors import MissingExtraError, UnsupportedError


def test_installed_targets_have_their_entry_names():
    found = {name: kind.name for name, kind in base.installed().items()}
    assert all(name == said for name, said in found.items())
    assert {"onnx-cpu", "reference", "tensorrt", "tflite", "wasm"} == set(found)


def test_an_unknown_target_names_those_there_are():
    with pytest.raises(UnsupportedError, match=r"onnx-cpu, reference.*portside doctor"):
        base.runtime("abacus")


def test_a_target_whose_extra_is_missing_names_the_command(monkeypatch):
    monkeypatch.setattr(OnnxCpu, "missing", lambda self: "onnxruntime")
    with pytest.raises(MissingExtraError, match=r"pip install 'portside\[onnx\]'"):
        base.runtime("onnx-cpu")


def test_what_pip_does_not_bring_names_another_way(monkeypatch):
    monkeypatch.setattr(OnnxCpu, "missing", lambda self: base.Missing("a printer", "Run: buy one"))
    assert str(base.lack(OnnxCpu())) == "The target onnx-cpu needs what is not installed here; got no a printer. Run: buy one"
    assert base.compile_lack(OnnxCpu()).fix == "Run: buy one"


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3))
def test_hooks_run_once_whenever_they_are_set(before, after, times):
    cancel, ran = Cancel(), []
    for index in range(before):
        cancel.on_cancel(lambda index=index: ran.append(index))
    for _ in range(times):
        cancel.cancel()
    for index in range(after):
        cancel.on_cancel(lambda index=index: ran.append(before + index))
    assert ran == list(range(before + after))
    assert cancel.cancelled


def test_a_forgotten_hook_does_not_run_and_may_be_forgotten_twice():
    cancel, ran = Cancel(), []
    hook = lambda: ran.append(1)  # noqa: E731 - the same object twice
    cancel.on_cancel(hook)
    cancel.forget(hook)
    cancel.forget(hook)
    cancel.cancel()
    assert ran == []


def test_every_target_lists_its_options_and_knows_no_other(mixed, tmp_path):
    listed = base.compile_options()
    assert set(listed) == set(base.installed()) and set(listed["tflite"]) == {"batches", "sizes", "source", "timeout_s"}
    for target in listed:
        with pytest.raises(UnsupportedError, match="no compile option 'abacus'"):
            base.installed()[target]().compile(mixed[1], CompileOptions(extra={"abacus": 1}), tmp_path / "out")


def test_options_are_known_or_refused():
    assert CompileOptions(extra={"a": 1}).only("target", ("a",)) == {"a": 1}
    with pytest.raises(UnsupportedError, match=r"no compile option 'b'.*expected a"):
        CompileOptions(extra={"a": 1, "b": 2}).only("target", ("a",))
