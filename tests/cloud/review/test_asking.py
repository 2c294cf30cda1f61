"""From a request to what a person sees: one row, pictures as they came, nothing that is redacted; and how each value is stored."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_reviews import PICTURE, PIXELS

from portside.cloud.review.asking import payload
from portside.cloud.review.payload import Sound, media_of, parts, value_of
from portside.sdk.core.codec.category import Categories
from portside.sdk.core.codec.codec import Codec
from portside.sdk.core.codec.image import Image
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

CODEC = Codec.of({"photo": Image(size=(4, 4)), "colour": Categories(["red", "blue"])})
SIGNATURE = Signature(
    (TensorSpec("photo", "u8", ("batch", 4, 4, 3)), TensorSpec("colour", "i32", ("batch",)), TensorSpec("size", "f32", ("batch", 2)),
     TensorSpec("across", "f32", (2, "batch"), batch_axis=1), TensorSpec("shared", "f32", (), batch_axis=None),
     TensorSpec("secret", "f32", ("batch",), redact=True), TensorSpec("home", "f32", ("batch",), stays_on_device=True),
     TensorSpec("code", "i32", ("batch",), categories=("x", "y")), TensorSpec("speech", "f32", ("batch", 4))),
    (TensorSpec("label", "i64", ("batch",)),),
)  # fmt: skip
WIRE = {
    "photo": [PICTURE, b64encode(PICTURE).decode()], "colour": ["red", None], "size": [[1, 2], [3, 4]],
    "across": np.float32([[1, 2], [3, 4]]), "shared": 7.0, "secret": [1.0, 2.0], "home": [1.0, 2.0], "code": [0, 1],
    "speech": [[0, 0, 0, 0], [0.5, -0.5, 0.5, -0.5]],
}  # fmt: skip


def test_a_row_is_shown_as_it_was_sent_without_what_is_hidden():
    held = payload(WIRE, CODEC.wire_fields(SIGNATURE), SIGNATURE, 1, {"speech": 16_000})
    assert set(held) == {"photo", "colour", "size", "across", "shared", "code", "speech"}
    assert held["photo"] == PICTURE and held["colour"] is None and held["size"] == [3, 4] and held["code"] == "y"
    assert held["across"].tolist() == [2, 4] and held["shared"] == 7.0
    assert held["speech"].rate == 16_000 and held["speech"].samples.tolist() == [0.5, -0.5, 0.5, -0.5]
    assert payload({"colour": ["red"]}, CODEC.wire_fields(SIGNATURE), SIGNATURE, 0) == {"colour": "red"}  # what was not sent is not shown


@pytest.mark.parametrize("value, kind", [
    (PICTURE, "image"), (PIXELS, "image"), (np.zeros((3, 20, 20), np.uint8), "image"), (np.zeros((20, 20, 3), np.uint8), "image"),
    (Sound(np.zeros(9, np.float32), 8000), "audio"), (b"RIFF\0\0\0\0WAVE", "audio"),
    (b"\0\1", "file"), ("red", "word"), ("long " * 20, "text"),
    ("two\nlines", "text"), (1, "number"), (1.5, "number"), (np.float32(1.5), "number"), (True, "number"), (None, "missing"),
    (float("nan"), "missing"), ([1, 2], "tensor"), (np.zeros(9, np.uint8), "tensor"),
    (np.zeros((2, 9), np.uint8), "tensor"), (np.zeros(9999), "tensor"),
    ({"a": 1}, "tensor"),
], ids=lambda value: value if isinstance(value, str) and len(value) < 9 and "\n" not in value else type(value).__name__)  # fmt: skip
def test_the_kind_is_found_from_the_value(value, kind):
    assert parts({"x": value})[0].kind == kind


NUMBERS = st.one_of(st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=60), st.binary(max_size=40), st.lists(st.integers(0, 9), max_size=5))


@given(st.dictionaries(st.text(max_size=8), PLAIN))
def test_every_plain_value_comes_back(held):
    assert {part.field: value_of(part) for part in parts(held)} == held


def test_the_same_content_has_the_same_digest_and_other_content_another():
    one, same, other = (parts({"x": value})[0].digest for value in (PICTURE, bytes(PICTURE), PICTURE + b"\0"))
    assert one == same != other and parts({"x": 1})[0].digest != parts({"x": 1.5})[0].digest


@pytest.mark.parametrize("value", [float("inf"), object(), [float("nan")]], ids=["infinite", "object", "nan in a list"])
def test_what_no_browser_can_be_told_is_refused(value):
    with pytest.raises(InputError, match="cannot be shown") as refused:
        parts({"x": value})
    assert refused.value.field == "x"


def test_types_are_told_by_the_first_bytes():
    known = {b"\xff\xd8\xff\xe0": "image/jpeg", b"GIF89a": "image/gif", b"RIFF1234WEBP": "image/webp", b"fLaC": "audio/flac"}
    known |= {b"<svg>": None, b"": None}
    assert {head: media_of(head) for head in known} == {head: media or "application/octet-stream" for head, media in known.items()}
