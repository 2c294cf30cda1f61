"""Resizing in every coordinate mode, rounding and size rule."""

import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1, 2, 5, 6)).astype(np.float32)
COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"]


def scales(*numbers):
    return {2: np.array(numbers, np.float32)}


def sizes(*numbers):
    return {3: np.array(numbers, np.int64)}


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("given", [scales(1, 1, 2, 3), scales(1, 1, 0.7, 0.5), sizes(1, 2, 8, 4)])
def test_nearest(same, coordinates, rounding, given):
    same("Resize", [X], constants=given, mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=rounding, opset=19)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("given", [scales(1, 1, 2, 3), scales(1, 1, 1.7, 0.5), sizes(1, 2, 8, 4)])
def test_interpolation(same, coordinates, mode, given):
    same("Resize", [X], constants=given, mode=mode, coordinate_transformation_mode=coordinates, opset=19)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialias(same, mode):
    same("Resize", [X], constants=sizes(1, 2, 3, 2), mode=mode, antialias=1, tolerance=2e-5)


def test_cubic_without_the_outside(same):
    same("Resize", [X], constants=sizes(1, 2, 8, 4), mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)


def test_crop(same):
    region = {1: np.array([0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2], np.float32), **sizes(1, 2, 4, 4)}
    how = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
    same("Resize", [X], constants=region, mode="linear", **how)


def test_some_axes(same):
    same("Resize", [X], constants={3: np.array([8, 4])}, axes=[2, 3], mode="linear")


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_aspect_ratio(same, policy):
    same("Resize", [X], constants={3: np.array([8, 8])}, axes=[2, 3], mode="linear", keep_aspect_ratio_policy=policy)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(same, mode):
    same("Upsample", [X], constants={1: np.array([1, 1, 2, 3], np.float32)}, mode=mode, opset=9)


def test_nearest_of_integers(same):
    same("Resize", [(X * 50).astype(np.uint8)], constants=sizes(1, 2, 8, 4), mode="nearest")
