"""Columns of a table model on their way through preprocessing, and the torch module that computes them.

Preprocessing is lowered column by column, symbolically: a column stays a `Number` (an affine function of one input column)
or a `Lookup` (any function of one category) for as long as it can, and only what mixes columns becomes a *part*, a module
of its own. So a chain of scalers is one subtraction and one product, and text categories are one table.

    raw (batch, inputs) float32 -> parts, each on columns of raw or of earlier parts -> columns (batch, n) float32

Category codes travel in the raw matrix as numbers: 0, 1, ... known, MISSING_CODE, UNKNOWN_CODE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ...sdk.core.signature import UNKNOWN_CODE, Array

RAW = -1
FIRST_KNOWN = -UNKNOWN_CODE
"""Row of a Lookup's values that belongs to code 0; rows before it stand for unknown and missing."""


@dataclass(frozen=True)
class Number:
    """`scale * (x - shift)`, clipped to [low, high]; `fill` where x is NaN.

    Attributes:
        source: (part, column) of x; part RAW is the input matrix.
    """

    source: tuple[int, int]
    scale: float = 1.0
    shift: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    fill: float = np.nan

    def then(self, scale: float, shift: float, low: float = -np.inf, high: float = np.inf) -> Number:
        """This column after another increasing affine step and clip."""

        def step(value: float) -> float:
            return float(np.clip(scale * (value - shift), low, high))

        return Number(
            self.source, self.scale * scale, self.shift + shift / self.scale, step(self.low), step(self.high), step(self.fill)
        )  # fmt: skip

    @property
    def plain(self) -> bool:
        """Whether it is x itself, apart from `fill`."""
        return (self.scale, self.shift, self.low, self.high) == (1.0, 0.0, -np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class Lookup:
    """A function of one category, by its values.

    Attributes:
        source: (part, column) of the category.
        values: (2 + categories,) what an unknown, a missing and each known category has become: text or numbers.
        domain: (categories,) the numbers that are categories, where the source holds numbers; None where it holds codes.
    """

    source: tuple[int, int]
    values: Array
    domain: Array | None = None


Column: TypeAlias = Number | Lookup


@dataclass
class Parts:
    """The modules made so far, in order; `add` returns the new columns.

    Attributes:
        modules: each with the columns that it reads.
        fallback: what lowers a transformer that has no lowering here, or None.
    """

    modules: list[tuple[Sequence[Column], nn.Module]] = field(default_factory=list[tuple[Sequence[Column], nn.Module]])
    fallback: Callable[[Any, Sequence[Column], Parts], list[Column]] | None = None

    def add(self, columns: Sequence[Column], module: nn.Module, outputs: int) -> list[Column]:
        """A module from the matrix of `columns` to (batch, outputs)."""
        self.modules.append((columns, module))
        return [Number((len(self.modules) - 1, column)) for column in range(outputs)]


class Assembly(nn.Module):
    """raw (batch, inputs) float32 -> the columns (batch, n) float32."""

    def __init__(self, columns: Sequence[Column], parts: Parts) -> None:
        super().__init__()
        self.inputs = nn.ModuleList([Gathered(taken) for taken, _ in parts.modules])
        self.parts = nn.ModuleList([module for _, module in parts.modules])
        self.columns = Gathered(columns)

    def forward(self, raw: Tensor) -> Tensor:
        made: list[Tensor] = []
        for inputs, part in zip(self.inputs, self.parts, strict=True):
            made.append(part(inputs(raw, made)))
        return self.columns(raw, made)


class Gathered(nn.Module):
    """Columns side by side: all numbers at once, a table per category, then the order asked for."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        numbers = [at for at, column in enumerate(columns) if isinstance(column, Number)]
        pieces: list[nn.Module] = []
        order: list[int] = []
        for part in dict.fromkeys(columns[at].source[0] for at in numbers):
            mine = [at for at in numbers if columns[at].source[0] == part]
            pieces.append(_Numbers(part, [column for at in mine if isinstance(column := columns[at], Number)]))
            order += mine
        for group in _categories(columns):
            pieces.append(_Table([column for at in group if isinstance(column := columns[at], Lookup)]))
            order += group
        self.pieces = nn.ModuleList(pieces)
        self.order = None if order == sorted(order) else nn.Buffer(torch.tensor(np.argsort(order)))

    def forward(self, raw: Tensor, parts: list[Tensor]) -> Tensor:
        pieces = [piece(raw, parts) for piece in self.pieces]
        joined = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)
        return joined if self.order is None else joined.index_select(1, self.order)


class _Numbers(nn.Module):
    """Affine columns of one source matrix. The shift is subtracted in two float32 halves, so that large offsets cost nothing."""

    def __init__(self, part: int, columns: Sequence[Number]) -> None:
        super().__init__()
        self.part, self.width = part, len(columns)
        indices = [column.source[1] for column in columns]
        self.indices = nn.Buffer(torch.tensor(indices))
        self.whole = indices == list(range(len(indices)))
        values = {name: np.array([getattr(column, name) for column in columns]) for name in ("scale", "shift", "low", "high", "fill")}
        high = values["shift"].astype(np.float32)
        self.shift = _buffer(high, np.any(values["shift"] != 0))
        rest = values["shift"] - high
        self.rest = _buffer(rest, np.any(rest != 0))
        self.scale = _buffer(values["scale"], np.any(values["scale"] != 1))
        self.low = _buffer(values["low"], np.any(values["low"] > -np.inf))
        self.high = _buffer(values["high"], np.any(values["high"] < np.inf))
        self.fill = _buffer(values["fill"], not np.all(np.isnan(values["fill"])))

    def forward(self, raw: Tensor, parts: list[Tensor]) -> Tensor:
        source = raw if self.part == RAW else parts[self.part]
        x = source if self.whole and source.shape[1] == self.width else source.index_select(1, self.indices)
        y = x if self.shift is None else x - self.shift
        y = y if self.rest is None else y - self.rest
        y = y if self.scale is None else y * self.scale
        y = y if self.low is None else torch.maximum(y, self.low)
        y = y if self.high is None else torch.minimum(y, self.high)
        return y if self.fill is None else torch.where(torch.isnan(x), self.fill, y)


class _Table(nn.Module):
    """All functions of one category: a row of a table, or a comparison where each column has one value that is not 0."""

    def __init__(self, columns: Sequence[Lookup]) -> None:
        super().__init__()
        first = columns[0]
        self.part, self.column = first.source
        self.domain = None if first.domain is None else nn.Buffer(torch.tensor(first.domain.astype(np.float32)))
        table = np.stack([np.asarray(column.values, np.float64) for column in columns], axis=1)
        self.sparse = len(table) > 8 and bool(np.all(np.count_nonzero(table, axis=0) <= 1))
        position = np.argmax(table != 0, axis=0)
        self.position = _buffer(position, self.sparse, np.int64)
        self.value = _buffer(table[position, np.arange(table.shape[1])], self.sparse)
        self.table = _buffer(table, not self.sparse)

    def forward(self, raw: Tensor, parts: list[Tensor]) -> Tensor:
        source = raw if self.part == RAW else parts[self.part]
        row = self._row(source[:, self.column])
        if self.position is not None and self.value is not None:
            return torch.where(row[:, None] == self.position, self.value, torch.zeros_like(self.value))
        assert self.table is not None  # noqa: S101  one of the two forms exists
        return self.table[row]

    def _row(self, x: Tensor) -> Tensor:
        """(batch,) row of the table: 0 unknown, 1 missing, then the known categories."""
        if self.domain is None:
            rows = len(self.table) if self.table is not None else None
            row = x.to(torch.int64) + FIRST_KNOWN
            return row if rows is None else row.clamp(0, rows - 1)
        same = x[:, None] == self.domain
        known = (same * torch.arange(FIRST_KNOWN, FIRST_KNOWN + same.shape[1], dtype=torch.int64)).sum(1)
        return torch.where(torch.isnan(x), torch.ones_like(known), known)


def _buffer(values: Array, wanted: Any, dtype: Any = np.float32) -> nn.Buffer | None:
    """A buffer, or None where it would change nothing."""
    return nn.Buffer(torch.tensor(values.astype(dtype))) if wanted else None


def _categories(columns: Sequence[Column]) -> list[list[int]]:
    """Positions of lookups, those on one category together."""
    groups: dict[Any, list[int]] = {}
    for at, column in enumerate(columns):
        if isinstance(column, Lookup):
            domain = None if column.domain is None else column.domain.tobytes()
            groups.setdefault((column.source, domain), []).append(at)
    return list(groups.values())
