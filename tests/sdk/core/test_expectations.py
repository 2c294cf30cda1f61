"""Expectations as data: they come back from what they were written to, and what is none is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.expectations import Direction, Invariance, Perturbation, check, from_bytes, from_dict, to_bytes

ALL = (
    Perturbation(0.1), Perturbation(2, fields=("photo",), at_most=0.05, seed=7), Invariance("age", add=1), Invariance("age", scale=1.1),
    Invariance("city", replace={"Paris": "Rome", 1: 2}), Invariance("x", noise=0.5), Invariance("sex", swap=("f", "m")),
    Invariance("photo", flip=1), Direction("income", "score", by=1000.0), Direction("debt", "score", column=1, falls=True),
)  # fmt: skip


@pytest.mark.parametrize("expectation", ALL, ids=str)
def test_what_is_written_comes_back(expectation) -> None:
    assert from_dict(expectation.to_dict()) == expectation
    assert from_bytes(to_bytes([expectation])) == (expectation,)
    assert str(expectation).startswith(expectation.kind)


def test_the_file_has_one_form() -> None:
    assert to_bytes(ALL) == to_bytes(from_bytes(to_bytes(ALL)))


def test_a_function_is_run_and_not_stored() -> None:
    held = Invariance(change=lambda inputs: inputs)
    assert check([held]) == (held,)
    with pytest.raises(InputError, match="cannot be stored"):
        to_bytes([held])
    with pytest.raises(InputError, match="cannot be stored"):
        to_bytes([Invariance("x", swap=(np.float32(1), 2))])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Invariance("x"), lambda: Invariance("x", add=1, scale=2), lambda: Invariance(add=1),
        lambda: Invariance("x", change=lambda held: held), lambda: Invariance("x", swap=("a",)), lambda: Invariance(change="name"),
        lambda: Invariance("x", swap=([1], [2])),
        lambda: Perturbation(-1), lambda: Perturbation(float("nan")), lambda: Direction("x", "y", by=float("inf")),
        lambda: Perturbation(1, at_most=True), lambda: check("x"), lambda: check([{"kind": "direction"}]),
    ],
)  # fmt: skip
def test_what_is_no_expectation_is_refused(wrong) -> None:
    with pytest.raises(InputError):
        wrong()


@pytest.mark.parametrize(
    "data",
    [
        {}, {"kind": "hope"}, {"kind": "direction"}, {"kind": "direction", "field": "x", "output": "y", "wind": 1},
        {"kind": "invariance", "field": "x", "replace": 5}, {"kind": "invariance", "change": "os.system"},
        {"kind": "invariance", "field": "x", "flip": "a"}, {"kind": "invariance", "field": "x", "swap": [[1], [2]]},
        {"kind": "invariance", "field": "x", "replace": [[[1], 2]]}, {"kind": "direction", "field": "x", "output": "y", "column": "a"},
        {"kind": "perturbation", "size": "big"}, {"kind": "perturbation", "size": 1, "fields": 5},
    ],
)  # fmt: skip
def test_a_malformed_expectation_is_a_format_error(data) -> None:
    with pytest.raises(FormatError):
        from_dict(data)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"expectations": 5}', b'{"expectations": [5]}', b'{"expectations": [{}]}'])
def test_a_malformed_file_is_a_format_error(text: bytes) -> None:
    with pytest.raises(FormatError):
        from_bytes(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_any_field_is_parsed_or_refused(value) -> None:
    for name in ("field", "swap", "replace", "flip", "add", "at_most"):
        try:
            held = from_dict({"kind": "invariance", "field": "x", **({"scale": 1} if name in ("field", "at_most") else {}), name: value})
        except FormatError:
            continue
        assert str(held)
