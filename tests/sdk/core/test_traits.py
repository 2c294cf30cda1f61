"""Traits: what they measure, and that no row can break them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.sdk.core.codec.step import WireField
from portside.sdk.core.signature import Signature, TensorSpec
from portside.sdk.core.traits import FLOOR_DBFS, NAMES, trait_kinds, traits

RANDOM = np.random.default_rng(0)


def one(kind: str, row: object, trait: str) -> float | None:
    return traits({"x": [row]}, {"x": kind})[f"x.{trait}"][0]  # type: ignore[dict-item]


def test_pictures_say_how_bright_contrasty_sharp_and_large_they_are() -> None:
    board = np.indices((40, 60)).sum(0) % 2 * 255
    found = traits({"photo": [board.astype(np.uint8)]}, {"photo": "image"})
    assert found["photo.brightness"] == pytest.approx([0.5], abs=1e-6)
    assert found["photo.contrast"] == pytest.approx([0.5], abs=1e-6)
    assert (found["photo.width"], found["photo.height"]) == ([60.0], [40.0])
    smooth = np.tile(np.linspace(0, 255, 60), (40, 1)).astype(np.uint8)
    assert one("image", board.astype(np.uint8), "sharpness") > 100 * one("image", smooth, "sharpness")  # type: ignore[operator]


def test_channels_stand_in_front_or_behind_and_bytes_are_shares() -> None:
    bytes_last = RANDOM.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    floats_first = np.moveaxis(bytes_last, 2, 0) / np.float32(255)
    for trait in NAMES["image"]:
        assert one("image", bytes_last, trait) == pytest.approx(one("image", floats_first, trait), rel=1e-4)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert one("image", red, "brightness") == pytest.approx(0.299, abs=1e-6)


def test_large_pictures_are_looked_at_in_part() -> None:
    large = RANDOM.normal(0.5, 0.1, (1500, 2000)).astype(np.float32)
    assert one("image", large, "brightness") == pytest.approx(float(large.mean()), abs=0.003)
    assert one("image", large, "width") == 2000


def test_texts_say_how_long_they_are_and_how_many_letters_are_none() -> None:
    found = traits({"mail": ["Hé llo 12!", "", None]}, {"mail": "text"})
    assert found["mail.length"] == [10, 0, None]
    assert found["mail.words"] == [3, 0, None]
    assert found["mail.non_letters"] == [pytest.approx(0.3), 0.0, None]


def test_audio_says_how_loud_silent_and_clipped_it_is() -> None:
    loud = np.sin(np.arange(16_000) / 5).astype(np.float32)
    half_silent = np.concatenate([np.zeros(8000), loud[:8000]]).astype(np.float32)
    assert one("audio", loud, "loudness_dbfs") == pytest.approx(-3.01, abs=0.01)
    assert one("audio", half_silent, "silence") == pytest.approx(0.5, abs=0.01)
    assert one("audio", np.clip(loud * 5, -1, 1), "clipping") > 0.5  # type: ignore[operator]
    assert one("audio", np.zeros(100, np.float32), "loudness_dbfs") == FLOOR_DBFS
    assert one("audio", (loud * 32767).astype(np.int16), "loudness_dbfs") == pytest.approx(-3.01, abs=0.01)


SHAPES = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 5))
ROWS = st.one_of(st.none(), st.text(), st.binary(), st.floats(), st.lists(st.floats(), max_size=3),
                 SHAPES.map(lambda shape: np.zeros(shape, np.float32)))  # fmt: skip


@given(st.lists(ROWS, max_size=4), st.sampled_from(["image", "text", "audio"]))
def test_any_row_gives_numbers_or_none(rows: list[object], kind: str) -> None:
    found = traits({"x": rows}, {"x": kind})  # type: ignore[dict-item]
    assert list(found) == [f"x.{trait}" for trait in NAMES[kind]]  # type: ignore[index]
    for values in found.values():
        assert len(values) == len(rows)
        assert all(value is None or np.isfinite(value) for value in values)


def test_fields_that_are_not_there_are_left_out() -> None:
    assert traits({"y": [1]}, {"x": "text"}) == {}


def test_kinds_are_told_from_the_signature_and_what_callers_send() -> None:
    signature = Signature(
        (TensorSpec("photo", "u8", ("batch", 300, 300)), TensorSpec("scan", "f32", ("batch", 3, 8, 8)),
         TensorSpec("ids", "i32", ("batch", "n")),
         TensorSpec("note", "string", ("batch",)), TensorSpec("colour", "string", ("batch",), categories=("red",)),
         TensorSpec("audio", "f32", ("batch", 16000)), TensorSpec("age", "f32", ("batch",))), ())  # fmt: skip
    fields = (
        WireField("scan", "image", False, ("scan",)),
        WireField("mail", "text", False, ("ids",)),
        WireField("age", "number", False, ("age",)),
    )
    assert trait_kinds(signature, fields) == {"photo": "image", "scan": "image", "note": "text", "mail": "text", "audio": "audio"}
    assert trait_kinds(signature) == {"photo": "image", "note": "text", "audio": "audio"}
