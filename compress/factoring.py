"""Layers as two of a lower rank: which can be, what each rank keeps, and the two layers themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from .ranks import Candidate
from .responses import Response, responses
from .training.batches import Batch
from .training.structure import Edit, factored, replaced

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d)
WIDEST = 8192
"""Outputs of a layer beyond which its covariance is too large to look at."""


@dataclass(frozen=True)
class Spectrum:
    """A layer's principal directions.

    Attributes:
        layer: Linear, Conv1d or Conv2d.
        directions: (out, full rank) float64, strongest first.
        energies: (full rank,) float64, what each holds.
        mean: (out,) float64 of the answers, bias apart; None: the layer has no bias, or weights alone are looked at.
    """

    layer: nn.Module
    directions: Tensor
    energies: Tensor
    mean: Tensor | None

    def candidate(self, name: str) -> Candidate:
        """What the choice of ranks needs of it."""
        rows, columns = matrix(self.layer).shape
        total = float(self.energies.sum())
        shares = self.energies.cumsum(0) / total if total > 0 else torch.ones_like(self.energies)
        shares[-1] = 1.0
        return Candidate(name, shares.numpy(), rows + columns, rows * columns)

    def factors(self, rank: int) -> nn.Sequential:
        """Two layers that answer as the layer does, as well as this rank can."""
        weight, kept = matrix(self.layer).double(), self.directions[:, :rank]
        made = factored(self.layer, rank)
        first, second = (cast("Any", held) for held in made)
        with torch.no_grad():
            first.weight.copy_((kept.T @ weight).reshape(first.weight.shape))
            second.weight.copy_(kept.reshape(second.weight.shape))
            bias: Tensor | None = cast("Any", self.layer).bias
            if bias is not None:
                lost = torch.zeros_like(bias) if self.mean is None else self.mean - kept @ (kept.T @ self.mean)
                second.bias.copy_(bias + lost)
        return made.train(self.layer.training)


def spectra(model: nn.Module, layers: Mapping[str, nn.Module], batches: Iterable[Batch], weights_only: bool) -> dict[str, Spectrum]:
    """Name -> directions of every layer that the model calls on these rows."""
    found = responses(model, layers, batches)
    return {name: _spectrum(layers[name], None if weights_only else held) for name, held in found.items()}


def _spectrum(layer: nn.Module, response: Response | None) -> Spectrum:
    weight = matrix(layer).double()
    centred = response is not None and cast("Any", layer).bias is not None
    spread = weight @ weight.T if response is None else response.spread(centred)
    values, vectors = torch.linalg.eigh(spread)
    most = min(weight.shape)
    return Spectrum(layer, vectors.flip(1)[:, :most], values.flip(0)[:most].clamp(min=0), response.mean if response and centred else None)


def matrix(layer: nn.Module) -> Tensor:
    """The weight as (out, all that it reads)."""
    return cast("Tensor", layer.weight).detach().flatten(1)


def obstacle(model: nn.Module, layer: nn.Module) -> str | None:
    """Why a layer of these kinds cannot be factored; None: it can."""
    weight = cast("Tensor", layer.weight)
    if type(layer) not in KINDS:
        return f"a {type(layer).__name__} may compute more than its weights say"
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups != 1:
        return f"its channels are in {layer.groups} groups"
    if weight.dtype != torch.float32:
        return f"its weights are {weight.dtype}"
    if sum(held is weight for _, held in model.named_parameters(remove_duplicate=False)) > 1:
        return "its weights are shared with another layer"
    return f"it has more than {WIDEST} outputs" if len(weight) > WIDEST else None


def factor(model: nn.Module, ranks: Mapping[str, int], found: Mapping[str, Spectrum]) -> list[Edit]:
    """Put two layers in each one's place; the edits that make the module again."""
    for name, rank in ranks.items():
        replaced(model, name, found[name].factors(rank))
    return [{"kind": "low-rank", "module": name, "rank": rank} for name, rank in ranks.items()]
