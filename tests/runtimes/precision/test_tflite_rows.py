"""Which rows calibrate a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from portside.runtimes.precision.tflite_rows import MOST_ROWS, calibration_calls, read_rows, write_rows
from portside.runtimes.tflite.sizes import contract_of
from portside.sdk.core.contract import Case
from portside.sdk.core.errors import FormatError
from portside.sdk.core.package import write
from portside.sdk.core.plan import PrecisionPlan

FILE = "profile/calibration.safetensors"


def with_samples(package, folder, data):
    files = {name: package.read(name) for name in package.content.files}
    return write(package.content, {**files, FILE: data}, folder)


def rows(package, count):
    inputs = contract_of(package).cases[0].inputs
    return {name: np.concatenate([held] * (count // len(held) + 1))[:count] for name, held in inputs.items()}


def test_the_contracts_rows_serve_where_the_plan_names_none(mixed):
    _, package = mixed
    contract = contract_of(package)
    calls = calibration_calls(package, PrecisionPlan(), contract)
    assert len(calls) == len(contract.cases)
    for call, case in zip(calls, contract.cases, strict=True):
        assert all(np.array_equal(call[name], held, equal_nan=True) for name, held in case.inputs.items())
    assert calibration_calls(package, PrecisionPlan(), None) == []


def test_the_plans_own_samples_come_first_and_are_thinned(mixed, tmp_path):
    _, package = mixed
    given = rows(package, 1000)
    first = next(iter(given))
    holding = with_samples(package, tmp_path / "holding", save(given))
    (call,) = calibration_calls(holding, PrecisionPlan(calibration={"samples": FILE}), contract_of(package))
    assert {len(held) for held in call.values()} == {MOST_ROWS}
    np.testing.assert_array_equal(call[first][[0, -1]], given[first][[0, -1]])


def test_many_cases_are_thinned_together(mixed):
    _, package = mixed
    contract = contract_of(package)
    case = Case(rows(package, 100), {}, why=("random",) * 100)
    calls = calibration_calls(package, PrecisionPlan(), replace(contract, cases=(case,) * 5))
    assert sum(len(next(iter(call.values()))) for call in calls) == MOST_ROWS
    assert len(calls) == 5


def test_samples_that_are_not_the_programs_inputs_are_refused(mixed, tmp_path):
    _, package = mixed
    plan = PrecisionPlan(calibration={"samples": FILE})
    with pytest.raises(FormatError, match="lack an input"):
        calibration_calls(with_samples(package, tmp_path / "other", save({"other": np.zeros(3)})), plan, None)
    with pytest.raises(FormatError, match="no tensors"):
        calibration_calls(with_samples(package, tmp_path / "broken", b"nothing"), plan, None)
    with pytest.raises(FormatError, match="lists no file"):
        calibration_calls(package, plan, None)


def test_rows_survive_their_file(tmp_path):
    calls = [
        {"x": np.arange(3), "a/b": np.float32(2) * np.ones((2, 1), np.float32)},
        {"x": np.arange(5), "a/b": np.zeros((0, 1), np.float32)},
    ]
    write_rows(calls, tmp_path / "rows")
    for made, given in zip(read_rows(tmp_path / "rows"), calls, strict=True):
        assert made.keys() == given.keys()
        assert all(np.array_equal(made[name], given[name]) for name in given)
    assert read_rows(tmp_path / "none") == []
