"""Single weights set to zero, the smallest first, and held there while training goes on (Han et al., NeurIPS 2015)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

REMARK = "Zeros in weights of full size: no target answers faster, and the file is as large as before; only a zipped download is smaller."


def masks(model: nn.Module, keep: frozenset[str], share: float) -> dict[str, Tensor]:
    """Name of a weight -> bool, what stays: the largest of all, so that `share` of the model's is left.

    Args:
        model: its Linear, convolution and embedding weights are looked at.
        keep: modules that stay whole.
        share: of those weights that is left.
    """
    weights = {f"{name}.weight".lstrip("."): layer.weight.detach() for name, layer in model.named_modules() if name not in keep
               and isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Embedding)}  # fmt: skip
    if not weights:
        return {}
    sizes = torch.cat([held.abs().flatten() for held in weights.values()])
    gone = round(len(sizes) * (1 - share))
    threshold = sizes.kthvalue(gone).values if gone else sizes.new_tensor(-1.0)
    return {name: held.abs() > threshold for name, held in weights.items()}


def holder(model: nn.Module, held: Mapping[str, Tensor]) -> Callable[[], None]:
    """A function that sets what does not stay to zero, now and after every step of training."""
    parameters = {name: value for name, value in model.named_parameters(remove_duplicate=False) if name in held}

    def hold() -> None:
        with torch.no_grad():
            for name, value in parameters.items():
                value.mul_(held[name])

    return hold


def zipped_bytes(data: bytes) -> int:
    """What a download of these weights weighs, deflated."""
    return len(zlib.compress(data, 6))
