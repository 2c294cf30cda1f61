"""Which function lowers which ONNX operator, and how that function wants its inputs.

An operator's function takes the `Call` and one argument an input: a tensor, or None for an absent one. Inputs named in
`host` arrive as numpy arrays and must be constants, because a tensor's shape hangs on them; inputs named in `raw` arrive
as they are. All dimensions are static, so shapes are plain integers everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ....sdk.core.signature import Array
from .call import Call, Constant, Result, Value

Lowering = Callable[..., Result]
ALL = tuple(range(16))


@dataclass(frozen=True)
class Operator:
    """A lowering and how it wants its inputs."""

    function: Lowering
    host: tuple[int, ...] = ()
    raw: tuple[int, ...] = ()

    def __call__(self, call: Call, values: Sequence[Value | None]) -> list[Tensor | Array]:
        """The node's outputs. Raises UnsupportedError for forms without a lowering."""
        result = self.function(call, *(self._argument(call, index, value) for index, value in enumerate(values)))
        return list(result) if isinstance(result, list | tuple) else [result]  # type: ignore[list-item]

    def _argument(self, call: Call, index: int, value: Value | None) -> Any:
        if value is None or index in self.raw:
            return value
        if index not in self.host:
            return call.tensor(value)
        if isinstance(value, Constant):
            return value.array
        raise call.refuse(f"its input {index} decides a shape and depends on the data")


OPERATORS: dict[str, Operator] = {}


def operator(*names: str, host: tuple[int, ...] = (), raw: tuple[int, ...] = ()) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of operators of the main domain."""

    def register(function: Lowering) -> Lowering:
        OPERATORS.update({name: Operator(function, host, raw) for name in names})
        return function

    return register


def simple(table: dict[str, Callable[..., Tensor]]) -> None:
    """Register operators whose lowering is one torch function of the inputs, whatever the attributes."""
    for name, function in table.items():
        operator(name)(_without_call(function))


def _without_call(function: Callable[..., Tensor]) -> Lowering:
    def lower(call: Call, *inputs: Tensor) -> Tensor:
        return function(*inputs)

    return lower
