"""Resizing: along each axis, which numbers are read with which weights is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....sdk.core.signature import Array
from .call import Call
from .registry import operator


@dataclass(frozen=True)
class Axis:
    """One axis on its way from `size` to `out` numbers; `roi` is its region of interest."""

    size: int
    out: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)


@operator("Resize", "Upsample", host=(1, 2, 3))
def resize(call: Call, x: Tensor, *given: Array | None) -> Tensor:
    """Nearest, linear and cubic in every coordinate mode."""
    roi, scales, sizes = _given(call, given)
    axes = _axes(call, x, roi, scales, sizes)
    mode = _mode(call)
    if fast := _native(call, x, axes, mode):
        return fast()
    for axis, one in axes.items():
        if one.out != one.size or one.scale != 1 or mode != "half_pixel":
            x = _along(call, x, axis, one, mode)
    return x


def _given(call: Call, given: Sequence[Array | None]) -> tuple[Array | None, Array | None, Array | None]:
    """(roi, scales, sizes) from the inputs of any opset."""
    if call.type == "Upsample" or call.opset < 11:
        return None, given[0] if given else np.array(call.get("scales")), None
    filled = [value if value is not None and value.size else None for value in (*given, None, None, None)]
    return filled[0], filled[1], filled[2]


def _mode(call: Call) -> str:
    if call.type == "Upsample" or call.opset < 11:
        return "asymmetric"
    return call.get("coordinate_transformation_mode", "half_pixel")


def _axes(call: Call, x: Tensor, roi: Array | None, scales: Array | None, sizes: Array | None) -> dict[int, Axis]:
    along = [axis % x.ndim for axis in call.get("axes", range(x.ndim))]
    count = len(along)
    regions = [(0.0, 1.0)] * count if roi is None else [(float(roi[i]), float(roi[i + count])) for i in range(count)]
    if sizes is None:
        factors = [float(number) for number in np.asarray(scales).reshape(-1)]
        outs = [_scaled(x.shape[axis], factor, region, _mode(call)) for axis, factor, region in zip(along, factors, regions, strict=True)]
    else:
        outs = [int(number) for number in sizes]
        factors = [out / x.shape[axis] for axis, out in zip(along, outs, strict=True)]
        factors, outs = _kept(call.get("keep_aspect_ratio_policy", "stretch"), factors, outs, [x.shape[axis] for axis in along])
    return {axis: Axis(x.shape[axis], out, factor, region) for axis, out, factor, region in zip(along, outs, factors, regions, strict=True)}


def _scaled(size: int, factor: float, region: tuple[float, float], mode: str) -> int:
    length = size * (region[1] - region[0]) if mode == "tf_crop_and_resize" else size
    return int(np.floor(np.float32(length) * np.float32(factor)))


def _kept(policy: str, factors: list[float], outs: list[int], sizes: list[int]) -> tuple[list[float], list[int]]:
    """One factor for all axes where the policy says so."""
    if policy == "stretch":
        return factors, outs
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [factor] * len(factors), [int(np.floor(factor * size + 0.5)) for size in sizes]


def _native(call: Call, x: Tensor, axes: dict[int, Axis], mode: str) -> Callable[[], Tensor] | None:
    """Torch's own bilinear resize, which engines know, where it computes the same."""
    moved = {axis: one for axis, one in axes.items() if one.out != one.size}
    exact = all(abs(one.scale - one.out / one.size) < 1e-7 * one.scale for one in axes.values())
    aligned = mode == "align_corners"
    fits = call.get("mode", "nearest") == "linear" and x.ndim == 4 and set(moved) <= {2, 3} and x.is_floating_point()
    if not fits or not moved or call.get("antialias", 0) or not (aligned or (exact and mode == "half_pixel")):
        return None
    size = tuple(axes[axis].out if axis in axes else x.shape[axis] for axis in (2, 3))
    if aligned and 1 in size:
        return None
    return lambda: functional.interpolate(x, size=size, mode="bilinear", align_corners=aligned)


def _along(call: Call, x: Tensor, axis: int, one: Axis, mode: str) -> Tensor:
    places = coordinates(one, mode)
    kind = call.get("mode", "nearest")
    outside = (places < 0) | (places > one.size - 1) if mode == "tf_crop_and_resize" else np.zeros(one.out, np.bool_)
    if kind == "nearest":
        y = x.index_select(axis, call.tensor(nearest(places, one, call)))
    else:
        y = _mixed(call, x, axis, weights(places, one, call, kind))
    if not outside.any():
        return y
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    filler = torch.full_like(y, call.get("extrapolation_value", 0.0))
    return torch.where(call.tensor(outside.reshape(shape)), filler, y)


def _mixed(call: Call, x: Tensor, axis: int, matrix: Array) -> Tensor:
    """`matrix` (out, size) times one axis."""
    dtype = x.dtype
    wide = x if dtype.is_floating_point else x.to(torch.float32)
    table = call.tensor(matrix.astype(np.float64 if dtype == torch.float64 else np.float32)).to(wide.dtype)
    mixed = functional.linear(wide.movedim(axis, -1), table).movedim(-1, axis)
    if dtype.is_floating_point:
        return mixed
    limits = torch.iinfo(dtype)
    return torch.clamp(mixed, limits.min, limits.max).to(dtype)


def coordinates(one: Axis, mode: str) -> Array:
    """Where each of the `out` numbers lies on the axis; computed in float32 like engines do, because rounding decides ties."""
    size, out = np.float32(one.size), np.float32(one.out)
    at, scale, half = np.arange(one.out, dtype=np.float32), np.float32(one.scale), np.float32(0.5)
    start, end = np.array(one.roi, np.float32)
    middle = (at + half) / scale - half
    if mode == "asymmetric":
        places = at / scale
    elif mode == "align_corners":
        places = at * (size - 1) / max(out - 1, np.float32(1))
    elif mode == "pytorch_half_pixel":
        places = middle if one.out > 1 else np.zeros(1, np.float32)
    elif mode == "half_pixel_symmetric":
        places = (size / 2 * (1 - out / (scale * size)) + (at + half) / scale) - half
    elif mode == "tf_crop_and_resize":
        places = start * (size - 1) + at * (end - start) * (size - 1) / (out - 1) if one.out > 1 else half * (start + end) * (size - 1) + at
    else:
        places = middle
    return places.astype(np.float64)


def nearest(places: Array, one: Axis, call: Call) -> Array:
    """int64 places in the rounding that the node asks for."""
    if call.type == "Upsample" or call.opset < 11:
        rounded = np.floor(places) if one.scale >= 1 else np.ceil(places)
    else:
        kinds = {
            "round_prefer_floor": np.ceil(places - 0.5), "round_prefer_ceil": np.floor(places + 0.5),
            "floor": np.floor(places), "ceil": np.ceil(places),
        }  # fmt: skip
        rounded = kinds[call.get("nearest_mode", "round_prefer_floor")]
    return np.clip(rounded, 0, one.size - 1).astype(np.int64)


def weights(places: Array, one: Axis, call: Call, kind: str) -> Array:
    """(out, size) weights of linear or cubic interpolation, each row summing to one; float64."""
    cubic = kind == "cubic"
    stretch = max(1.0, 1 / one.scale) if call.get("antialias", 0) else 1.0
    reach = (2 if cubic else 1) * stretch
    low = np.floor(places - reach).astype(np.int64)[:, None]
    taps = low + np.arange(int(np.ceil(2 * reach)) + 2)
    distance = np.abs(taps - places[:, None]) / stretch
    weight = _cubic(distance, call.get("cubic_coeff_a", -0.75)) if cubic else np.maximum(1 - distance, 0)
    inside = (taps >= 0) & (taps < one.size)
    if call.get("exclude_outside", 0):
        weight = np.where(inside, weight, 0)
    weight = weight / weight.sum(1, keepdims=True)
    matrix = np.zeros((one.out, one.size))
    np.add.at(matrix, (np.arange(one.out)[:, None], np.clip(taps, 0, one.size - 1)), weight)
    return matrix


def _cubic(distance: Array, a: float) -> Array:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))
