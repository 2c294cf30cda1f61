"""`portside diff`: what differs and nothing else; opt-in exit code; with rows the audit of B against A."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.sdk.core.package import Package

Run = Callable[..., Any]


@pytest.fixture
def other(tmp_path: Path, write_package: Callable[..., Package]) -> Package:
    """The same model with another threshold."""
    return write_package(tmp_path / "other", "other", threshold=1.3)


def test_what_differs_is_shown(portside: Run, package: Package, other: Package) -> None:
    said = portside("diff", package.path, other.path)
    assert said.code == 0, said.err
    assert all(word in said.out for word in ("sums", "other", "relation", "program/00-main.onnx", "contract/cases.safetensors"))
    assert "signature" not in said.out
    found = portside("diff", package.path, other.path, "--json").json
    assert (found["same"], found["signature"], found["contract"]) == (False, {}, {})
    assert "program/00-main.onnx" in found["files"]


def test_the_exit_code_is_asked_for(portside: Run, package: Package, other: Package) -> None:
    assert portside("diff", package.path, other.path, "--exit-code").code == 1
    same = portside("diff", package.path, package.path, "--exit-code")
    assert same.code == 0
    assert "identical" in same.out


def test_rows_add_the_audit_of_b_against_a(portside: Run, package: Package, other: Package, tmp_path: Path) -> None:
    x = np.random.default_rng(3).random((600, 2)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, label=(x.sum(1) > 1).astype(np.int64))
    words = ("diff", package.path, other.path, "--data", tmp_path / "rows.npz")
    found = portside(*words, "--json")
    assert (found.code, found.json["audit"]["ancestor"]) == (0, package.digest)
    assert portside(*words, "--max-flips", 0.01).code == 1
    assert "decisions differ" in portside(*words, "--max-flips", 0.9).out
    assert portside("diff", package.path, other.path, "--max-flips", 0.01).code == 2


def test_an_artifact_is_compared_with_its_package(portside: Run, package: Package, tmp_path: Path) -> None:
    assert portside("compile", package.path, "--out", tmp_path / "artifact").code == 0
    said = portside("diff", package.path, tmp_path / "artifact")
    assert "B is compiled from the other" in said.out
    assert portside("diff", package.path, tmp_path / "nothing").code != 0
