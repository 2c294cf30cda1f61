"""`portside release`, and artifacts out of the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from portside.sdk.core.package import Package

Run = Callable[..., Any]


def test_compile_release_ls_pull(portside: Run, package: Package, tmp_path: Path) -> None:
    portside("store", "push", package.path)
    for target in ("onnx-cpu", "reference"):
        assert portside("compile", "sums:1", "--target", target, "--out", tmp_path / target).code == 0
    said = portside("release", tmp_path / "onnx-cpu", tmp_path / "reference")
    assert said.code == 0 and "onnx-cpu" in said.out and "passed" in said.out
    (held,) = portside("store", "ls", "--releases", "--json").json
    assert [part["target"] for part in held["artifacts"]] == ["onnx-cpu", "reference"]
    assert held["digest"].removeprefix("sha256:")[:12] in portside("store", "ls", "--releases").out
    pulled = portside("store", "pull", "sums:1", "--target", "onnx-cpu", "--out", tmp_path / "device", "--json")
    assert pulled.json["path"] == str(tmp_path / "device")
    assert portside("verify", tmp_path / "device").code == 0


def test_refusals(portside: Run, package: Package, tmp_path: Path) -> None:
    portside("store", "push", package.path)
    assert portside("store", "pull", "sums", "--target", "onnx-cpu").code == 2
    assert "portside release" in portside("store", "pull", "sums", "--target", "onnx-cpu", "--out", tmp_path / "x").err
    assert portside("release", tmp_path / "nothing").code != 0


def test_a_package_that_was_not_pushed_is_to_be_pushed_first(portside: Run, package: Package, tmp_path: Path) -> None:
    portside("compile", package.path, "--out", tmp_path / "artifact")
    said = portside("release", tmp_path / "artifact")
    assert said.code == 3 and "portside store push FOLDER" in said.err
