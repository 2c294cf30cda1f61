"""Fake quantization: numbers rounded to int8 codes and back while a module is trained, gradients as if nothing was rounded.

The codes are those of `runtimes/precision/onnx_static.py`: weights symmetric, 127 levels of either sign, a scale per output channel or one;
activations uint8 with a zero point, one scale. A gradient passes where a number lies within the codes and stops where it is cut
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018).
Ranges of activations follow the batches as moving averages there; or they are learned with the weights, by what a wider range would do to
the loss (Esser et al., "Learned Step Size Quantization", ICLR 2020; with a zero point, Bhalgat et al., "LSQ+", CVPR workshops 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..runtimes.precision.onnx_schemes import LEVELS
from ..runtimes.precision.onnx_static import BIAS_LIMIT, LARGEST
from ..sdk.core.plan import Range
from .qat_calls import Calls, Key
from .qat_places import Places, Product

MOMENTUM = 0.05
"""How far a range moves towards a batch's in one step."""
STRETCH = 50.0
"""A side of a range is what calibration found times exp(STRETCH * parameter): at a learning rate of 4e-4 it moves by 2% a step."""
_OPERANDS = {"addmm": ((1, "mat1"), (2, "mat2"), (0, "input")), "mm": ((0, "input"), (1, "mat2"), (2, "")),
             "matmul": ((0, "input"), (1, "other"), (2, ""))}  # fmt: skip
_USUAL = ((0, "input"), (1, "weight"), (2, "bias"))
"""Function -> where its input, weight and bias stand, and what they are called."""


class _Through(torch.autograd.Function):
    """Round to codes and back; the gradient passes where nothing was cut."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, scale: Tensor, zero: int, lowest: int, highest: int) -> Tensor:  # type: ignore[override]
        codes = torch.round(value / scale) + zero
        ctx.save_for_backward((codes >= lowest) & (codes <= highest))
        return (codes.clamp(lowest, highest) - zero) * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None, None


class _Cut(torch.autograd.Function):
    """An activation to codes of a range and back; gradients of the sides say what a wider range would do."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, low: Tensor, high: Tensor) -> Tensor:  # type: ignore[override]
        number, zero = scale_of(float(low), float(high))
        scale = torch.tensor(number, dtype=value.dtype)
        steps = value / scale
        codes = torch.round(steps) + zero
        ctx.save_for_backward(codes < 0, codes > LEVELS, codes - zero - steps)
        return (codes.clamp(0, LEVELS) - zero) * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        under, over, rounding = ctx.saved_tensors
        cut, gradient = under | over, gradients[0]
        if not (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
            return gradient * ~cut, None, None
        gentle = 1 / sqrt(gradient.numel() * LEVELS)  # as many gradients as numbers meet in one side: Esser et al., section 2.2
        inside = float((gradient * rounding * ~cut).sum()) / LEVELS
        sides = (float(gradient[under].sum()) - inside, float(gradient[over].sum()) + inside)
        return gradient * ~cut, *(torch.tensor(side * gentle, dtype=torch.float64) for side in sides)


def scale_of(low: float, high: float) -> tuple[float, int]:
    """(scale, zero point) of a range, which is widened to hold zero: as the lowering finds them."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / LEVELS) or np.float32(1.0))
    return scale, int(np.clip(round(-low / scale), 0, LEVELS))


def rounded(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """An activation as uint8 codes of this range hold it; the sides, float64 scalars, get gradients too."""
    apply: Callable[..., Tensor] = _Cut.apply  # type: ignore[assignment]
    return apply(value, low, high)


def rounded_weight(weight: Tensor, axis: int | None, least: Tensor | None = None) -> Tensor:
    """A weight as int8 codes hold it.

    Args:
        weight: of any shape.
        axis: that keeps its scales apart; None: one scale.
        least: a scale is at least this, per index of `axis`.
    """
    held = weight.detach().abs()
    others = [place for place in range(weight.ndim) if axis is None or place != axis % weight.ndim]
    largest = held.amax(dim=others)
    scale = torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))
    if least is not None:
        scale = torch.maximum(scale, least if axis is not None else least.max())
    shape = [1 if place in others else -1 for place in range(weight.ndim)]
    return through(weight, scale.reshape(shape), 0, -LARGEST, LARGEST)


def through(value: Tensor, scale: Tensor, zero: int, lowest: int, highest: int) -> Tensor:
    """Codes and back, with straight-through gradients."""
    apply: Callable[..., Tensor] = _Through.apply  # type: ignore[assignment]
    return apply(value, scale, zero, lowest, highest)


class Ranges(nn.Module):
    """Ranges of the values that are rounded: learned, or following the batches of training; then they stand still.

    Args:
        seen: value -> extremes that calibration saw.
        chosen: value -> range that the calibration method made of them.
        moving: steps after which ranges stand still.
        learned: by gradients; else by moving averages of a batch's extremes, of which a range keeps the share that `chosen` has of `seen`.
    """

    def __init__(self, seen: Mapping[str, Range], chosen: Mapping[str, Range], moving: int, learned: bool = True) -> None:
        super().__init__()
        self._places = {name: place for place, name in enumerate(seen)}
        self._moving, self._learned = moving, learned
        extremes = torch.tensor([seen[name] for name in seen], dtype=torch.float64).reshape(-1, 2)
        held = torch.tensor([chosen[name] for name in seen], dtype=torch.float64).reshape(-1, 2)
        self._share = torch.where(extremes == 0, 1.0, held / torch.where(extremes == 0, 1.0, extremes))
        self.stretch = nn.Parameter(torch.zeros(len(seen), 2), learned)
        self.extremes: Tensor
        self.steps: Tensor
        self.register_buffer("extremes", extremes)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def of(self, name: str) -> Range:
        """The range of a value."""
        low, high = self._sides(name).detach().tolist()
        return low, high

    @property
    def frozen(self) -> bool:
        """The ranges stand still."""
        return int(self.steps) >= self._moving

    def stepped(self) -> None:
        """Count a step of training."""
        self.steps += 1

    def rounded(self, name: str, value: Tensor) -> Tensor:
        """The value in int8; moving averages move towards it first."""
        moves = self.training and not self.frozen
        if moves and not self._learned and value.numel():
            low, high = value.detach().aminmax()
            self.extremes[self._places[name]].lerp_(torch.stack((low, high)).double(), MOMENTUM)
        sides = self._sides(name)
        return rounded(value, *(sides if moves else sides.detach()))

    def _sides(self, name: str) -> Tensor:
        place = self._places[name]
        return self.extremes[place] * self._share[place] * torch.exp(STRETCH * self.stretch[place].double())


class Rounding(Calls):
    """A forward pass in which everything that a plan holds in int8 is rounded. To be entered around it.

    Args:
        model: is not changed.
        places: what is rounded where.
        ranges: of the activations.
        per_channel: weights have a scale per output channel.
    """

    def __init__(self, model: nn.Module, places: Places, ranges: Ranges, per_channel: bool = True) -> None:
        super().__init__(model)
        self._places, self._ranges, self._per_channel = places, ranges, per_channel

    def call(self, key: Key, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        product, value = self._places.products.get(key), self._places.results.get(key)
        if product is not None:
            args, kwargs = self._in_int8(product, key[1], args, kwargs)
        made = function(*args, **kwargs)
        return made if value is None or not isinstance(made, Tensor) else self._ranges.rounded(value, made)

    def _in_int8(self, product: Product, name: str, args: tuple[Any, ...],
                 kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], Mapping[str, Any]]:  # fmt: skip
        """The arguments with input and weight rounded, wherever the caller puts them."""
        held: dict[int | str, Any] = {**dict(enumerate(args)), **kwargs}
        at, weight, bias = (word if word in held else place for place, word in _OPERANDS.get(name, _USUAL))
        if product.enters:
            held[at] = self._ranges.rounded(product.reads, held[at])
        least = self._least(product, held.get(bias)) if product.biased else None
        held[weight] = rounded_weight(held[weight], product.axis if self._per_channel else None, least)
        return tuple(held[place] for place in range(len(args))), {word: held[word] for word in kwargs}

    def _least(self, product: Product, bias: Tensor | None) -> Tensor | None:
        """Scales at which a bias, at the product of scales, has a code."""
        if bias is None:
            return None
        return bias.detach().abs() / (BIAS_LIMIT * scale_of(*self._ranges.of(product.reads))[0])
