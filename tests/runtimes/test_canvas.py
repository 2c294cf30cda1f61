"""Images of any size: padding, sizes, and refusals that name the row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portside.runtimes.canvas import canvases, pad, pad_all, program_inputs
from portside.sdk.core.errors import InputError
from portside.sdk.core.signature import Signature, TensorSpec

PHOTO = TensorSpec("photo", "u8", ("batch", "photo_height", "photo_width", 3), canvas=(5, 7))
SIGNATURE = Signature((TensorSpec("age", "f32", ("batch",)), PHOTO), ())


def test_the_size_stands_after_its_canvas_at_the_rim():
    assert program_inputs(SIGNATURE) == ("age", "photo", "photo_size")
    assert canvases(SIGNATURE) == (PHOTO,)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 7)), min_size=1, max_size=4))
def test_every_image_lies_in_the_upper_left_corner(sizes):
    images = [np.full((*size, 3), 1 + row, np.uint8) for row, size in enumerate(sizes)]
    canvas, stated = pad(PHOTO, images)
    assert canvas.shape == (len(sizes), 5, 7, 3)
    assert stated.dtype == np.int32
    assert stated.tolist() == [list(size) for size in sizes]
    for row, (height, width) in enumerate(sizes):
        assert (canvas[row, :height, :width] == 1 + row).all()
        assert canvas[row].astype(int).sum() == (1 + row) * height * width * 3


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 3))
def test_an_array_of_one_size_pads_as_a_list_does(height, width, rows):
    images = np.random.default_rng(0).integers(0, 256, (rows, height, width, 3), dtype=np.uint8)
    for one, other in zip(pad(PHOTO, images), pad(PHOTO, list(images)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_full_canvas_is_not_copied():
    images = np.zeros((2, 5, 7, 3), np.uint8)
    assert pad(PHOTO, images)[0] is images


@pytest.mark.parametrize("size", [(6, 7), (5, 8), (0, 3)])
def test_an_image_that_does_not_fit_is_named(size):
    images = [np.zeros((5, 7, 3), np.uint8), np.zeros((*size, 3), np.uint8)]
    with pytest.raises(InputError) as caught:
        pad(PHOTO, images)
    assert (caught.value.field, caught.value.row) == ("photo", 1)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5,)])
def test_images_differ_in_size_only(shape):
    with pytest.raises(InputError, match="other axes") as caught:
        pad(PHOTO, [np.zeros((5, 7, 3), np.uint8), np.zeros(shape, np.uint8)])
    assert (caught.value.field, caught.value.row) == ("photo", 1)


def test_no_images_are_refused():
    with pytest.raises(InputError):
        pad(PHOTO, [])


def test_a_size_that_is_there_is_kept():
    given_size = np.array([[2, 3]], np.int32)
    padded = pad_all([PHOTO], {"photo": np.zeros((1, 5, 7, 3), np.uint8), "photo_size": given_size})
    assert padded["photo_size"] is given_size
