"""Traits of training examples: those that records of the same rows would have, under the same names."""

from __future__ import annotations

import numpy as np
import pytest

from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.profile import Profile
from portside.sdk.core.profile_traits import MOST, traits_of
from portside.sdk.core.records import Record
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.traits import kept_kinds, traits
from portside.sdk.core.window import Window, packaged

SIGNATURE = Signature(
    (TensorSpec("photo", "u8", ("batch", 8, 8, 3)), TensorSpec("words", "string", ("batch",)), TensorSpec("x", "f32", ("batch", 2))),
    (TensorSpec("y", "f32", ("batch",)),),
)
RANDOM = np.random.default_rng(0)
TYPED = {"photo": RANDOM.integers(0, 255, (6, 8, 8, 3), np.uint8), "words": np.array(["a b", "c!", "", None, "é", "x y z"], object),
         "x": np.zeros((6, 2), np.float32)}  # fmt: skip


def test_they_are_what_windows_hold_of_the_same_rows() -> None:
    whole = Profile({**Profile.of({"x": TYPED["x"]}, SIGNATURE).fields, **traits_of(TYPED, TYPED, Codec(), SIGNATURE).fields})
    trained = packaged(Profile.from_bytes(whole.to_bytes()), SIGNATURE)
    records = [Record(f"r{row}", 1, 1, inputs={"x": [[0.0, 0.0]]}, features={"traits": {name: [values[row]] for name, values in traits(
        TYPED, kept_kinds(SIGNATURE)).items()}}) for row in range(6)]  # fmt: skip
    served = Window.of(records, signature=SIGNATURE).profile
    assert set(served.fields) == set(trained.fields) >= {"trait.photo.brightness", "trait.words.length", "in.x[0]"}
    for name, held in served.fields.items():
        other = trained.fields[name]
        assert (held.count, held.missing, held.low, held.high, held.mean) == pytest.approx(
            (other.count, other.missing, other.low, other.high, other.mean)
        )
        assert held.sketch.to_dict() == other.sketch.to_dict()


def test_nothing_of_what_is_redacted() -> None:
    hidden = SIGNATURE.edit("photo", redact=True).edit("words", stays_on_device=True)
    assert not traits_of(TYPED, TYPED, Codec(), hidden).fields


def test_many_rows_are_looked_at_in_part_and_from_first_to_last() -> None:
    lengths = np.array(["a" * (place % 7) for place in range(3 * MOST)], object)
    found = traits_of({"words": lengths}, {}, Codec(), SIGNATURE).fields["trait.words.length"]
    assert (found.count, found.low, found.high) == (MOST, 0, 6)


def test_an_input_named_like_a_trait_is_an_input() -> None:
    signature = Signature((TensorSpec("trait.x", "f32", ("batch",)),), ())
    assert list(packaged(Profile.of({"trait.x": np.zeros(3), "trait.y.length": np.zeros(3)}), signature).fields) == [
        "in.trait.x", "trait.y.length",
    ]  # fmt: skip
