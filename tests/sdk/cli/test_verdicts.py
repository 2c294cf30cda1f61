"""Data and budgets that are no good: `portside compress` and `portside search` say what is wrong, with an exit code, and write nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portside.compress.searching import Searching
from portside.runtimes import samples

Run = Callable[..., Any]
Change = Callable[[dict[str, Any]], None]


pytestmark = pytest.mark.usefixtures("brief_latency")


@pytest.fixture(autouse=True)
def four_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search ends by trials, not by time: a busy machine finds the same verdicts."""
    monkeypatch.setattr(Searching, "_late", lambda self: len(self.store.trials) >= 4)


@pytest.fixture
def run(portside: Run, tmp_path: Path) -> Run:
    """(command, what to change of the rows to judge on, of those for calibration, *limits) -> what it said."""
    sample = samples.mixed()
    x, *others = sample.signature.inputs
    sample = replace(sample, signature=replace(sample.signature, inputs=(replace(x, missing=False), *others)))
    package = sample.write(tmp_path / "mixed").path

    def save(name: str, count: int, change: Change | None) -> Path:
        made = np.random.default_rng(count)
        held = {"x": made.normal(size=(count, 4)).astype(np.float32), "ids": made.integers(0, 100, count), "on": made.random(count) < 0.5}
        held |= {"label": sample.truth(held)["label"], "site": np.where(np.arange(count) < 3, "rare", "often")}
        if change:
            change(held)
        np.savez(tmp_path / name, **held)
        return tmp_path / name

    def said(command: str, judged: Change | None, learned: Change | None, *limits: object) -> Any:
        test, train = save("test.npz", 400, judged), save("train.npz", 120, learned)
        if command == "search":
            return portside("search", package, "--data", test, "--calibration", train, "--minutes", 5, *limits, "--slice", "site")
        return portside("compress", package, "int8-static", train, "--target", "onnx-cpu", "--held-out", test, *limits, "--slice", "site",
                        "--out", tmp_path / "small")  # fmt: skip

    return said


def nan(held: dict[str, Any]) -> None:
    held["x"][7, 2] = np.nan


def few(held: dict[str, Any]) -> None:
    held.update({name: values[:5] for name, values in held.items()})


def unlabelled(held: dict[str, Any]) -> None:
    del held["label"]


def all_rare(held: dict[str, Any]) -> None:
    few(held)
    held.update({name: values[:3] for name, values in held.items()})


NO = {"compress": 1, "search": 4}
"""Here int8 breaks the contract as well, which is all that `compress` was asked for; `search` could still have taken float32."""
COMMANDS = pytest.mark.parametrize("command", ["compress", "search"])


@COMMANDS
@pytest.mark.parametrize(("judged", "learned", "where"), [(nan, None, "rows to judge on"), (None, nan, "rows for calibration")])
def test_nan_in_the_data_is_usage_and_names_the_rows_and_the_row(run: Run, command, judged, learned, where, tmp_path) -> None:
    said = run(command, judged, learned)
    assert said.code == 2, said.out + said.err
    assert f"In the {where}: 'x', row 7: a value is missing (NaN)" in said.err
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
@COMMANDS
def test_too_little_calibration_data_is_said(run: Run, command) -> None:
    said = run(command, None, few)
    assert "calibration: " in said.out and "5 rows" in said.out, said.out + said.err


@COMMANDS
def test_a_limit_on_quality_without_labels_is_never_a_yes(run: Run, command, tmp_path) -> None:
    said = run(command, unlabelled, None, "--max-drop", 0.05)
    assert said.code == NO[command], said.out + said.err
    assert "labels are needed" in said.out and "nothing was written" in said.out
    assert not (tmp_path / "small").exists()


@COMMANDS
def test_a_slice_of_three_rows_is_named_and_does_not_decide(run: Run, command) -> None:
    said = run(command, None, None, "--max-slice-drop", 0.9)
    assert said.code in (0, 1), said.out + said.err  # the other slice decided
    assert "not enough data in site=rare (3 rows)" in said.out


@pytest.mark.slow
@COMMANDS
def test_where_every_slice_is_too_small_nothing_passes(run: Run, command, tmp_path) -> None:
    said = run(command, all_rare, None, "--max-slice-drop", 0.9)
    assert said.code == 4, said.out + said.err
    assert "site=rare (3 rows)" in said.out
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
@COMMANDS
def test_a_budget_that_no_rows_can_prove_names_the_limit_and_the_rows(run: Run, command, tmp_path) -> None:
    said = run(command, None, None, "--max-flips", 0.0001)
    assert said.code == NO[command], said.out + said.err
    assert "max_flips" in said.out and "30000 are needed to prove 0.0001" in said.out
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
def test_a_size_that_nothing_has_names_what_binds(run: Run) -> None:
    said = run("search", None, None, "--size-mb", 1e-6)
    assert said.code == 1, said.out + said.err
    assert "nothing within the budget: size_mb" in said.out and "nearest miss" in said.out


@COMMANDS
def test_a_column_that_is_neither_input_nor_label_is_named_with_what_to_do(run: Run, command) -> None:
    said = run(command, lambda held: held.update(odd=held["ids"]), None)
    assert said.code == 2
    assert "odd" in said.err and "--slice odd" in said.err
