"""Attentions whose heads can go: each `nn.MultiheadAttention` of a module in layers of its own, where the module then answers the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from .layer_names import matches
from .training.heads import Heads, obstacle
from .training.structure import Edit, replaced
from .tuning import tensors_of

TOLERANCE = 1e-4
"""Largest difference that separating may make, relative to the largest answer."""


def separated(model: nn.Module, features: tuple[Any, ...], keep: Sequence[str] = ()) -> dict[str, nn.MultiheadAttention]:
    """Put `Heads` in the place of every attention that has several heads; changed in place.

    Args:
        model: in eval mode.
        features: of a few rows, to compare on.
        keep: names, patterns, or modules above them, that stay as they are.

    Returns:
        dict: name -> the attention that was there. One stays whose module does not run, or answers otherwise, without its one weight.
    """
    taken: dict[str, nn.MultiheadAttention] = {}
    names = [name for name, layer in model.named_modules()
             if name and obstacle(layer) is None and not any(matches(name, pattern) for pattern in keep)]  # fmt: skip
    expected = _answers(model, features) if names else []
    for name in names:
        layer = cast("nn.MultiheadAttention", model.get_submodule(name))
        if _shared(model, layer):
            continue
        replaced(model, name, Heads.of(layer))
        if _same(model, features, expected):
            taken[name] = layer
        else:
            replaced(model, name, layer)
    return taken


def joined(model: nn.Module, taken: Mapping[str, nn.MultiheadAttention]) -> list[Edit]:
    """Put attentions that lost nothing back, with the weights of now; the edits that make the module again with the others."""
    edits: list[Edit] = []
    for name, layer in taken.items():
        if cast("Heads", model.get_submodule(name)).into(layer):
            replaced(model, name, layer)
        else:
            edits.append({"kind": "heads", "module": name})
    return edits


def _shared(model: nn.Module, layer: nn.Module) -> bool:
    own = {id(held) for held in layer.parameters()}
    return sum(id(held) in own for _, held in model.named_parameters(remove_duplicate=False)) > len(own)


def _same(model: nn.Module, features: tuple[Any, ...], expected: Sequence[Tensor]) -> bool:
    try:
        got = _answers(model, features)
    except Exception:  # the user's own code may read what is not there any more; whatever it raises, the attention stays
        return False
    return len(got) == len(expected) and all(one.shape == two.shape and _near(one, two) for one, two in zip(got, expected, strict=True))


def _near(one: Tensor, two: Tensor) -> bool:
    both_nan = one.isnan() & two.isnan()
    apart = torch.where(both_nan, 0.0, one - two).abs()
    return bool(apart.max() <= TOLERANCE * two.nan_to_num().abs().max().clamp(min=1e-6)) if one.numel() else True


def _answers(model: nn.Module, features: tuple[Any, ...]) -> list[Tensor]:
    with torch.no_grad():
        return list(tensors_of(model(*features)))
