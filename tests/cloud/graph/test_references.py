"""The small language of a graph: what it means, and that nothing else is taken for it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.graph.references import OPERATORS, Comparison, Condition, Reference, condition, reference, sources
from portside.sdk.core.errors import FormatError

names = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_-]{0,10}\Z").filter(lambda name: name not in ("max", "min", "mean"))
references = st.builds(Reference, names, names, st.none() | st.integers(-5, 5), st.sampled_from([None, "max", "min", "mean"]))
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)


@given(references)
def test_a_reference_reads_back_what_it_prints(held):
    assert reference(str(held)) == held


@given(st.lists(st.lists(st.tuples(references, st.sampled_from(OPERATORS), numbers), min_size=1, max_size=3), min_size=1, max_size=3))
def test_conditions_are_or_over_and(groups):
    text = " or ".join(" and ".join(f"{left} {operator} {right}" for left, operator, right in group) for group in groups)
    assert condition(text) == Condition(tuple(tuple(Comparison(*one) for one in group) for group in groups))


def test_sources_are_tried_in_order_and_a_constant_is_last():
    assert sources('a.x ?? b.y[1] ?? "none"') == (Reference("a", "x"), Reference("b", "y", 1), "none")
    assert sources("a.x??0.5") == (Reference("a", "x"), 0.5)
    assert sources("request.text") == (Reference("request", "text"),)
    assert sources("a.x ?? true")[-1] is True
    with pytest.raises(FormatError, match="nothing after it is reached"):
        sources("1 ?? a.x")


def test_text_and_truth_are_only_equal_or_not():
    assert condition("a.label != 'x or y'").any_of == ((Comparison(Reference("a", "label"), "!=", "x or y"),),)
    with pytest.raises(FormatError, match="by == and !="):
        condition('a.label < "x"')


@pytest.mark.parametrize("text", ["", " ", "a", "a.x", "a.x <", "a.x < b.y", "a.x < 1 and", "a.x < 1 b.y > 2",
                                  "a.x < 1 xor b.y < 2", "(a.x < 1)", "__import__('os')",
                                  "a.x < 1; b", "a.x = 1", "not a.x < 1", "a.x < 1e", "a.x < 1.5.2"])  # fmt: skip
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(FormatError):
        condition(text)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text):
    for parse in (reference, sources, condition):
        with suppress(FormatError):
            parse(text)
