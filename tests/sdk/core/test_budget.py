"""Budget: limits that are finite numbers, gates that are the part on quality."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.budget import Budget
from portside.sdk.core.errors import InputError

NAMES = [held.name for held in fields(Budget)]


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1e9) | st.integers(0, 10**9)))
def test_a_budget_survives_a_file_and_names_only_what_is_set(limits):
    budget = Budget(**limits)
    assert budget.limits == limits
    assert Budget.from_dict(json.loads(json.dumps(budget.to_dict()))) == budget


def test_a_limit_of_zero_is_a_limit():
    assert Budget(max_flips=0).limits == {"max_flips": 0}


def test_gates_are_the_limits_on_quality():
    assert Budget(size_mb=1, p95_ms=2, max_drop=0.1, max_flips=0.2).gates == Budget(max_drop=0.1, max_flips=0.2)
    assert Budget(size_mb=1).gates.limits == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "3", True, [1]], ids=str)
def test_what_is_no_limit_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name} is .* finite number") as caught:
        Budget(**{name: value})
    assert caught.value.field == name


def test_a_limit_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InputError, match=r"no limit 'size_gb'.*max_drop") as caught:
        Budget.from_dict({"size_gb": 1})
    assert caught.value.field == "size_gb"
