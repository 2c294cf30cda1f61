"""Contracts as bytes: everything comes back, text included, and nothing malformed gets in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portside.sdk.core.contract import Case, Contract, Rule
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import KINDS

ARRAYS = st.one_of(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)),
    hnp.arrays(np.bool_, (3,)), hnp.arrays(np.uint8, (2, 2)),
    hnp.arrays(np.object_, hnp.array_shapes(max_dims=2, max_side=3), elements=st.text(max_size=5) | st.none()),
)  # fmt: skip
NAMES = st.text(st.characters(categories=["L", "N"], include_characters="_ ./"), min_size=1, max_size=8)
CASES = st.builds(
    Case, st.dictionaries(NAMES, ARRAYS, max_size=3), st.dictionaries(NAMES, ARRAYS, max_size=3),
    st.dictionaries(NAMES, hnp.arrays(np.bool_, (2,)), max_size=2), st.lists(st.text(max_size=6), max_size=3).map(tuple),
    st.dictionaries(NAMES, st.lists(st.text(max_size=3)).map(tuple), max_size=2), st.none() | st.text(max_size=3),
)  # fmt: skip
RULES = st.builds(Rule, st.sampled_from(KINDS), st.dictionaries(NAMES, st.floats(0, 1)), st.floats(0.1, 10), st.none() | st.integers(1, 5),
                  st.none() | st.sampled_from(KINDS))  # fmt: skip
CONTRACTS = st.builds(
    Contract, st.lists(CASES, max_size=3).map(tuple), st.dictionaries(NAMES, RULES, max_size=3), st.none() | st.text(), st.booleans(),
    st.dictionaries(NAMES, st.integers(0, 9), max_size=2), st.lists(st.text(max_size=5), max_size=2).map(tuple),
)  # fmt: skip


@given(CONTRACTS)
def test_everything_comes_back(contract: Contract) -> None:
    again = Contract.from_bytes(*contract.to_bytes())
    assert again.to_bytes() == contract.to_bytes()
    assert (again.rules, again.licence, again.shareable, again.narrowing, again.notes) == (
        contract.rules, contract.licence, contract.shareable, contract.narrowing, contract.notes,
    )  # fmt: skip
    for one, two in zip(contract.cases, again.cases, strict=True):
        assert (one.why, one.slices, one.sequence) == (two.why, two.slices, two.sequence)
        for side in ("inputs", "outputs", "firm"):
            before, after = getattr(one, side), getattr(two, side)
            assert set(before) == set(after)
            for name, array in before.items():
                np.testing.assert_array_equal(array, after[name])
                assert (array.dtype, array.shape) == (after[name].dtype, after[name].shape)


@pytest.mark.parametrize("change", [
    lambda head: {**head, "cases": []},
    lambda head: {**head, "rules": {"y": {}}},
    lambda head: {key: value for key, value in head.items() if key != "cases"},
    lambda head: {**head, "strings": {"0000/in/t": {"shape": [3], "values": ["a"]}}},
    lambda head: {**head, "strings": 3},
    lambda head: {**head, "narrowing": 5},
    lambda head: {**head, "notes": 5},
    lambda head: [head],
])  # fmt: skip
def test_a_malformed_head_is_refused(change) -> None:
    head, tensors = Contract((Case({"x": np.zeros(2)}, {"y": np.zeros(2)}, {}, ("r", "r")),), {"y": Rule("value")}).to_bytes()
    with pytest.raises(FormatError):
        Contract.from_bytes(json.dumps(change(json.loads(head))).encode(), tensors)


def test_a_head_with_two_meanings_is_refused_and_only_true_is_shareable() -> None:
    """A bundle is public: what decides whether golden rows go into it has one reading."""
    head, tensors = Contract((), {}).to_bytes()
    said = {**json.loads(head), "shareable": "false"}
    assert not Contract.from_bytes(json.dumps(said).encode(), tensors).shareable
    with pytest.raises(FormatError, match="'shareable' stands twice"):
        Contract.from_bytes(head.replace(b'"shareable"', b'"shareable": true, "shareable"', 1), tensors)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    head, tensors = Contract((), {}).to_bytes()
    for pair in ((data, tensors), (head, data)):
        with pytest.raises(FormatError):
            Contract.from_bytes(*pair)


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "guess"}, {"kind": ["decision"]}, {"kind": "sequence", "element": "guess"}, {"kind": "ranking", "top_k": -1},
        {"kind": "score", "limits": {"atol": "nan"}}, {"kind": "score", "limits": {"atol": -1}}, {"kind": "value", "scale": "1"},
    ],
)  # fmt: skip
def test_a_rule_that_nothing_can_be_judged_by_is_refused(rule) -> None:
    """A limit that is not a number compares false with every distance: whatever the answers, it would pass."""
    with pytest.raises(FormatError):
        Rule.from_dict(rule)
