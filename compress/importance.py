"""How much each unit matters: from its weights, its batch norms' scales, or what the loss would lose on data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ..sdk.core.errors import UnsupportedError
from ..sdk.core.signature import Array
from .pruning_groups import Group, Member
from .training.batches import Batch
from .training.fit import Objective

Importance: TypeAlias = Literal["l1", "l2", "taylor", "bn-scale", "random"]
IMPORTANCES: tuple[str, ...] = get_args(Importance)
Scores: TypeAlias = "list[Array | None]"
"""One (units,) float64 array per group; None: the group has no such score and stays."""


def by_weights(groups: Sequence[Group], state: Mapping[str, Tensor], power: int) -> Scores:
    """Mean size of a unit's weights, in all layers that make or read it, each relative to its axis' mean.

    Li et al., "Pruning filters for efficient ConvNets", ICLR 2017 (l1); coupled layers count together as in Fang et al., "DepGraph",
    CVPR 2023.
    """
    return [_mean([_sizes(held, state[held.tensor], power, group.size) for held in group.members if held.role in ("makes", "reads")])
            for group in groups]  # fmt: skip


def by_norms(groups: Sequence[Group], state: Mapping[str, Tensor]) -> Scores:
    """Mean size of the scales of a unit's batch norms (Liu et al., "Network slimming", ICCV 2017).

    Raises UnsupportedError where no group has a batch norm.
    """
    scales = [[held for held in group.members if held.role == "scales"] for group in groups]
    if not any(scales):
        raise UnsupportedError("There is no batch norm to rank channels by", got="bn-scale", fix='Use importance="l2" or "taylor".')
    return [_mean([_sizes(held, state[held.tensor], 1, group.size) for held in own]) if own else None
            for group, own in zip(groups, scales, strict=True)]  # fmt: skip


def at_random(groups: Sequence[Group], seed: Sequence[int]) -> Scores:
    """A baseline."""
    random = np.random.default_rng(seed)
    return [random.random(group.size) for group in groups]


def by_taylor(groups: Sequence[Group], model: nn.Module, batches: Iterable[Batch], loss: Objective) -> Scores:
    """Squared first-order change of the loss if nothing read a unit, over batches.

    Molchanov et al., "Importance estimation for neural network pruning", CVPR 2019. Taken at the layers that read the unit: their columns
    going is what pruning does, whatever norms and activations stand between. Relative to the group's mean: left as it is, whole layers with
    small slopes went first, and their models did not recover.
    """
    names = {held.tensor for group in groups for held in group.members if held.role == "reads"}
    parameters = {name: held for name, held in model.named_parameters() if name in names}
    found = [np.zeros(group.size) for group in groups]
    with torch.enable_grad():
        for batch in batches:
            slopes = torch.autograd.grad(loss(batch), list(parameters.values()), allow_unused=True, materialize_grads=True)
            changes = {name: (held * slope).detach() for (name, held), slope in zip(parameters.items(), slopes, strict=True)}
            for score, group in zip(found, groups, strict=True):
                score += sum(_summed(held, _along(changes[held.tensor], held.axis, torch.sum), group.size) for held in group.members
                             if held.role == "reads") ** 2  # fmt: skip
    return [score / max(float(score.mean()), 1e-30) for score in found]


def _sizes(held: Member, tensor: Tensor, power: int, units: int) -> Array:
    """(units,) mean size of the weights along an axis, relative to the mean of all."""
    sizes = _along(tensor.detach().double().abs() ** power, held.axis, torch.mean)
    summed = _summed(held, sizes, units) / np.maximum(1, np.bincount(held.units[held.units >= 0], minlength=units))
    return summed / max(float(summed.mean()), 1e-30)


def _along(tensor: Tensor, axis: int, over: Callable[..., Tensor]) -> Array:
    """(size of the axis,) reduced over all others."""
    return over(tensor.movedim(axis, 0).flatten(1), 1).numpy().astype(np.float64) if tensor.ndim > 1 else tensor.numpy().astype(np.float64)


def _summed(held: Member, values: Array, units: int) -> Array:
    own = held.units >= 0
    return np.bincount(held.units[own], values[own], minlength=units)


def _mean(parts: Sequence[Array]) -> Array:
    return np.mean(np.stack(parts), axis=0)
