"""Small encoders of texts, in a file that needs nothing but torch: it travels in packages."""

from __future__ import annotations

from torch import Tensor, nn


class Words(nn.Module):
    """Token ids and mask (batch, sequence) int64 -> (batch, size): the mean of the words' vectors."""

    def __init__(self, words: int, rank: int, size: int) -> None:
        super().__init__()
        self.words, self.up = nn.Embedding(words, rank), nn.Linear(rank, size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.unsqueeze(-1).float()
        return (self.up(self.words(input_ids)) * mask).sum(1) / mask.sum(1)


def make(words: int = 16, rank: int = 8, size: int = 64) -> nn.Module:
    return Words(words, rank, size)


def tokens(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    return input_ids, attention_mask


def vector(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    return {"embedding": nn.functional.normalize(model(*features), dim=1)}
