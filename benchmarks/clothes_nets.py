"""A network for Fashion-MNIST at any width, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

from torch import Tensor, nn


def make(width: int) -> nn.Sequential:
    """(batch, 1, 28, 28) -> logits (batch, 10): three convolutions of `width` and twice as many channels."""
    return nn.Sequential(
        *_layer(1, width, 2), *_layer(width, 2 * width, 2), *_layer(2 * width, 2 * width, 1),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(18 * width, 10),
    )  # fmt: skip


def _layer(channels: int, out: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


def featurize(picture: Tensor) -> Tensor:
    """uint8 (batch, 28, 28) -> float32 (batch, 1, 28, 28) in [0, 1]."""
    return picture.unsqueeze(1).float() / 255.0


def predict(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """The garment's number and all probabilities."""
    logits = model(features)
    return {"label": logits.argmax(1), "probabilities": logits.softmax(1)}
