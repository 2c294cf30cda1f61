"""Small networks whose channels depend on each other in the usual ways, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Depthwise(nn.Module):
    """As in EfficientNet: expand, one filter a channel, squeeze and excite, project, add."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        inner = 2 * width
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False)
        self.expand = nn.Sequential(nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.Hardswish(inplace=True))
        self.depth = nn.Sequential(nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.SiLU())
        self.squeeze, self.excite = nn.Conv2d(inner, 8, 1), nn.Conv2d(8, inner, 1)
        self.project = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 10)."""
        x = self.stem(x)
        y = self.depth(self.expand(x))
        y = y * self.excite(functional.relu(self.squeeze(y.mean((2, 3), keepdim=True)))).sigmoid()
        return self.head((x + self.project(y)).mean((2, 3)))


class Joined(nn.Module):
    """Branches side by side, a gate cut in halves, slopes and scales per channel, a transposed convolution, pools, a flattened head."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(1, width, (1, 3), padding=(0, 1))
        self.slope, self.scale = nn.PReLU(width), nn.Parameter(torch.rand(2 * width, 1, 1) + 0.5)
        self.gate = nn.Conv2d(2 * width + 1, 2 * width, 3, padding="same")
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.hidden, self.last = nn.Linear(width * 16, 24), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 10)."""
        both = torch.cat([self.slope(self.left(x)), functional.gelu(self.right(x))], 1) * self.scale
        one, two = self.gate(torch.cat([both, x], 1)).chunk(2, 1)
        held = self.up(functional.max_pool2d(one * two.sigmoid(), 4))
        return self.last(functional.dropout(torch.relu(self.hidden(held.flatten(1))), 0.1, self.training))


class Heads(nn.Module):
    """A block of a transformer over the 8 rows of a picture; `stated`: its code states the number of heads."""

    def __init__(self, width: int = 24, heads: int = 6, stated: bool = False) -> None:
        super().__init__()
        self.size, self.stated = (width // heads, heads), stated
        self.embed, self.norm = nn.Linear(8, width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.inner, self.outer, self.head = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.Linear(width, 10)

    def _split(self, x: Tensor) -> Tensor:
        shape = (self.size[1], -1) if self.stated else (-1, self.size[0])
        return x.view(*x.shape[:2], *shape).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 10)."""
        x = self.norm(self.embed(x.squeeze(1)))
        q, k, v = self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        held = (q @ k.transpose(2, 3) / self.size[0] ** 0.5).softmax(-1) @ v
        x = self.norm(x + self.out(held.transpose(1, 2).flatten(2)))
        return self.head(self.norm(x + self.outer(functional.gelu(self.inner(x)))).mean(1))


class Odd(nn.Module):
    """What pruning must leave: groups, tied weights, a shuffle of channels, an unknown operator, a buffer that is in no state."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.first, self.second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, groups=4 if kind == "groups" else 1)
        self.third, self.head = nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, 10)
        self.register_buffer("mean", torch.rand(16, 1, 1), persistent=False)
        if kind == "tied":
            self.third.weight = self.second.weight

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 1, 8, 8) -> (batch, 10)."""
        x = self.second(self.first(x))
        if self.kind == "shuffle":
            x = x.view(len(x), 2, x.shape[1] // 2, 8, 8).transpose(1, 2).reshape(x.shape)
        if self.kind == "unknown":
            x = x.cumsum(1)
        if self.kind == "buffer":
            x = x - self.mean
        return self.head(self.third(x).mean((2, 3)))


def make(name: str = "Depthwise", **options: object) -> nn.Module:
    """The factory."""
    return {"Depthwise": Depthwise, "Joined": Joined, "Heads": Heads}[name](**options)  # type: ignore[arg-type]


def predict(model: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """The digit and all probabilities."""
    logits = model(features)
    return {"digit": logits.argmax(1), "probabilities": logits.softmax(1)}


def featurize(image: Tensor) -> Tensor:
    """float32 (batch, 64), 0 to 16 -> (batch, 1, 8, 8), 0 to 1."""
    return image.reshape(-1, 1, 8, 8) / 16.0
