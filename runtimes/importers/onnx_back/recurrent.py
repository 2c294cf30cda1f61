"""LSTM, GRU and RNN unrolled over their steps, whose number is fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....sdk.core.signature import Array
from .call import Call
from .registry import operator

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
Cell = Callable[["Weights", Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Weights:
    """One direction of a layer.

    Attributes:
        inner: (gates * hidden, hidden), on the state.
        inner_bias: (gates * hidden,), added to what `inner` gives.
        peepholes: (3 * hidden,) of an LSTM, or None.
        functions: activations in the standard's order.
        after: whether a GRU's reset gate comes after the product.
    """

    inner: Tensor
    inner_bias: Tensor
    peepholes: Tensor | None
    functions: tuple[Callable[[Tensor], Tensor], ...]
    after: bool


@operator("LSTM", "GRU", "RNN", host=(4,))
def recurrent(
    call: Call, x: Tensor, outer: Tensor, inner: Tensor, bias: Tensor | None = None, lengths: Array | None = None,
    hidden: Tensor | None = None, cell: Tensor | None = None, peepholes: Tensor | None = None,
) -> list[Tensor]:  # fmt: skip
    """(steps, batch, inputs) -> every state (steps, directions, batch, hidden), the last ones (directions, batch, hidden)."""
    batch_first = bool(call.get("layout", 0))
    x = x.transpose(0, 1) if batch_first else x
    _refuse(call, lengths, x.shape[0])
    directions, starts = inner.shape[0], [s for s in (hidden, cell) if s is not None]
    starts = [s.transpose(0, 1) if batch_first else s for s in starts]
    empty = torch.zeros((x.shape[1], inner.shape[2]), dtype=x.dtype)
    results: list[tuple[Tensor, tuple[Tensor, ...]]] = []
    for d in range(directions):
        state = tuple(starts[i][d] if i < len(starts) else empty for i in range(2 if call.type == "LSTM" else 1))
        both = torch.zeros_like(inner[d][:, 0].repeat(2)) if bias is None else bias[d]
        half = both.shape[0] // 2
        holes, after = None if peepholes is None else peepholes[d], bool(call.get("linear_before_reset", 0))
        weights = Weights(inner[d], both[half:], holes, _functions(call, d), after)
        backwards = call.get("direction", "forward") == "reverse" or d == 1
        results.append(_run(CELLS[call.type], weights, functional.linear(x, outer[d], both[:half]), state, backwards))
    every = torch.stack([r[0] for r in results], 1)
    last = [torch.stack([r[1][i] for r in results], 0) for i in range(len(results[0][1]))]
    return [every.permute(2, 0, 1, 3), *(s.transpose(0, 1) for s in last)] if batch_first else [every, *last]


def _refuse(call: Call, lengths: Array | None, steps: int) -> None:
    if lengths is not None and bool(np.any(lengths != steps)):
        raise call.refuse("sequences of different lengths")
    if call.get("clip") is not None or call.get("input_forget", 0):
        raise call.refuse("`clip` and `input_forget`")
    names = {name.lower() for name in call.get("activations", [])}
    if names - set(ACTIVATIONS) or call.get("activation_alpha") or call.get("activation_beta"):
        raise call.refuse(f"activations {sorted(names - set(ACTIVATIONS))} or their parameters")


def _functions(call: Call, direction: int) -> tuple[Callable[[Tensor], Tensor], ...]:
    defaults = DEFAULTS[call.type]
    named = call.get("activations") or list(defaults) * 2
    return tuple(ACTIVATIONS[name.lower()] for name in named[direction * len(defaults) : (direction + 1) * len(defaults)])


def _run(cell: Cell, weights: Weights, inputs: Tensor, state: tuple[Tensor, ...], backwards: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    states: list[Tensor] = []
    order = range(inputs.shape[0])
    for step in reversed(order) if backwards else order:
        state = cell(weights, inputs[step], state)
        states.append(state[0])
    return torch.stack(states[::-1] if backwards else states, 0), state


def lstm_cell(weights: Weights, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Gates in the order input, output, forget, cell."""
    hidden, cell = state
    f, g, h = weights.functions
    size = hidden.shape[-1]
    i, o, forget, c = torch.split(x + functional.linear(hidden, weights.inner, weights.inner_bias), size, -1)
    if weights.peepholes is None:
        new = f(forget) * cell + f(i) * g(c)
        return f(o) * h(new), new
    pi, po, pf = torch.split(weights.peepholes, size)
    new = f(forget + pf * cell) * cell + f(i + pi * cell) * g(c)
    return f(o + po * new) * h(new), new


def gru_cell(weights: Weights, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Gates in the order update, reset, hidden."""
    (hidden,), (f, g) = state, weights.functions
    size = hidden.shape[-1]
    split = [size * 2, size]
    (xg, xh), (wg, wh), (bg, bh) = (torch.split(v, split, a) for v, a in ((x, -1), (weights.inner, 0), (weights.inner_bias, 0)))
    z, r = torch.split(f(xg + functional.linear(hidden, wg, bg)), size, -1)
    inner = r * functional.linear(hidden, wh, bh) if weights.after else functional.linear(r * hidden, wh, bh)
    return ((1 - z) * g(xh + inner) + z * hidden,)


def rnn_cell(weights: Weights, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One gate."""
    return (weights.functions[0](x + functional.linear(state[0], weights.inner, weights.inner_bias)),)


CELLS: dict[str, Cell] = {"LSTM": lstm_cell, "GRU": gru_cell, "RNN": rnn_cell}
