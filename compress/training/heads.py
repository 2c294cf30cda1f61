"""An attention whose heads can go: what `nn.MultiheadAttention` computes, with layers of its own for queries, keys and values.

nn.MultiheadAttention holds all three in one weight and ties the width of a head to that of the model: with fewer heads it cannot say what
it is. Here a head has a width, and the layers' sizes say how many heads there are.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def obstacle(layer: nn.Module) -> str | None:
    """Why a layer's heads cannot be layers of their own; None: they can."""
    if type(layer) is not nn.MultiheadAttention:
        return f"a {type(layer).__name__} may compute more than an attention"
    if layer.bias_k is not None or layer.add_zero_attn:
        return "it adds keys of its own"
    return "it has one head" if layer.num_heads == 1 else None


class Heads(nn.Module):
    """The attention of a `nn.MultiheadAttention`, called as it is called. Its heads are as many as its layers have room for.

    Attributes:
        head_dim: width of a head.
        batch_first: as there.
        dropout: of what is attended to, in training.
    """

    in_proj_bias = None
    _qkv_same_embed_dim = False
    """Both tell torch's encoder layers to call `forward`, not the fused kernel that reads weights which are not here."""

    def __init__(self, width: int, keys: int, values: int, head_dim: int, bias: bool, batch_first: bool, dropout: float) -> None:
        super().__init__()
        self.head_dim, self.batch_first, self.dropout = head_dim, batch_first, dropout
        self.query, self.key, self.value = nn.Linear(width, width, bias), nn.Linear(keys, width, bias), nn.Linear(values, width, bias)
        self.out_proj = nn.Linear(width, width, bias)

    @classmethod
    def of(cls, layer: nn.MultiheadAttention) -> Heads:
        """The same attention, with copies of the weights."""
        bias = len(_tensors(layer)) > 4
        made = cls(layer.embed_dim, layer.kdim, layer.vdim, layer.head_dim, bias, layer.batch_first, layer.dropout)
        with torch.no_grad():
            for own, held in zip(made.tensors, _tensors(layer), strict=True):
                own.copy_(held)
        return made.to(layer.out_proj.weight.dtype).requires_grad_(layer.out_proj.weight.requires_grad).train(layer.training)

    @property
    def tensors(self) -> list[Tensor]:
        """Weights of queries, keys, values and what is answered; then their biases where there are any."""
        layers = (self.query, self.key, self.value, self.out_proj)
        biases = [cast("Tensor | None", layer.bias) for layer in layers]
        return [*(layer.weight for layer in layers), *(held for held in biases if held is not None)]

    def into(self, layer: nn.MultiheadAttention) -> bool:
        """Give the weights to an attention of torch's; False: sizes have changed, and it is left as it is."""
        pairs = list(zip(_tensors(layer), self.tensors, strict=True))
        if any(held.shape != own.shape for held, own in pairs):
            return False
        with torch.no_grad():
            for held, own in pairs:
                held.copy_(own)
        layer.train(self.training)
        return True

    @property
    def embed_dim(self) -> int:
        """Width of what it reads and answers."""
        return self.out_proj.out_features

    @property
    def num_heads(self) -> int:
        """As many as there is room for."""
        return self.query.out_features // self.head_dim

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, need_weights: bool = True,
                attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """As `nn.MultiheadAttention.forward`; `is_causal` is a hint there, and `attn_mask` says the same."""
        single = query.dim() == 2
        q, k, v = (layer(self._in(held, single)).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
                   for layer, held in ((self.query, query), (self.key, key), (self.value, value)))  # fmt: skip
        mask = _mask(attn_mask, key_padding_mask, q)
        drop, weights = self.dropout if self.training else 0.0, None
        if need_weights:
            scores = (q * self.head_dim**-0.5) @ k.transpose(2, 3)
            weights = functional.dropout((scores if mask is None else scores + mask).softmax(-1), drop)
            seen = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            seen = functional.scaled_dot_product_attention(q, k, v, mask, drop)
        answer = self.out_proj(seen.transpose(1, 2).flatten(2))
        answer = answer[0] if single else answer if self.batch_first else answer.transpose(0, 1)
        return answer, weights[0] if single and weights is not None else weights

    def _in(self, held: Tensor, single: bool) -> Tensor:
        """(batch, length, width)."""
        return held[None] if single else held if self.batch_first else held.transpose(0, 1)


def _tensors(layer: nn.MultiheadAttention) -> list[Tensor]:
    """As `Heads.tensors`: parts of torch's own weights, to read or to write."""
    whole = cast("Tensor | None", layer.in_proj_weight)
    weights = [layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight] if whole is None else whole.chunk(3)
    bias, last = cast("Tensor | None", layer.in_proj_bias), cast("Tensor | None", layer.out_proj.bias)
    biases = [] if bias is None or last is None else [*bias.chunk(3), last]
    return [*weights, layer.out_proj.weight, *biases]


def _mask(given: Tensor | None, padding: Tensor | None, like: Tensor) -> Tensor | None:
    """What is added to scores, (batch or 1, heads or 1, length or 1, keys): -inf where nothing may be seen."""
    found = None if given is None else _added(given, like)
    if found is not None and found.dim() == 3:
        found = found.unflatten(0, (like.shape[0], -1))
    if padding is None:
        return found
    beside = _added(padding if padding.dim() == 2 else padding[None], like)[:, None, None]
    return beside if found is None else found + beside


def _added(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -torch.inf)
