"""How sure an answer is: every way of saying it, and what does not fit."""

import numpy as np
import pytest

from portside.cloud.automating.score import Score, fitting, parse, usual
from portside.sdk.core.errors import FormatError
from portside.sdk.core.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (),
    (
        TensorSpec("label", "i64", ("batch",)),
        TensorSpec("defect", "f32", ("batch",)),
        TensorSpec("probabilities", "f32", ("batch", 3)),
        TensorSpec("whole", "f32", (3,), batch_axis=None),
    ),
)
OUTPUTS = {"defect": np.array([0.1, 0.7, np.nan], np.float32), "probabilities": np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05]])}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("defect", [0.1, 0.7]), ("either(defect)", [0.9, 0.7]), ("top(probabilities)", [0.5, 0.9]),
        ("margin(probabilities)", [0.2, 0.85]),
    ],
)  # fmt: skip
def test_scores(text, values):
    score = fitting(parse(text), SIGNATURE)
    assert score.of(OUTPUTS)[:2] == values and str(score) == text


def test_not_a_number_stays_not_a_number():
    assert np.isnan(parse("either(defect)").of(OUTPUTS)[2])
    assert np.isnan(parse("margin(p)").of({"p": np.array([[np.nan, 0.5]])})[0])
    assert parse("margin(p)").of({"p": np.array([[0.4]])}) == [0.4]


def test_floats_of_models_are_the_numbers_of_records():
    """float32 0.95 is 0.949999988; in a record it is 0.95. Both reach a threshold of 0.95."""
    assert parse("p").of({"p": np.array([0.95], np.float32)}) == parse("p").of({"p": [0.95]}) == [0.95]


@pytest.mark.parametrize("text", ["p", "either(p)"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_rows_and_many_have_the_same_scores(text, dtype):
    held = np.array([0.1, 0.95, 0.5, 1.0, 0.0, np.nan, 0.123456789] * 5, dtype)
    many = parse(text).of({"p": held})
    few = [score for start in range(0, 35, 7) for score in parse(text).of({"p": held[start : start + 7]})]
    assert np.array_equal(many, few, equal_nan=True)


@pytest.mark.parametrize("text", ["", "top(", "nope(defect)", "top(defect", "a b", "top(a)(b)"])
def test_what_is_no_score(text):
    with pytest.raises(FormatError, match="no score"):
        parse(text)


@pytest.mark.parametrize("text", ["nope", "label", "top(defect)", "probabilities", "whole", "either(probabilities)"])
def test_a_score_fits_its_output(text):
    with pytest.raises(FormatError, match="score"):
        fitting(parse(text), SIGNATURE)


def test_outputs_may_speak_for_themselves():
    assert usual(SIGNATURE) == Score("probabilities", "top")
    confidence = TensorSpec("confidence", "f32", ("batch",))
    assert usual(Signature((), (confidence,))) == Score("confidence")
    for outputs in ((), SIGNATURE.outputs[:2], (confidence, SIGNATURE.outputs[2])):
        with pytest.raises(FormatError, match="do not say"):
            usual(Signature((), tuple(outputs)))
