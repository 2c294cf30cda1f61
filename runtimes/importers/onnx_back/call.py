"""One ONNX node as an operator's function sees it, and the constants it works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from ....sdk.core.errors import UnsupportedError
from ....sdk.core.signature import Array

MAIN_DOMAINS = frozenset({"", "ai.onnx"})


@dataclass(frozen=True, eq=False)
class Constant:
    """A value known before any data is: a weight, a shape, or what was computed from those alone."""

    array: Array

    @cached_property
    def key(self) -> str:
        """A name for the content; equal arrays share it."""
        head = f"{self.array.dtype.str}{self.array.shape}".encode()
        return blake2b(head + np.ascontiguousarray(self.array).tobytes(), digest_size=16).hexdigest()


Value: TypeAlias = Tensor | Constant
Result: TypeAlias = Tensor | Array | Sequence[Tensor | Array]


@dataclass(frozen=True)
class Call:
    """A node, its opset, and where its constants become tensors.

    Attributes:
        attributes: decoded: numbers, text, lists of them, numpy arrays for tensors, GraphProto for graphs.
        outputs: names of the outputs; "" for one that nobody reads.
        place: a constant as a tensor: a registered buffer, or a free tensor while constants are folded.
        nonnegative: for each input, whether it is known to hold no negative number.
    """

    type: str
    name: str
    opset: int
    attributes: dict[str, Any]
    outputs: tuple[str, ...]
    place: Callable[[Constant], Tensor]
    nonnegative: tuple[bool, ...] = field(default=())

    def tensor(self, value: Value | Array) -> Tensor:
        """`value` as a tensor."""
        if isinstance(value, Tensor):
            return value
        return self.place(value if isinstance(value, Constant) else Constant(value))

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        return self.attributes.get(name, default)

    def ints(self, name: str, given: Array | None = None) -> list[int] | None:
        """Integers that newer opsets give as an input and older ones as an attribute; None without either."""
        found = self.attributes.get(name) if given is None else given
        return None if found is None else [int(number) for number in np.asarray(found).reshape(-1)]

    def wants(self, index: int) -> bool:
        """Whether somebody reads output `index`."""
        return index < len(self.outputs) and self.outputs[index] != ""

    def refuse(self, why: str) -> UnsupportedError:
        """The error for a form of the operator that has no lowering."""
        return UnsupportedError(f"The ONNX operator {self.type} (node {self.name!r}) has no lowering here: {why}")


def decode(node: NodeProto) -> dict[str, Any]:
    """The attributes of a node as Python values."""
    return {attribute.name: _plain(helper.get_attribute_value(attribute)) for attribute in node.attribute}


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The graphs among the node's attributes."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def title(node: NodeProto) -> str:
    """A node by type and name, with its domain where that is not ONNX's own."""
    kind = node.op_type if node.domain in MAIN_DOMAINS else f"{node.domain}:{node.op_type}"
    return f"{kind} ({node.name or ', '.join(node.output)})"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]  # type: ignore[misc]
    return value
