"""What layers answer on data, as sums: the covariance by which a layer of lower rank loses the least of its answers.

A layer's answers z = W x (bias apart) have principal directions U. Keeping the first r of them, z is near m + U U'(z - m), which is a
layer of rank r: U'W, then U, with the constant in the bias. No other layer of rank r has a smaller squared error on these rows
(Zhang et al., "Accelerating very deep convolutional networks for classification and detection", TPAMI 2016, without the nonlinearity).
For inputs without correlation this is the SVD of the weights (Denton et al., NeurIPS 2014).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .thinning import stride
from .training.batches import Batch

VECTORS = 1 << 16
"""Answers of one layer to one batch that are looked at, evenly over places."""


@dataclass
class Response:
    """Sums over a layer's answers, bias apart.

    Attributes:
        count: answers.
        total: (out,) float64.
        moment: (out, out) float64.
    """

    count: int
    total: Tensor
    moment: Tensor

    @property
    def mean(self) -> Tensor:
        """(out,) float64."""
        return self.total / max(1, self.count)

    def spread(self, centred: bool) -> Tensor:
        """(out, out): covariance, or the second moment where no bias can carry a mean."""
        moment = self.moment / max(1, self.count)
        return moment - torch.outer(self.mean, self.mean) if centred else moment

    def add(self, answers: Tensor) -> None:
        """Answers (vectors, out)."""
        held = answers[:: stride(len(answers), VECTORS)].double()
        self.count += len(held)
        self.total += held.sum(0)
        self.moment += held.T @ held


def responses(model: nn.Module, layers: Mapping[str, nn.Module], batches: Iterable[Batch]) -> dict[str, Response]:
    """Name -> what each layer answered while the model ran; layers that were never called are missing."""
    found: dict[str, Response] = {}

    def watch(name: str) -> Any:
        def seen(layer: nn.Module, _: object, answer: Tensor) -> None:
            vectors = _vectors(layer, answer)
            zero = torch.zeros(vectors.shape[1], dtype=torch.float64)
            found.setdefault(name, Response(0, zero, torch.zeros(len(zero), len(zero), dtype=torch.float64))).add(vectors)

        return seen

    hooks = [layer.register_forward_hook(watch(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for batch in batches:
                model(*batch.features)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _vectors(layer: nn.Module, answer: Tensor) -> Tensor:
    """(vectors, out): channels last, bias taken off."""
    held = answer.movedim(-3, -1) if isinstance(layer, nn.Conv2d) else answer.movedim(-2, -1) if isinstance(layer, nn.Conv1d) else answer
    flat = held.reshape(-1, held.shape[-1])
    bias: Tensor | None = layer.bias  # type: ignore[assignment]
    return flat if bias is None else flat - bias
