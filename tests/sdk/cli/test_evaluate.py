"""`portside evaluate`: metrics, slices, a comparison, and the gate on its interval."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.sdk.cli.tables import fitting
from portside.sdk.core.data import Data
from portside.sdk.core.package import Package

Run = Callable[..., Any]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Six hundred rows labelled by the rule of the package `sums`, a tenth of them wrongly."""
    x = np.random.default_rng(3).random((600, 2)).astype(np.float32)
    label = (x.sum(1) > 1).astype(np.int64)
    label[::10] = 1 - label[::10]
    np.savez(tmp_path / "rows.npz", x=x, label=label, site=np.array(["north", "south"] * 300))
    return tmp_path / "rows.npz"


@pytest.fixture
def worse(tmp_path: Path, write_package: Callable[..., Package]) -> Package:
    """The same model with another threshold."""
    return write_package(tmp_path / "worse", "worse", threshold=1.3)


def test_metrics_with_intervals_per_slice(portside: Run, package: Package, rows: Path, tmp_path: Path) -> None:
    said = portside("evaluate", package.path, rows, "--slice", "site", "--html", tmp_path / "page.html", "--json")
    assert said.code == 0, said.err
    accuracy = said.json["quality"]["metrics"]["accuracy"]
    assert accuracy["value"] == pytest.approx(0.9)
    assert accuracy["low"] < 0.9 < accuracy["high"]
    assert set(said.json["quality"]["slices"]) == {"site=north", "site=south"}
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(("side", "code"), [("high", 1), ("value", 4), ("low", 0)])
def test_the_gate_is_on_the_interval(side: str, code: int, portside: Run, package: Package, worse: Package, rows: Path) -> None:
    words = ("evaluate", worse.path, rows, "--slice", "site", "--against", package.path)
    lost = -portside(*words, "--json").json["difference"]["accuracy"][side]
    step = {"high": -1e-6, "value": 0, "low": 1e-6}[side]
    assert portside(*words, "--max-drop", lost + step).code == code


def test_no_labels_is_usage(portside: Run, package: Package, rows: Path) -> None:
    assert portside("evaluate", package.path, rows, "--label", "truth").code == 2
    assert portside("evaluate", package.path, rows, "--max-drop", "0.1").code == 2


def test_a_column_to_slice_by_may_be_an_input(package: Package) -> None:
    x, site = np.ones((4, 2), np.float32), np.array(["n", "s"] * 2)
    data = Data(inputs={"x": x, "site": site}, slices={"x": x[:, 0], "site": site})
    assert list(fitting(data, package).inputs) == ["x"]
