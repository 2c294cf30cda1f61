"""A small sentence encoder beside MiniLM, in a file that needs nothing but torch: it travels in packages.

It is the teacher's own transformer with fewer layers, and its table of words as two factors: (words x rank) and (rank x width).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """(batch, sequence, width) -> the same: heads that look at all tokens the mask leaves."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """`hidden` (batch, 1, 1, sequence) is added to the scores: 0, or very low for padding."""
        rows, length, width = x.shape
        query, key, value = (
            layer(x).view(rows, length, self.heads, self.size).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        chances = (query @ key.transpose(2, 3) / sqrt(self.size) + hidden).softmax(-1)
        return self.out((chances @ value).transpose(1, 2).reshape(rows, length, width))


class Layer(nn.Module):
    """A layer of BERT (Devlin et al., NAACL 2019): attention and two products, each with a residual branch and a norm behind."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention, self.norm = Attention(width, heads), nn.LayerNorm(width, eps=1e-12)
        self.inner, self.out, self.last = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """(batch, sequence, width) -> the same."""
        x = self.norm(x + self.attention(x, hidden))
        return self.last(x + self.out(nn.functional.gelu(self.inner(x))))


class Student(nn.Module):
    """Token ids and mask (batch, sequence) int64 -> float32 (batch, sequence, width).

    Behind the first layer stands a linear bridge, in place of layers that are left out there.
    """

    def __init__(self, layers: int, rank: int, words: int, width: int, heads: int, positions: int, bridge: bool) -> None:
        super().__init__()
        self.words, self.up = nn.Embedding(words, rank), nn.Linear(rank, width)
        self.places, self.norm = nn.Embedding(positions, width), nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList([Layer(width, heads) for _ in range(layers)])
        self.bridge = nn.Linear(width, width) if bridge else nn.Identity()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """What the last layer gives."""
        return self.after(len(self.layers), input_ids, attention_mask)

    def after(self, count: int, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """What this many layers give. Padding is hidden from the attention."""
        hidden = (1.0 - attention_mask[:, None, None].to(torch.float32)) * -1e9
        x = self.norm(self.up(self.words(input_ids)) + self.places.weight[: input_ids.shape[1]])
        for place, layer in enumerate(list(self.layers)[:count]):
            x = layer(self.bridge(x) if place == 1 else x, hidden)
        return x


def make(layers: int = 2, rank: int = 128, words: int = 30522, width: int = 384, heads: int = 12, positions: int = 256,
         bridge: bool = False) -> nn.Module:  # fmt: skip
    """The factory."""
    return Student(layers, rank, words, width, heads, positions, bridge)


def tokens(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids and mask as they are: (batch, sequence) each."""
    return input_ids, attention_mask


def sentence_vector(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Mean of the tokens' vectors, of length one: (batch, width)."""
    hidden = model(*features)
    mask = features[1].unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
    return {"embedding": nn.functional.normalize(mean, dim=1)}


def begun(state: Mapping[str, Tensor], layers: Sequence[int], rank: int, counts: Tensor, positions: int = 256,
          bridge: bool = False) -> Student:  # fmt: skip
    """A student with weights of the teacher.

    Args:
        state: of a BERT, names as in `transformers`' BertModel.
        layers: of the teacher that are taken over, in order.
        rank: of the table's factors: the directions in which its rows differ most, each row weighted by its count (a weighted
            principal component analysis), so that frequent words are kept best.
        counts: (words,) how often each token stands in the texts to learn from.
        positions: the longest sequence.
        bridge: there is one, see `bridged`.
    """
    table = state["embeddings.word_embeddings.weight"].double()
    weight = (counts.double() + 1) / (counts.double() + 1).sum()
    mean = weight @ table
    apart = table - mean
    _, directions = torch.linalg.eigh((apart * weight[:, None]).T @ apart)
    basis = directions[:, -rank:]
    student = Student(len(layers), rank, len(table), table.shape[1], 12, positions, bridge)
    scale = sqrt(rank / table.shape[1])
    with torch.no_grad():
        student.words.weight.copy_(apart @ basis * scale)
        student.up.weight.copy_(basis / scale)
        student.up.bias.copy_(mean)
        # There is one kind of sentence, so its vector is part of every position's.
        places = state["embeddings.position_embeddings.weight"][:positions]
        student.places.weight.copy_(places + state["embeddings.token_type_embeddings.weight"][0])
    _copied(student.norm, state, "embeddings.LayerNorm")
    for held, number in zip(student.layers, layers, strict=True):
        for own, name in PLACES.items():
            _copied(held.get_submodule(own), state, f"encoder.layer.{number}.{name}")
    return student.eval()


def bridged(student: Student, teacher: Student, layers: int, batches: Iterable[tuple[Tensor, Tensor]]) -> Student:
    """The student with the bridge by which its first layer comes closest to what the teacher's first `layers` give, token by token.

    Args:
        student: its bridge is set, in place; a least-squares fit.
        teacher: whole, as `begun` makes it of all layers.
        layers: of the teacher, that the first layer and the bridge stand for.
        batches: (ids, mask) of texts to fit on; some thousand tokens are enough.
    """
    size = student.norm.normalized_shape[0] + 1
    inner, outer = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, size - 1, dtype=torch.float64)
    with torch.no_grad():
        for ids, mask in batches:
            real = mask.bool()
            x = nn.functional.pad(student.after(1, ids, mask)[real], (0, 1), value=1.0).double()
            inner += x.T @ x
            outer += x.T @ teacher.after(layers, ids, mask)[real].double()
        inner.diagonal().add_(1e-4 * inner.diagonal().mean())
        found = torch.linalg.solve(inner, outer)
        student.bridge.load_state_dict({"weight": found[:-1].T.float(), "bias": found[-1].float()})
    return student


PLACES = {
    "attention.query": "attention.self.query", "attention.key": "attention.self.key", "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense", "norm": "attention.output.LayerNorm", "inner": "intermediate.dense",
    "out": "output.dense", "last": "output.LayerNorm",
}  # fmt: skip
"""Module of a layer here -> there."""


def _copied(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    module.load_state_dict({key: state[f"{name}.{key}"] for key in module.state_dict()})
