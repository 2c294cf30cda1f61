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


class Words(nn.Module):
    """(batch, 1, 8, 8) -> logits (batch, 10): torch's own encoder and decoder layers, heads of width 8, batch second in the decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 48, batch_first=True)
        self.decoder = nn.TransformerDecoderLayer(32, 4, 48)
        self.head = nn.Linear(32, 10)

    def forward(self, features: Tensor) -> Tensor:
        rows = self.encoder(self.embed(features.squeeze(1)))
        return self.head(self.decoder(rows.transpose(0, 1), rows.transpose(0, 1)).mean(0))


def make_words() -> Words:
    """The factory of the larger one."""
    return Words()


class Looked(nn.Module):
    """Attentions that cannot lose heads here: one whose weights code reads, one that adds keys, one whose weights are answers."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.MultiheadAttention(8, 2, batch_first=True)
        self.adds = nn.MultiheadAttention(8, 2, add_zero_attn=True, batch_first=True)
        self.told = nn.MultiheadAttention(8, 2, batch_first=True)
        self.free = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        rows = features.squeeze(1) * self.read.in_proj_weight.mean()
        rows = rows + self.adds(rows, rows, rows)[0] + self.read(rows, rows, rows)[0] + self.free(rows, rows, rows)[0]
        seen, weights = self.told(rows, rows, rows)
        return seen, weights
