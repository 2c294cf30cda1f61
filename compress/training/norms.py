"""Statistics of batch norms, taken anew on data: after pruning they are those of another network.

Li et al., "EagleEye: Fast sub-net evaluation for efficient neural network pruning", ECCV 2020. A norm follows its batches slowly, by its
momentum: EfficientNet's moves by a hundredth a step, and after a short fine-tuning still has the means of the network that it was.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from ...sdk.core.signature import Array
from .batches import Batch

BATCH = 64
"""Rows at once, about: a variance within few rows is too small."""


def estimated(model: nn.Module, batches: Iterable[Batch]) -> int:
    """Take statistics anew, each batch counting alike; how many norms were changed, in place.

    Args:
        model: left in eval mode. A norm that its own `train()` keeps in eval mode stays as it is.
        batches: of two rows or more.
    """
    with counting(model) as norms:
        for batch in batches if norms else ():
            model(*batch.features)
    return len(norms)


@contextmanager
def counting(model: nn.Module) -> Generator[Sequence[nn.modules.batchnorm._BatchNorm]]:
    """The norms of a model that follow its batches, emptied and in train mode, alone; in eval mode afterwards, whatever happens."""
    model.train()
    norms = [held for held in model.modules() if isinstance(held, nn.modules.batchnorm._BatchNorm)
             and held.training and held.track_running_stats]  # fmt: skip
    momenta = [held.momentum for held in norms]
    model.eval()
    for held in norms:
        held.reset_running_stats()
        held.momentum = None
        held.train()
    try:
        with torch.no_grad():
            yield norms
    finally:
        for held, momentum in zip(norms, momenta, strict=True):
            held.momentum = momentum
        model.eval()


def parted(rows: Array) -> list[Array]:
    """Rows in batches of about `BATCH`, as equal as can be; one row alone makes none, as it has no variance."""
    return [np.asarray(part) for part in np.array_split(rows, max(1, len(rows) // BATCH))] if len(rows) > 1 else []
