"""A module made narrower, and proof of it: it answers as the module in which nothing reads what went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..sdk.core.errors import PortsideError, UnsupportedError
from ..sdk.core.signature import Array
from .pruning_groups import Layout, layout, shrunk, silenced
from .training.structure import with_weights
from .tuning import tensors_of

TOLERANCE = 1e-3
"""Largest difference between the two, relative to the largest answer."""


def traced(model: nn.Module, features: tuple[Any, ...], keep: frozenset[str]) -> Layout:
    """The groups of a module; heads are among them where its code takes another number of heads.

    Raises UnsupportedError where it cannot be traced, or nothing can go.
    """
    found = layout(model, features, keep)
    split = [group.width > 1 for group in found.groups]
    if any(split):
        alive = [np.arange(group.size) < (max(1, group.size // 2) if own else group.size)
                 for group, own in zip(found.groups, split, strict=True)]  # fmt: skip
        try:
            narrowed(model, features, found, alive)
        except UnsupportedError:
            found = layout(model, features, keep, heads=False)
    if not found.groups:
        raise UnsupportedError("Nothing of the model can go", got="; ".join(f"{name}: {why}" for name, why in found.left.items())[:300])
    return found


def narrowed(model: nn.Module, features: tuple[Any, ...], found: Layout, alive: Sequence[Array]) -> nn.Module:
    """A narrower copy of a module.

    Args:
        model: in eval mode.
        features: of a few rows, to compare on.
        found: its groups.
        alive: one (units,) bool per group.

    Raises UnsupportedError where it does not run, or answers otherwise than it must: its code states a size that pruning changes.
    """
    state = {name: held for name, held in model.state_dict().items() if isinstance(held, Tensor)}
    expected = _answers(deepcopy(model), silenced(state, found.groups, alive), features)
    made = deepcopy(model)
    try:
        got = _answers(made, shrunk(state, found.groups, alive), features)
    except PortsideError:
        raise
    except Exception as error:  # the user's own code may raise anything; it is wrapped with its message
        raise UnsupportedError("The model does not run with fewer channels", got=f"{type(error).__name__}: {error}"[:300],
                               fix="Name the layers whose size its code states in keep=[...].") from error  # fmt: skip
    if not all(one.shape == two.shape and _near(one, two) for one, two in zip(got, expected, strict=True)):
        raise UnsupportedError("With fewer channels the model computes something else", got=f"{_apart(got, expected):.3g} apart",
                               expected="the answers of the same model with those channels unread",
                               fix="Name the layers whose size its code states in keep=[...].")  # fmt: skip
    return made


def _answers(model: nn.Module, state: Mapping[str, Tensor], features: tuple[Any, ...]) -> list[Tensor]:
    with_weights(model, state)
    with torch.no_grad():
        return list(tensors_of(model(*features)))


def _near(one: Tensor, two: Tensor) -> bool:
    return bool((one - two).abs().max() <= TOLERANCE * two.abs().max().clamp(min=1e-6)) if one.numel() else True


def _apart(got: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    pairs = [(one, two) for one, two in zip(got, expected, strict=True) if one.shape == two.shape]
    return max((float((one - two).abs().max()) for one, two in pairs), default=float("nan"))


def shapes(before: nn.Module, after: nn.Module) -> dict[str, list[list[int]]]:
    """Layer -> shapes of its weight before and after, where they differ."""
    one, two = ({name: list(held.shape) for name, held in model.state_dict().items()} for model in (before, after))
    return {name.removesuffix(".weight"): [one[name], two[name]] for name in one
            if name.endswith("weight") and len(one[name]) > 1 and one[name] != two[name]}  # fmt: skip
