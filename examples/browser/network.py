"""A small convolutional network for grey pictures of 28 x 28, and its training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def pixels(picture: Tensor) -> Tensor:
    """uint8 (batch, 28, 28) -> float32 (batch, 1, 28, 28) in [0, 1]."""
    return picture.unsqueeze(1).to(torch.float32) / 255


def answer(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """What it is, and how likely everything else is."""
    logits = model(features)
    return {"label": logits.argmax(1), "probabilities": logits.softmax(1)}


def train(pictures: NDArray[np.uint8], labels: NDArray[np.int64], epochs: int) -> nn.Module:
    """Adam on cross-entropy, seeded; pictures are moved by up to two pixels, because people do not draw in the middle."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    x, y = torch.from_numpy(pictures.copy()), torch.from_numpy(labels.copy())
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(y)).split(128):
            shift = torch.randint(-2, 3, (2,)).tolist()
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(pixels(torch.roll(x[rows], shift, (1, 2)))), y[rows]).backward()
            optimiser.step()
    return model.eval()
