"""Batch norms folded into the convolutions and products before them, so that training sees the weights that runtimes round.

y = g (W x + b - m) / s + c, with s the square root of variance and epsilon, is (g / s) W x + (g / s) (b - m) + c: in float nothing
changes (Jacob et al., 2018, section 3.2, with the statistics of the trained model).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..sdk.core.errors import UnsupportedError
from .qat_calls import CONVOLUTIONS, Call, Key, seen
from .training.structure import Edit, with_edits
from .tuning import tensors_of

FOLDED = 1e-3
"""Share of an answer's largest number that folding may move it by, which float rounding does: else it was no folding."""


def fold(model: nn.Module, features: tuple[Any, ...]) -> list[Edit]:
    """Fold what can be folded, in place; the edits that say so.

    Args:
        model: in eval mode.
        features: rows that it is run on, to see what follows what.

    Raises UnsupportedError where the answers change, as those of a model do that looks into its norms.
    """
    calls, answers = seen(model, features)
    edits: list[Edit] = [{"kind": "fold", "module": layer, "norm": norm} for layer, norm in _pairs(model, calls, answers)]
    for edit in edits:
        norm = cast("_BatchNorm", model.get_submodule(edit["norm"]))
        with_edits(model, [edit])
        _absorb(cast("nn.Linear", model.get_submodule(edit["module"])), norm)
    if edits:
        _check(model, features, answers)
    return edits


def _pairs(model: nn.Module, calls: Sequence[Call], answers: object) -> Iterator[tuple[str, str]]:
    """(layer, the norm that alone reads what it makes)."""
    makers = {id(call.made): call for call in calls}
    readers = Counter(id(held) for call in calls for held in call.reads) + Counter(id(held) for held in tensors_of(answers))
    once = Counter(call.key[:2] for call in calls)
    shared = Counter(id(held) for _, module in model.named_modules() for held in module.parameters(recurse=False))
    for call in calls:
        if call.key[1] != "batch_norm" or not call.reads:
            continue
        maker = makers.get(id(call.reads[0]))
        if maker is None or readers[id(maker.made)] != 1 or once[call.key[:2]] != 1 or once[maker.key[:2]] != 1:
            continue
        if _foldable(model, maker, call.key) and shared[id(maker.weight)] == 1:
            yield maker.key[0], call.key[0]


def _foldable(model: nn.Module, maker: Call, norm: Key) -> bool:
    """The layer counts its channels where the norm does, and both are plain modules with weights of their own."""
    layer, behind = model.get_submodule(maker.key[0]), model.get_submodule(norm[0])
    if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) or not isinstance(behind, _BatchNorm):
        return False
    kind = maker.key[1] in CONVOLUTIONS or (maker.key[1] == "linear" and maker.value.ndim == 2)
    own = layer._parameters.get("weight") is not None and not {"weight", "bias"} & set(behind._buffers)
    return kind and own and behind.running_mean is not None and behind.num_features == len(layer.weight)


def _absorb(layer: nn.Linear, norm: _BatchNorm) -> None:
    """In float64, so that one rounding remains."""
    mean, variance = (cast("Tensor", held).double() for held in (norm.running_mean, norm.running_var))
    gain = norm.weight.double() if norm.affine else torch.ones_like(mean)
    shift = norm.bias.double() if norm.affine else torch.zeros_like(mean)
    factor = gain / torch.sqrt(variance + norm.eps)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.double() * factor.reshape(-1, *(1,) * (layer.weight.ndim - 1)))
        layer.bias.copy_((layer.bias.double() - mean) * factor + shift)


def _check(model: nn.Module, features: tuple[Any, ...], before: object) -> None:
    fix = "Let the module call its norms, and read nothing of them."
    try:
        with torch.no_grad():
            after = list(tensors_of(model(*features)))
    except Exception as error:  # the user's own code may raise anything; it is wrapped with its message
        raise UnsupportedError("The model does not run after its norms were folded", got=f"{type(error).__name__}: {error}"[:300],
                               fix=fix) from error  # fmt: skip
    for one, other in zip(after, tensors_of(before), strict=True):
        apart = float((one - other).abs().max())
        if apart > FOLDED * float(other.abs().max()):
            raise UnsupportedError("The model answers otherwise after its norms were folded", got=f"{apart:.3g} apart", fix=fix)


def folded(edits: Sequence[Mapping[str, Any]]) -> list[str]:
    """The layers that took a norm in."""
    return [str(edit["module"]) for edit in edits]
