"""A network with an attention layer, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

from torch import Tensor, nn


class Rows(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10): the picture's rows look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Sequential(nn.Linear(16 * 8, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, features: Tensor) -> Tensor:
        rows = self.embed(features.squeeze(1))
        seen, _ = self.attend(rows, rows, rows, need_weights=False)
        return self.head(self.norm(rows + seen).flatten(1))


def make() -> Rows:
    """The factory."""
    return Rows()
