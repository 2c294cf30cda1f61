"""What is said of the machine: enough to tell CPUs apart, and nothing that names it."""

from __future__ import annotations

import json
import socket

import pytest

from portside.runtimes import hardware


def test_the_same_machine_says_the_same():
    assert hardware.cpu_class() == hardware.cpu_class()
    assert hardware.cores() >= 1
    assert list(hardware.cpu_features()) == sorted(set(hardware.cpu_features()))


def test_the_build_record_is_json_and_does_not_name_the_machine(monkeypatch):
    record = json.dumps(hardware.built_on("onnxruntime", "no-such-distribution"))
    assert json.loads(record)["versions"]["onnxruntime"]
    assert json.loads(record)["versions"]["no-such-distribution"] is None
    assert socket.gethostname() not in record


def test_without_a_system_that_says_there_are_no_features(monkeypatch):
    class Absent:
        def __init__(self, *_):
            pass

        def read_text(self, **_):
            raise OSError("no /proc here")

    monkeypatch.setattr(hardware, "Path", Absent)
    hardware.cpu_features.cache_clear()
    try:
        assert hardware.cpu_features() == ()
    finally:
        hardware.cpu_features.cache_clear()


@pytest.mark.parametrize(("machine", "features", "sums"), [
    ("x86_64", ("sse4_1", "avx2", "fma"), "saturating"), ("AMD64", ("sse4_1", "avx2", "avx512bw", "avx512f"), "saturating"),
    ("x86_64", ("sse4_1", "sse4_2"), "exact"), ("x86_64", ("sse2",), "exact"), ("x86_64", ("avx2", "avx_vnni"), "exact"),
    ("x86_64", ("avx2", "avx512bw", "avx512_vnni"), "exact"), ("x86_64", (), "unknown"), ("aarch64", (), "exact"),
    ("arm64", ("asimd", "asimddp"), "exact"),
])  # fmt: skip
def test_sums_of_int8_saturate_on_x86_without_vnni(machine, features, sums):
    assert hardware.int8_sums(machine, features) == sums


def test_this_machine_has_an_answer():
    assert hardware.int8_sums_here() in ("exact", "saturating", "unknown")
