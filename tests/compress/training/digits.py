"""A convolutional network for scikit-learn's digits, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Size:
    """Channels of the two blocks."""

    first: int = 16
    second: int = 32


class Net(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10), with a residual block."""

    def __init__(self, size: Size, hidden: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, size.first, 3, padding=1), nn.BatchNorm2d(size.first), nn.ReLU())
        self.inner = nn.Sequential(nn.Conv2d(size.first, size.first, 3, padding=1), nn.BatchNorm2d(size.first))
        self.down = nn.Sequential(nn.Conv2d(size.first, size.second, 3, stride=2, padding=1), nn.BatchNorm2d(size.second), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(size.second * 16, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def forward(self, features: Tensor) -> Tensor:
        held = self.stem(features)
        return self.head(self.down(torch.relu(held + self.inner(held))))


def make(first: int = 16, second: int = 32, hidden: int = 64) -> Net:
    """The factory."""
    return Net(Size(first, second), hidden)


def featurize(image: Tensor) -> Tensor:
    """float32 (batch, 64), 0 to 16 -> (batch, 1, 8, 8), 0 to 1."""
    return image.reshape(-1, 1, 8, 8) / 16.0


def predict(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """The digit and all probabilities."""
    logits = model(features)
    return {"digit": logits.argmax(1), "probabilities": logits.softmax(1)}


def smoothed(answers: Tensor, labels: Tensor) -> Tensor:
    """A loss of the user's own."""
    return nn.functional.cross_entropy(answers, labels, label_smoothing=0.1)
