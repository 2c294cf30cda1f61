"""What can be picked, found among a model's outputs, and how pressing that makes a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.cloud.review.candidates import candidates_of, decided_output
from portside.cloud.review.candidates import given as given_by
from portside.cloud.review.item import Candidate
from portside.cloud.review.priority import RULES, UNKNOWN, priority
from portside.sdk.core.errors import FormatError, InputError
from portside.sdk.core.signature import Signature, TensorSpec

LABEL = TensorSpec("label", "i64", ("batch",), categories=("a", "b", "c"), kind="decision")
BINARY = TensorSpec("label", "i64", ("batch",), range=(0, 1), kind="decision")
SHARES = TensorSpec("probabilities", "f32", ("batch", 3), kind="score")


def told(signature, outputs, row=0, most=9):
    found = candidates_of({name: np.array(value) for name, value in outputs.items()}, signature, "label", row, most)
    return [(one.value, one.shown, None if one.probability is None else round(one.probability, 3)) for one in found]


def test_probabilities_order_the_names():
    outputs = {"label": [2, 1], "probabilities": np.float32([[0.2, 0.1, 0.7], [0.3, 0.4, 0.3]])}
    signature = Signature((), (LABEL, SHARES))
    assert told(signature, outputs) == [(2, "c", 0.7), (0, "a", 0.2), (1, "b", 0.1)]
    assert told(signature, outputs, row=1) == [(1, "b", 0.4), (0, "a", 0.3), (2, "c", 0.3)]


def test_the_models_own_answer_is_always_among_them():
    outputs = {"label": [1], "probabilities": np.float32([[0.6, 0.1, 0.3]])}  # a threshold of its own decided
    assert told(Signature((), (LABEL, SHARES)), outputs, most=2) == [(0, "a", 0.6), (1, "b", 0.1)]
    assert given_by({"label": np.array([1])}, Signature((), (LABEL,)), "label", 0) == 1


def test_one_number_is_the_probability_of_the_answer_or_of_the_second_class():
    confidence = TensorSpec("confidence", "f32", ("batch",), kind="score")
    score = TensorSpec("score", "f32", ("batch",), kind="score")
    sure = {"label": [1], "confidence": np.float32([0.8])}
    assert told(Signature((), (LABEL, confidence)), sure) == [(1, "b", 0.8), (0, "a", None), (2, "c", None)]
    assert told(Signature((), (BINARY, score)), {"label": [0], "score": np.float32([0.1])}) == [(0, "0", 0.9), (1, "1", 0.1)]
    assert told(Signature((), (BINARY, score)), {"label": [1], "score": np.float32([0.7])}) == [(1, "1", 0.7), (0, "0", 0.3)]


def test_without_probabilities_the_models_answer_is_first():
    assert told(Signature((), (LABEL,)), {"label": [2]}) == [(2, "c", None), (0, "a", None), (1, "b", None)]
    free = TensorSpec("label", "i64", ("batch",))
    assert told(Signature((), (free,)), {"label": [41]}) == [(41, "41", None)]


@pytest.mark.parametrize("spec, value, shown", [
    (TensorSpec("label", "f32", ("batch",), unit="mm"), np.float32([1.25]), "1.25 mm"),
    (TensorSpec("label", "string", ("batch",)), ["yes"], "yes"),
    (LABEL, [-1], "-1"),
], ids=["number", "text", "missing"])  # fmt: skip
def test_numbers_and_texts_are_one_candidate(spec, value, shown):
    assert [one[1] for one in told(Signature((), (spec,)), {"label": value})] == [shown]


def test_a_number_that_is_none_is_no_answer_to_pick():
    price = Signature((), (TensorSpec("label", "f32", ("batch",)),))
    assert told(price, {"label": np.float32([np.nan])}) == [] and given_by({"label": np.float32([np.nan])}, price, "label", 0) is None


def test_vectors_that_are_no_distribution_are_not_taken_for_one():
    for vector in ([0.2, 0.2, 0.2], [1.5, -0.5, 0.0], [0.5, 0.5]):
        outputs = {"label": [0], "probabilities": np.float32([vector])}
        assert all(one[2] is None for one in told(Signature((), (LABEL, SHARES)), outputs)), vector


def test_what_is_decided_is_the_decision_unless_it_is_hidden():
    price = TensorSpec("price", "f32", ("batch",))
    assert decided_output(Signature((), (price, LABEL))) == "label" and decided_output(Signature((), (price,))) == "price"
    with pytest.raises(InputError):
        decided_output(Signature((), (TensorSpec("x", "f32", ("batch",), redact=True),)))
    with pytest.raises(FormatError):
        candidates_of({}, Signature((), (LABEL,)), "other", 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.sampled_from(sorted(RULES)))
def test_every_rule_is_between_certain_and_unknown(shares, rule):
    total = sum(shares) or 1.0
    known = [Candidate(place, "", share / total) for place, share in enumerate(shares)]
    assert 0 <= priority(known, rule) <= 1 + 1e-9
    assert priority([Candidate(0, "", 1.0), Candidate(1, "", 0.0)], rule) == 0


def test_less_sure_is_more_pressing():
    even, clear = ([Candidate(0, "", share), Candidate(1, "", 1 - share)] for share in (0.5, 0.9))
    assert all(priority(even, rule) > priority(clear, rule) for rule in RULES)
    assert priority([], "margin") == priority([Candidate(0, "")], "margin") == UNKNOWN
