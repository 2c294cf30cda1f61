"""Which sizes a package is compiled for: TFLite has no dynamic dimension, so every symbolic one gets a few fixed sizes.

- The batch gets the sizes of the option `batches`; a call's rows are cut into these.
- A dimension that the codec pads (a sequence of tokens) gets buckets; calls are padded up to the next one with the very
  value that the codec pads with. Default buckets are the lengths the contract shows, and the codec's own limit.
- Any other dimension needs the option `sizes`, and is answered in exactly those sizes: nobody knows what pads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, cast

import numpy as np

from ...sdk.core.codec.codec import Codec
from ...sdk.core.contract import Case, Contract
from ...sdk.core.errors import UnsupportedError
from ...sdk.core.manifest import CONTRACT, CONTRACT_TENSORS
from ...sdk.core.package import Package
from ...sdk.core.signature import Signature

BATCHES = (1, 8)
MOST_SIGNATURES = 24
_STEP = 8
"""Default buckets are multiples of this."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of every symbolic dimension of a package.

    Attributes:
        batch: the symbol that counts rows; None where the number of rows is fixed.
        values: symbol -> sizes, ascending.
        pads: typed input -> the value the codec pads it with.
        exact: symbols that are never padded.
    """

    batch: str | None
    values: Mapping[str, tuple[int, ...]]
    pads: Mapping[str, float | int | bool] = field(default_factory=dict[str, "float | int | bool"])
    exact: tuple[str, ...] = ()

    def signatures(self, symbols: Iterable[str]) -> dict[str, dict[str, int]]:
        """Every combination of sizes of these symbols, by the name that its signature gets.

        Raises UnsupportedError for more combinations than a file should hold.
        """
        chosen = [symbol for symbol in self.values if symbol in set(symbols)]
        combinations = list(product(*(self.values[symbol] for symbol in chosen)))
        if len(combinations) > MOST_SIGNATURES:
            raise UnsupportedError("The sizes make too many combinations", got=f"{len(combinations)} of {', '.join(chosen)}",
                                   expected=f"at most {MOST_SIGNATURES}", fix="Pass fewer batches=(...) or sizes={...}.")  # fmt: skip
        return {_key(chosen, sizes): dict(zip(chosen, sizes, strict=True)) for sizes in combinations}


def sizes_of(package: Package, batches: Sequence[int] | None = None, asked: Mapping[str, Sequence[int]] | None = None) -> Sizes:
    """The sizes of a package's symbolic dimensions.

    Args:
        package: its signature names the dimensions, its codec and contract say what is usual.
        batches: rows per call of the engine; default: 1 and 8, or 1 alone beside other dimensions, because every
            combination keeps its own copy of packed weights in memory.
        asked: symbol -> sizes, the option `sizes`.

    Raises UnsupportedError for a dimension that cannot be given sizes, or an option that names none.
    """
    signature = package.signature
    batch, rest = batch_symbol(signature), free_symbols(signature)
    asked = _by_symbol(asked)
    if unknown := sorted(set(asked) - set(rest)):
        raise UnsupportedError(f"The option sizes names a dimension {unknown[0]!r} that is not symbolic",
                               expected=", ".join(rest) or "no sizes: only the batch is free")  # fmt: skip
    pads = known_pads(package) if rest else {}
    values = {symbol: _checked("sizes", asked[symbol]) if symbol in asked else _buckets(package, symbol, pads) for symbol in rest}
    exact = tuple(symbol for symbol in rest if not all(name in pads for name in carriers(signature, symbol)))
    if batch is None:
        return Sizes(None, values, pads, exact)
    usual = BATCHES if not rest else BATCHES[:1]
    return Sizes(batch, {batch: _checked("batches", usual if batches is None else batches), **values}, pads, exact)


def batch_symbol(signature: Signature) -> str | None:
    """The symbol that counts rows, if it is free."""
    axes = ((spec.shape, spec.batch_axis) for spec in signature.inputs if spec.batch_axis is not None and spec.shape)
    return next((str(shape[axis]) for shape, axis in axes if isinstance(shape[axis], str)), None)


def free_symbols(signature: Signature) -> list[str]:
    """Symbolic dimensions of the program's inputs other than the batch. A canvas has none: the program holds it whole."""
    batch = batch_symbol(signature)
    shapes = [spec.shape for spec in signature.inputs if spec.canvas is None]
    return list(dict.fromkeys(size for shape in shapes for size in shape if isinstance(size, str) and size != batch))


def carriers(signature: Signature, symbol: str) -> list[str]:
    """Inputs with this dimension."""
    return [spec.name for spec in signature.inputs if spec.canvas is None and symbol in spec.shape]


def known_pads(package: Package) -> dict[str, int]:
    """Typed input -> what a tokenizing step of the codec fills short rows with: it is asked, with a short and a long text."""
    codec = Codec.from_steps(package.content.codec, package.read)
    texts = [field for field in codec.fields if field.type == "text"]
    pads: dict[str, int] = {}
    for field_ in texts:
        encoded = codec.encode({field_.name: ["", " ".join("abcdefgh" * 4)]})
        rows = {name: np.asarray(encoded[name]) for name in field_.inputs}
        pads |= {name: int(row[0, -1]) for name, row in rows.items() if row.ndim == 2}
    return pads


def contract_of(package: Package) -> Contract | None:
    """The package's contract, if it has one."""
    if CONTRACT not in package.content.files:
        return None
    return Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS))


def answerable(contract: Contract, signature: Signature, sizes: Sizes) -> Contract:
    """The contract without golden rows of sizes that were not compiled; a note says how many.

    Raises UnsupportedError when none is left.
    """
    kept = tuple(case for case in contract.cases if all(_fits(case, signature, symbol, sizes.values[symbol]) for symbol in sizes.exact))
    if len(kept) == len(contract.cases):
        return contract
    if not kept:
        asked = {name: sizes.values[name] for name in sizes.exact}
        raise UnsupportedError("No golden row has the sizes that are to be compiled", got=asked,
                               fix="Pass sizes={...} that the contract has, or pack with examples of these sizes.")  # fmt: skip
    left_out = f"{len(contract.cases) - len(kept)} of {len(contract.cases)} calls"
    note = f"golden rows of other sizes of {', '.join(sizes.exact)} are left out: {left_out}"
    return replace(contract, cases=kept, notes=(*contract.notes, note))


def _fits(case: Case, signature: Signature, symbol: str, sizes: tuple[int, ...]) -> bool:
    held = [name for name in carriers(signature, symbol) if name in case.inputs]
    return all(case.inputs[name].shape[signature.input(name).shape.index(symbol)] in sizes for name in held)


def _buckets(package: Package, symbol: str, pads: Mapping[str, Any]) -> tuple[int, ...]:
    """Default sizes: half of the golden rows fit the first, all fit the second, the third is the longest that the codec makes."""
    names = carriers(package.signature, symbol)
    if unknown := [name for name in names if name not in pads]:
        raise UnsupportedError(
            f"The dimension {symbol!r} of {', '.join(map(repr, names))} may have any size, and TFLite has none of that", got=unknown[0],
            expected="an input that the codec pads",
            fix=f"Say which sizes to answer: sizes={{{symbol!r}: {_shown(package, symbol)}}}; others are refused, because nobody knows "
            f"what pads {unknown[0]!r}. Or pack with a fixed size, or compile for onnx-cpu.",
        )  # fmt: skip
    lengths = _lengths(package, symbol, pads)
    limits = [step.get("options", {}).get("max_length") for step in package.content.codec if set(step["produces"]) & set(names)]
    longest = [limit for limit in limits if isinstance(limit, int)]
    usual = {_up(float(np.median(lengths))), _up(max(lengths))} if lengths else set[int]()
    return tuple(sorted({*(size for size in usual if not longest or size < min(longest)), *longest[:1]}))


def _shown(package: Package, symbol: str) -> tuple[int, ...]:
    """Sizes to propose: those of most golden rows."""
    name = carriers(package.signature, symbol)[0]
    axis = package.signature.input(name).shape.index(symbol)
    contract = contract_of(package)
    held = Counter(case.inputs[name].shape[axis] for case in (contract.cases if contract else ()) for _ in range(max(case.rows, 1)))
    return tuple(size for size, _ in held.most_common(1)) or (64, 128)


def _lengths(package: Package, symbol: str, pads: Mapping[str, Any]) -> list[int]:
    """How long each golden row is, without what it was padded with."""
    name = carriers(package.signature, symbol)[0]
    axis = package.signature.input(name).shape.index(symbol)
    contract = contract_of(package)
    rows = [row for case in (contract.cases if contract else ()) for row in case.inputs[name] if axis == 1]
    return [int(np.max(np.flatnonzero(row != pads[name]), initial=0)) + 1 for row in rows if row.ndim == 1]


def _up(length: float) -> int:
    return max(1, -(-int(np.ceil(length)) // _STEP)) * _STEP


def _checked(option: str, given: Any) -> tuple[int, ...]:
    values = list(cast("Iterable[Any]", given)) if isinstance(given, Iterable) and not isinstance(given, str) else []
    if not values or not all(type(value) is int and value > 0 for value in values):
        raise UnsupportedError(f"The option {option} is not a list of sizes", got=repr(given),
                               expected="a list of whole numbers, such as [1, 8]",
                               fix=f"Pass {option}=[{given}]." if option == "batches" and type(given) is int else None)  # fmt: skip
    return tuple(sorted(set(values)))


def _by_symbol(asked: Any) -> dict[str, Any]:
    if asked is not None and not isinstance(asked, Mapping):
        raise UnsupportedError("The option sizes names no dimensions", got=repr(asked),
                               expected='an object, such as {"sequence": [16, 64]}')  # fmt: skip
    return dict(cast("Mapping[str, Any]", asked or {}))


def _key(symbols: Sequence[str], sizes: Sequence[int]) -> str:
    plain = ["".join(char if char.isalnum() else "_" for char in symbol) for symbol in symbols]
    parts = [f"{symbol}{'_' if symbol[-1:].isdigit() else ''}{size}" for symbol, size in zip(plain, sizes, strict=True)]
    return "_".join(parts) or "main"
