"""Losses by name: (what the model returns, labels) -> scalar. A user's own function has the same form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as nn

from ...sdk.core.errors import InputError

Loss: TypeAlias = Callable[[Any, Tensor], Tensor]


def _binary(answers: Tensor, labels: Tensor) -> Tensor:
    return nn.binary_cross_entropy_with_logits(answers.reshape(labels.shape), labels.to(answers.dtype))


def _regression(of: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    return lambda answers, labels: of(answers.reshape(labels.shape), labels.to(answers.dtype))


def _cosine(answers: Tensor, labels: Tensor) -> Tensor:
    return (1 - nn.cosine_similarity(answers, labels.to(answers.dtype), dim=-1)).mean()


NAMED: dict[str, Loss] = {
    "cross-entropy": lambda answers, labels: nn.cross_entropy(answers, labels.to(torch.int64)),
    "binary-cross-entropy": _binary,
    "mse": _regression(nn.mse_loss),
    "l1": _regression(nn.l1_loss),
    "cosine": _cosine,
}
"""Classes and binary losses take logits."""


def checked(value: object) -> Tensor:
    """A loss as it must be: one finite number with a gradient. Raises InputError."""
    if not isinstance(value, Tensor) or value.ndim != 0:
        raise InputError("The loss is no scalar tensor", field="loss", got=getattr(value, "shape", type(value).__name__))
    if not torch.isfinite(value):
        raise InputError("The loss is no longer a number", field="loss", got=float(value.detach()),
                         fix="Lower the learning rate, clip gradients, and look for NaN in the data.")  # fmt: skip
    return value
