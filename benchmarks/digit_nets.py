"""Small networks for scikit-learn's digits that int8 hurts, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10): three convolutions, one of them beside a residual branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.inner = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.down = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * width, 10))

    def forward(self, features: Tensor) -> Tensor:
        held = self.stem(features)
        return self.head(self.down(torch.relu(held + self.inner(held))))


class Separable(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10): depthwise and pointwise convolutions by turns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(*_block(width, width, 1), *_block(width, 2 * width, 2))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * width, 10))

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(features)))


def _block(width: int, out: int, stride: int) -> list[nn.Module]:
    deep = [nn.Conv2d(width, width, 3, stride, 1, groups=width), nn.BatchNorm2d(width), nn.ReLU()]
    return [*deep, nn.Conv2d(width, out, 1), nn.BatchNorm2d(out), nn.ReLU()]


def residual(width: int = 4) -> Residual:
    """A factory."""
    return Residual(width)


def separable(width: int = 8) -> Separable:
    """A factory."""
    return Separable(width)


def stretched(model: Separable, factor: float) -> Separable:
    """The first channel of each depthwise convolution made larger, the weights that read it smaller: the same answers in float."""
    with torch.no_grad():
        for place in (1, 7):
            norm, reader = cast("nn.BatchNorm2d", model.blocks[place]), cast("nn.Conv2d", model.blocks[place + 2])
            norm.weight[0] *= factor
            norm.bias[0] *= factor
            reader.weight[:, 0] /= factor
    return model


def featurize(image: Tensor) -> Tensor:
    """float32 (batch, 64), 0 to 16 -> (batch, 1, 8, 8), 0 to 1."""
    return image.reshape(-1, 1, 8, 8) / 16.0


def predict(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """The digit and all probabilities."""
    logits = model(features)
    return {"digit": logits.argmax(1), "probabilities": logits.softmax(1)}
