"""`portside audit`: the table, the JSON, and the exit code of every verdict."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.sdk.core.package import Package

Run = Callable[..., Any]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Six hundred rows labelled by the rule of the package `sums`, a tenth of them wrongly."""
    x = np.random.default_rng(3).random((600, 2)).astype(np.float32)
    label = (x.sum(1) > 1).astype(np.int64)
    label[::10] = 1 - label[::10]
    np.savez(tmp_path / "site.npz", x=x, label=label, site=np.array(["north", "south", "south"] * 200))
    np.savez(tmp_path / "lot.npz", x=x, label=label, lot=np.arange(600) // 3)
    np.savez(tmp_path / "rows.npz", x=x, label=label)
    return tmp_path / "rows.npz"


@pytest.fixture
def worse(tmp_path: Path, write_package: Callable[..., Package]) -> Package:
    """The same model with another threshold."""
    return write_package(tmp_path / "worse", "worse", threshold=1.3)


def test_the_answer_is_a_table_and_json(portside: Run, package: Package, worse: Package, rows: Path) -> None:
    words = ("audit", worse.path, package.path, "--data", rows.with_stem("site"), "--slice", "site")
    said = portside(*words)
    assert said.code == 0, said.err
    assert all(word in said.out for word in ("nothing was asked", "accuracy", "site=north", "decisions differ", "score"))
    found = portside(*words, "--json").json
    assert set(found["slices"]) == {"site=north", "site=south"}
    assert found["changes"]["accuracy"]["drop"]["low"] > 0
    assert len(found["flips"][0]["examples"]) == 20


def test_a_page_for_people_ends_with_the_line_that_makes_it_again(
    portside: Run, package: Package, worse: Package, rows: Path, tmp_path: Path
) -> None:
    words = ("audit", worse.path, package.path, "--data", rows.with_stem("site"), "--slice", "site", "--max-drop", 0.01)
    said = portside(*words, "--html", tmp_path / "new" / "audit.html")
    assert said.code == 1, said.err
    page = (tmp_path / "new" / "audit.html").read_text()
    again = f"portside audit {worse.path} {package.path} --data {rows.with_stem('site')} --slice site --max-drop 0.01"
    assert escape(again) in page and "audit.html" not in page
    found = portside(*words, "--json").json
    assert found["command"] == again
    assert all(found["lineage"][name] in page for name in ("data", "slices", "cpu", "subject", "ancestor"))


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (("--max-drop", 0.9, "--max-flips", 0.9), 0), (("--max-drop", 0.01), 1), (("--max-flips", 0.01), 1),
        (("--max-slice-drop", 0.9, "--slice", "site"), 0), (("--max-slice-drop", 0.9), 4), (("--max-slice-drop", 0.9, "--slice", "lot"), 4),
        (("--max-drop", -1), 2), (("--max-drop", "much"), 2),
    ],
    ids=str,
)  # fmt: skip
def test_the_exit_code_answers(limits: tuple[Any, ...], code: int, portside: Run, package: Package, worse: Package, rows: Path) -> None:
    rows = rows.with_stem(limits[-1]) if "--slice" in limits else rows
    said = portside("audit", worse.path, package.path, "--data", rows, *limits)
    assert said.code == code, said.out + said.err


def test_against_itself_everything_passes_but_what_nothing_proves(portside: Run, package: Package, rows: Path) -> None:
    words = ("audit", package.path, package.path, "--data", rows)
    assert portside(*words, "--max-drop", 0.01, "--max-flips", 0.01).code == 0
    assert portside(*words, "--max-flips", 0.001).code == 4
    assert portside(*words, "--max-flips", 0).code == 4


def test_without_rows_it_is_usage(portside: Run, package: Package) -> None:
    assert portside("audit", package.path, package.path).code == 2


def test_a_compile_stops_at_its_gates(portside: Run, package: Package, worse: Package, rows: Path, tmp_path: Path) -> None:
    words = ("compile", worse.path, "--out", tmp_path / "out", "--data", rows)
    stopped = portside(*words, "--ancestor", package.path, "--max-drop", 0.01)
    assert stopped.code == 1
    assert "max_drop: failed" in stopped.err
    assert not (tmp_path / "out").exists()
    assert portside(*words, "--max-flips", 0.001).code == 4
    assert portside(*words, "--max-flips", 0.01, "--json").json["verified"]["audit"]["verdict"] == "passed"
