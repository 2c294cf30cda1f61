"""Changes of inputs: arrays and lists, pictures and categories, and nothing changed in place."""

from __future__ import annotations

import numpy as np
import pytest

from portside.sdk.core.errors import InputError
from portside.sdk.core.expectations import Direction, Invariance, Perturbation
from portside.sdk.core.input_changes import changed, touched

PHOTOS = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3)).astype(np.uint8)
INPUTS = {
    "age": np.array([41, 30, 255, 7, 0], np.uint8), "income": np.array([1.0, np.nan, 3, 4, 5], np.float32),
    "city": np.array(["Paris", "Rome", "Oslo", "Paris", None], object), "photo": PHOTOS, "text": ["a", "b", None, "a", "c"],
    "sizes": [PHOTOS[0], PHOTOS[1][:2], PHOTOS[2], PHOTOS[3], PHOTOS[4]], "count": [1, 2, None, 4, 5],
}  # fmt: skip


def test_noise_is_of_the_given_size_repeatable_and_inside_the_dtype() -> None:
    held = {"x": np.zeros((2000, 3), np.float32), "n": np.zeros(2000, np.int64)}
    made = changed(Perturbation(0.5), held)
    assert made["x"].std() == pytest.approx(0.5, rel=0.05)
    assert made["x"].dtype == np.float32
    assert made["n"] is held["n"]
    assert np.array_equal(made["x"], changed(Perturbation(0.5), held)["x"])
    assert not np.array_equal(made["x"], changed(Perturbation(0.5, seed=1), held)["x"])
    photo = changed(Perturbation(40, fields=("photo",)), INPUTS)["photo"]
    assert (photo.dtype, photo.shape) == (np.uint8, PHOTOS.shape)
    assert not np.array_equal(photo, PHOTOS)


def test_noise_finds_numbers_and_pictures_by_itself() -> None:
    made = changed(Perturbation(5), INPUTS)
    assert {name for name in INPUTS if made[name] is not INPUTS[name]} == {"income", "photo", "sizes"}
    assert [row.shape for row in made["sizes"]] == [row.shape for row in INPUTS["sizes"]]


def test_numbers_are_rounded_and_kept_in_range_and_missing_stays_missing() -> None:
    assert changed(Invariance("age", add=10), INPUTS)["age"].tolist() == [51, 40, 255, 17, 10]
    assert changed(Invariance("age", scale=0.5), INPUTS)["age"].tolist() == [20, 15, 128, 4, 0]
    made = changed(Direction("income", "score", by=2), INPUTS)["income"]
    assert np.isnan(made[1])
    assert made[0] == 3
    assert np.isnan(changed(Direction("count", "score"), INPUTS)["count"][2])


def test_values_are_replaced_and_swapped() -> None:
    assert changed(Invariance("city", replace={"Paris": "Rome"}), INPUTS)["city"].tolist() == ["Rome", "Rome", "Oslo", "Rome", None]
    assert changed(Invariance("city", swap=("Paris", "Rome")), INPUTS)["city"].tolist() == ["Rome", "Paris", "Oslo", "Rome", None]
    assert changed(Invariance("text", swap=("a", None)), INPUTS)["text"] == [None, "b", "a", None, "c"]
    assert changed(Invariance("age", replace={41: 42}), INPUTS)["age"].tolist() == [42, 30, 255, 7, 0]
    texts = {"t": np.array(["a", "b"])}
    assert changed(Invariance("t", replace={"a": "longer"}), texts)["t"].tolist() == ["longer", "b"]


def test_pictures_are_mirrored() -> None:
    assert np.array_equal(changed(Invariance("photo", flip=1), INPUTS)["photo"], PHOTOS[:, :, ::-1])
    assert np.array_equal(changed(Invariance("sizes", flip=0), INPUTS)["sizes"][1], INPUTS["sizes"][1][::-1])


def test_a_function_gets_copies() -> None:
    def wild(inputs):
        inputs["photo"][:] = 0
        return {**inputs, "age": inputs["age"] + 1}

    before = PHOTOS.copy()
    made = changed(Invariance(change=wild), INPUTS)
    assert np.array_equal(PHOTOS, before)
    assert made["photo"].max() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        Invariance("absent", add=1), Invariance("city", add=1), Invariance("photo", flip=5), Invariance("city", flip=0),
        Perturbation(1, fields=("city",)), Direction("text", "y"), Invariance(change=lambda inputs: 5),
        Invariance(change=lambda inputs: {"age": 1}), Invariance(change=lambda inputs: {**inputs, "age": inputs["age"][:2]}),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_field_cannot_have_is_refused(wrong) -> None:
    with pytest.raises(InputError):
        changed(wrong, INPUTS)


def test_noise_needs_something_to_be_put_on() -> None:
    with pytest.raises(InputError, match="noise"):
        changed(Perturbation(1), {"text": ["a"]})


def test_touched_rows_are_those_that_differ() -> None:
    assert touched(INPUTS, changed(Invariance("city", swap=("Paris", "Nice")), INPUTS), 5).tolist() == [True, False, False, True, False]
    assert touched(INPUTS, changed(Invariance("income", scale=2), INPUTS), 5).tolist() == [True, False, True, True, True]
    assert touched(INPUTS, changed(Invariance(change=dict), INPUTS), 5).tolist() == [False] * 5
    assert touched(INPUTS, changed(Perturbation(5, fields=("sizes",)), INPUTS), 5).all()
