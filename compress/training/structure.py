"""A module that a pass changed, made again: the factory's own, with the pass's edits, its layers given the sizes of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from ...sdk.core.errors import FormatError
from .heads import Heads

Edit: TypeAlias = Mapping[str, Any]
"""{"kind": ..., "module": dotted name, ...}: a change that the shapes of weights do not tell."""


def with_edits(model: nn.Module, edits: Sequence[Edit]) -> nn.Module:
    """The model after these edits, in order; changed in place. Raises FormatError for an edit or module that does not exist."""
    for edit in edits:
        apply = EDITS.get(str(edit.get("kind")))
        if apply is None:
            raise FormatError("A package's training has an edit that this version does not know", got=edit.get("kind"),
                              expected=", ".join(EDITS))  # fmt: skip
        apply(model, edit)
    return model


def factored(first: nn.Module, rank: int) -> nn.Sequential:
    """Two layers of this rank in place of one, with fresh weights: Linear, or a convolution as (its kernel to rank) then (1 x 1 to out)."""
    bias = getattr(first, "bias", None) is not None
    if isinstance(first, nn.Linear):
        return nn.Sequential(nn.Linear(first.in_features, rank, bias=False), nn.Linear(rank, first.out_features, bias))
    if isinstance(first, nn.Conv1d | nn.Conv2d):
        whole = {key: getattr(first, key) for key in ("kernel_size", "stride", "padding", "dilation", "padding_mode")}
        kind = nn.Conv1d if isinstance(first, nn.Conv1d) else nn.Conv2d
        return nn.Sequential(kind(first.in_channels, rank, bias=False, **whole), kind(rank, first.out_channels, 1, bias=bias))
    raise FormatError("Only Linear, Conv1d and Conv2d can be factored", got=type(first).__name__)


def replaced(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module at a dotted name. Raises FormatError where there is none."""
    parent, _, own = name.rpartition(".")
    holder = found(model, parent)
    if own not in dict(holder.named_children()):
        raise FormatError("The model has no such module", got=name)
    setattr(holder, own, module)


def found(model: nn.Module, name: str) -> nn.Module:
    """The module of a dotted name; "" is the model. Raises FormatError."""
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        raise FormatError("The model has no such module", got=name) from error


def _factor(model: nn.Module, edit: Edit) -> None:
    replaced(model, edit["module"], factored(found(model, edit["module"]), int(edit["rank"])))


def _set(model: nn.Module, edit: Edit) -> None:
    setattr(found(model, edit["module"]), edit["name"], edit["value"])


def _drop(model: nn.Module, edit: Edit) -> None:
    replaced(model, edit["module"], nn.Identity())


def _fold(model: nn.Module, edit: Edit) -> None:
    biased(found(model, edit["module"]))
    replaced(model, edit["norm"], nn.Identity())


def _separate(model: nn.Module, edit: Edit) -> None:
    layer = found(model, edit["module"])
    if not isinstance(layer, nn.MultiheadAttention):
        raise FormatError("Only an nn.MultiheadAttention has heads to separate", got=f"{edit['module']}: {type(layer).__name__}")
    replaced(model, edit["module"], Heads.of(layer))


def biased(layer: nn.Module) -> None:
    """Give a layer a bias of zeros where it has none. Raises FormatError for what is no convolution or product."""
    weight = getattr(layer, "weight", None)
    if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) or not isinstance(weight, Tensor):
        raise FormatError("Only linear and convolutional layers take a norm in", got=type(layer).__name__)
    if layer.bias is None:
        layer.bias = nn.Parameter(torch.zeros(len(weight), dtype=weight.dtype, device=weight.device))


EDITS: dict[str, Callable[[nn.Module, Edit], None]] = {"low-rank": _factor, "set": _set, "drop": _drop, "fold": _fold,
                                                           "heads": _separate}  # fmt: skip
"""Kind -> what it does: factor a layer; set an attribute (a number of heads); put nothing in a module's place; give a layer the bias
that the norm behind it is folded into, and drop the norm; give an attention's queries, keys and values layers of their own."""


def with_weights(model: nn.Module, state: Mapping[str, Tensor], resize: bool = True) -> nn.Module:
    """The model with these weights, its layers resized to them; changed in place. Raises FormatError where they do not fit."""
    for name, module in model.named_modules() if resize else ():
        resized(module, {key: state[f"{name}.{key}" if name else key] for key in _own(module) if f"{name}.{key}".lstrip(".") in state})
    try:
        model.load_state_dict(dict(state))
    except RuntimeError as error:
        raise FormatError("The weights do not fit the module that the factory makes", got=str(error)[:300]) from error
    return model


def _own(module: nn.Module) -> list[str]:
    return [*(name for name, _ in module.named_parameters(recurse=False)), *(name for name, _ in module.named_buffers(recurse=False))]


def resized(module: nn.Module, own: Mapping[str, Tensor]) -> None:
    """Give one layer the shapes of its weights, and the attributes that follow from them."""
    for name, value in own.items():
        held = getattr(module, name)
        if held.shape == value.shape:
            continue
        fresh = torch.empty_like(value)
        setattr(module, name, nn.Parameter(fresh, held.requires_grad) if isinstance(held, nn.Parameter) else fresh)
    weight = own.get("weight")
    if weight is not None:
        _describe(module, weight)
    elif isinstance(module, nn.modules.batchnorm._BatchNorm) and "running_mean" in own:
        module.num_features = len(own["running_mean"])


def _describe(module: nn.Module, weight: Tensor) -> None:
    """Attributes by which a layer states its sizes."""
    sizes = weight.shape
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = sizes
    elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        depthwise = module.groups == module.in_channels and module.groups > 1
        module.groups = sizes[0] if depthwise else module.groups
        module.out_channels, module.in_channels = sizes[0], sizes[0] if depthwise else sizes[1] * module.groups
    elif isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        module.in_channels, module.out_channels = sizes[0], sizes[1] * module.groups
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.num_features = sizes[0]
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(sizes)
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = sizes[0]
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = sizes
