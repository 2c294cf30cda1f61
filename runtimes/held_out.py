"""Held-out rows as cases: what a package's own float program answers to them, and which of its decisions are firm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..sdk.core.codec.codec import Codec
from ..sdk.core.contract import Case, Rule
from ..sdk.core.data import Data
from ..sdk.core.package import Package
from .parity import DISCRETE
from .subjects import rows_at_once

KEPT_BYTES = 1 << 30
"""Cases up to this size are made once for all targets; larger sets are made again for each."""


class HeldOut:
    """Cases of held-out rows, for one target after the other.

    References and firm rows take many runs of the float program, so they are kept while they fit into `KEPT_BYTES`.
    """

    def __init__(self, package: Package, data: Data, rules: Mapping[str, Rule]) -> None:
        self._package, self._data, self._rules = package, data, rules
        self._kept: list[Case] | None = None

    def cases(self) -> Iterable[Case]:
        """Every case, in the order of the rows."""
        return self._kept if self._kept is not None else self._made()

    def _made(self) -> Iterator[Case]:
        kept, size = list[Case](), 0
        for case in held_out(self._package, self._data, self._rules):
            size += sum(np.asarray(value).nbytes for value in (*case.inputs.values(), *case.outputs.values()))
            if size <= KEPT_BYTES:
                kept.append(case)
            else:
                kept.clear()
            yield case
        self._kept = kept if size <= KEPT_BYTES else None


def held_out(package: Package, data: Data, rules: Mapping[str, Rule]) -> Iterator[Case]:
    """Held-out rows as cases whose references and firm rows come from the package's float program, batch by batch."""
    from .firm import Firmness  # imports onnx, which a device that re-verifies its artifact does not have

    codec = Codec.from_steps(package.content.codec, package.read)
    firmness = Firmness(package, discrete(rules))
    try:
        for batch in data.batches(rows_at_once(package.signature)):
            typed: Any = codec.encode(batch.inputs)
            slices = {name: tuple(str(group) for group in groups) for name, groups in batch.slices.items()}
            outputs, firm = firmness.answer(typed)
            yield Case(typed, outputs, firm, ("held out",) * len(batch), slices)
    finally:
        firmness.close()


def discrete(rules: Mapping[str, Rule]) -> list[str]:
    """Outputs whose answers flip rather than drift."""
    return [name for name, rule in rules.items() if rule.kind in DISCRETE]
