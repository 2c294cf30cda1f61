"""Image operations against PIL, and traced: fixed sizes, and images of any size on a canvas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from portside.runtimes.canvas import to_canvas
from portside.runtimes.importers import image_ops
from portside.runtimes.importers.dispatch import import_model
from portside.runtimes.importers.program import ImportOptions
from portside.sdk.core.errors import InputError, TraceError

RNG = np.random.default_rng(0)


class Canvas:
    max = (40, 50)


class Mean(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def by_pil(plane, size):
    """PIL's antialiased bilinear resize in float, which does not round."""
    return np.asarray(Image.fromarray(plane.astype(np.float32), mode="F").resize((size[1], size[0]), Image.Resampling.BILINEAR))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_resize_is_pils_without_rounding(height, width, out_height, out_width):
    image = RNG.integers(0, 255, (1, height, width), dtype=np.uint8)
    found = image_ops.resize(torch.from_numpy(image), (out_height, out_width)).numpy()[0]
    np.testing.assert_allclose(found, by_pil(image[0], (out_height, out_width)), atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 50)), min_size=1, max_size=4), st.integers(1, 30), st.integers(1, 30))
def test_the_canvas_form_equals_resizing_each_image(sizes, out_height, out_width):
    images = [RNG.integers(0, 255, (height, width, 3), dtype=np.uint8) for height, width in sizes]
    canvas, extent = to_canvas(images, Canvas.max, "photo")
    canvas[:] += np.where(np.arange(40)[None, :, None, None] >= extent[:, 0].reshape(-1, 1, 1, 1), 77, 0).astype(np.uint8)
    found = image_ops.resize_canvas(torch.from_numpy(canvas), torch.from_numpy(extent), (out_height, out_width)).numpy()
    for row, image in enumerate(images):
        expected = image_ops.resize(torch.from_numpy(image[None]), (out_height, out_width)).numpy()[0]
        np.testing.assert_allclose(found[row], expected, atol=1e-3)


def test_a_fixed_resize_traces_to_constants(run_program):
    def featurize(photo):
        small = image_ops.resize(photo, (8, 8))
        return image_ops.channels_first(image_ops.normalise(small, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)))

    examples = {"photo": RNG.integers(0, 255, (3, 20, 30, 3), dtype=np.uint8)}
    program = import_model(Mean(), ImportOptions(examples=examples, featurize=featurize))
    np.testing.assert_allclose(run_program(program, examples)["output"], program.source(examples)["output"], atol=1e-5)
    assert b"Resize" not in program.files["program/00-main.onnx"]


def test_images_of_any_size_on_a_canvas(run_program):
    def featurize(photo, photo_size):
        small = image_ops.resize_canvas(photo, photo_size, (8, 8))
        return image_ops.channels_first(image_ops.crop(small, (6, 6)) / 255)

    images = [RNG.integers(0, 255, (height, width, 3), dtype=np.uint8) for height, width in ((20, 30), (40, 50), (7, 3))]
    program = import_model(Mean(), ImportOptions(examples={"photo": images}, featurize=featurize, image={"photo": Canvas}))
    (spec,) = program.signature.inputs
    assert spec.canvas == (40, 50) and spec.name == "photo"
    assert spec.shape == ("batch", "photo_height", "photo_width", 3)
    assert program.stages[0].inputs == ("photo", "photo_size")
    canvas, extent = to_canvas(images, Canvas.max, "photo")
    found = run_program(program, {"photo": canvas, "photo_size": extent})
    np.testing.assert_allclose(found["output"], program.source({"photo": images})["output"], atol=1e-5)


def test_an_example_larger_than_its_canvas_names_the_row():
    images = [np.zeros((4, 4, 3), np.uint8), np.zeros((41, 4, 3), np.uint8)]
    with pytest.raises(InputError) as caught:
        import_model(Mean(), ImportOptions(examples={"photo": images}, featurize=lambda photo, photo_size: photo, image={"photo": Canvas}))
    assert caught.value.field == "photo" and caught.value.row == 1


def test_crop_stays_inside():
    image = torch.arange(2 * 6 * 6).reshape(2, 6, 6)
    assert image_ops.crop(image, (2, 2)).tolist()[0] == [[14, 15], [20, 21]]
    assert image_ops.crop(image, (2, 3), at=(0, 1)).shape == (2, 2, 3)
    with pytest.raises(TraceError, match="leaves the image"):
        image_ops.crop(image, (7, 2))


def test_normalise_and_channels_first():
    image = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)
    found = image_ops.normalise(image, (0.5, 0.5, 0.0), (0.5, 0.25, 1.0))
    assert found[0, 0, 0].tolist() == [1.0, 2.0, 1.0]
    assert image_ops.channels_first(found).shape == (1, 3, 2, 2)
    assert image_ops.channels_first(image[..., 0]).shape == (1, 1, 2, 2)
