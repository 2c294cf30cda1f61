"""`make bench` runs every benchmark there is, and each gives it what it asks for: otherwise one ends all that come after it."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RUN = runpy.run_path(str(BENCHMARKS / "run.py"))  # examples have a run.py, too: no module of that name is imported


def test_what_it_says_is_what_it_runs() -> None:
    assert [name for name in RUN["BENCHMARKS"] if f"[{name}]" not in RUN["__doc__"]] == []


@pytest.mark.parametrize("module", RUN["BENCHMARKS"].values())
def test_it_measures_and_shows(module: str) -> None:
    """Read, not imported: some need what is not installed everywhere."""
    names = {one.name for one in ast.parse((BENCHMARKS / f"{module}.py").read_text()).body if isinstance(one, ast.FunctionDef)}
    assert {"measure", "show"} <= names
