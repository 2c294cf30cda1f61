"""How far a student's layers are from a teacher's: the squared error through a learned projection, in units of the teacher's variance.

Romero et al., "FitNets: Hints for thin deep nets", ICLR 2015; Sun et al., "Patient knowledge distillation for BERT model compression",
EMNLP 2019. A projection stands only where widths differ: a layer as wide as the teacher's can answer as it does, and a projection would
take on a part of what the layer should learn. It begins as the ridge regression from the one to the other, so that the gradients of the
first steps are about what the student lacks. It reads features divided by the root of their number: an adaptive optimizer moves every
weight by the learning rate, and of a thousand inputs of size 1 a step would move the answer by as much as there is to learn. It is
dropped after training.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..sdk.core.errors import InputError
from .feature_pairs import Pair
from .tuning import tensors_of

VECTORS = 4096
"""Of each layer that scales and projections begin with."""
RIDGE, FLOOR = 0.01, 0.01
"""Of the regression, as a share of a feature's variance; least variance of a feature, as a share of the mean one: dead ones have none."""
_POOLS: dict[int, Callable[[Tensor, Any], Tensor]] = {
    1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d, 3: functional.adaptive_avg_pool3d,
}  # fmt: skip


@contextmanager
def seen(model: nn.Module, names: Iterable[str]) -> Generator[dict[str, Tensor]]:
    """Name -> what these layers answer while the block runs; copies, as a layer behind may write into its input."""
    taken: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        def keep(module: nn.Module, _: object, answer: object) -> None:
            taken[name] = next(tensors_of(answer)).clone()

        return keep

    hooks = [model.get_submodule(name).register_forward_hook(watch(name)) for name in dict.fromkeys(names)]
    try:
        yield taken
    finally:
        for hook in hooks:
            hook.remove()


def vectors(pair: Pair, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """(places, features) of both, place by place: larger maps are averaged to the smaller size."""
    one, two = own.movedim(pair.own, 1), other.movedim(pair.other, 1)
    if one.shape[2:] != two.shape[2:]:
        size = tuple(map(min, one.shape[2:], two.shape[2:]))
        one, two = (_POOLS[len(size)](held, size) for held in (one, two))
    return one.movedim(1, -1).flatten(0, -2), two.movedim(1, -1).flatten(0, -2)


class Distance(nn.Module):
    """(places, own width), (places, other's width) -> the mean squared error, as a share of the variance of each of the other's features.

    Args:
        own, other: (places, width) of both, what units and the projection are found on.

    Raises InputError where the other never varies.
    """

    own_mean: Tensor
    own_scale: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, own: Tensor, other: Tensor) -> None:
        super().__init__()
        alike = own.shape[1] == other.shape[1]
        for name, held in {"own_": other if alike else own, "": other}.items():
            middle, scale = units(held)
            self.register_buffer(f"{name}mean", middle)
            self.register_buffer(f"{name}scale", scale)
        self.projection = None if alike else self._begun(own, other)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """The distance, a scalar: 0 is the same, 1 no nearer than the mean."""
        made = (own - self.own_mean) / self.own_scale
        made = made if self.projection is None else self.projection(made / own.shape[1] ** 0.5)
        return functional.mse_loss(made, (other - self.mean) / self.scale)

    def _begun(self, own: Tensor, other: Tensor) -> nn.Linear:
        made = cast("nn.Linear", nn.utils.skip_init(nn.Linear, own.shape[1], other.shape[1]))
        one, two = (own - self.own_mean) / self.own_scale, (other - self.mean) / self.scale
        with torch.no_grad():
            made.weight.copy_(regressed(one.double(), two.double()).T * own.shape[1] ** 0.5)
            made.bias.zero_()
        return made


def units(held: Tensor) -> tuple[Tensor, Tensor]:
    """(mean, deviation) of each feature of (places, width). Raises InputError where nothing varies."""
    variance = held.double().var(0, correction=0)
    if not float(variance.mean()) > 0:
        raise InputError("A layer's answers never vary on these rows, so nothing can be learned from them", field="features",
                         fix="Name other layers, or give more rows.")  # fmt: skip
    return held.double().mean(0).float(), variance.clamp(min=FLOOR * float(variance.mean())).sqrt().float()


def regressed(one: Tensor, two: Tensor) -> Tensor:
    """(width of one, width of two): the ridge regression of standardised vectors."""
    count, width = one.shape
    if width <= count:
        return torch.linalg.solve(one.T @ one + RIDGE * count * torch.eye(width, dtype=one.dtype), one.T @ two)
    return one.T @ torch.linalg.solve(one @ one.T + RIDGE * count * torch.eye(count, dtype=one.dtype), two)


def thinned(both: tuple[Tensor, Tensor], most: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """At most so many places of both, the same, by chance: every n-th would be a column of a map."""
    places = torch.from_numpy(random.permutation(len(both[0]))[: max(1, most)])
    return both[0][places], both[1][places]


def distances(parts: Sequence[Sequence[tuple[Tensor, Tensor]]]) -> nn.ModuleList:
    """One distance a pair, from the vectors of several batches: pair by pair, batch by batch."""
    return nn.ModuleList(Distance(*(torch.cat(held) for held in zip(*part, strict=True))) for part in parts)
