"""Networks of several widths whose layers can be told to learn, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

from torch import Tensor, nn


class Maps(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10): a map, halved where asked, then a vector."""

    def __init__(self, width: int, stride: int, hidden: int) -> None:
        super().__init__()
        self.eyes = nn.Sequential(nn.Conv2d(1, width, 3, stride=stride, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.pool, self.middle, self.last = nn.AdaptiveAvgPool2d(4), nn.Linear(width * 16, hidden), nn.Linear(hidden, 10)

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self.middle(self.pool(self.eyes(features)).flatten(1)).relu())


class Lines(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10): eight lines as a sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.mix, self.last = nn.Linear(8, width), nn.Linear(width, width), nn.Linear(width * 8, 10)

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self.mix(self.embed(features.squeeze(1)).relu()).relu().flatten(1))


def maps(width: int = 16, stride: int = 1, hidden: int = 48) -> nn.Module:
    return Maps(width, stride, hidden)


def lines(width: int = 24) -> nn.Module:
    return Lines(width)
