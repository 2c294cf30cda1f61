"""The conformance suite over every installed runtime, and over runtimes that break one promise each."""

from __future__ import annotations

import pytest
from portside.runtimes import base, checks
from portside.runtimes.onnx_cpu import OnnxCpu


@pytest.mark.parametrize("name", sorted(base.installed()))
@pytest.mark.parametrize("check", checks.ALL, ids=str)
def test_installed_runtimes_conform(name, check, tmp_path):
    check(base.installed()[name], tmp_path)
