"""Opaque operators: a thing that torch cannot trace stands in the graph as one node and is replaced afterwards.

A tree ensemble or a third-party ONNX model is called inside traced torch code. While tracing, `Opaques.call` puts one
node of the domain "portside" into the exported graph; it computes nothing. After the export to ONNX the node is found by
its handle and cut out (`runtimes/onnx_split.py`, trees) or replaced by a graph (`runtimes/onnx_inline.py`, ONNX models):

    opaques = Opaques()

    def forward(x):                                        # traced
        (raw,) = opaques.call("Trees", ensemble, [x], [Output(torch.float32, (x.shape[0], 3))])
        return raw.argmax(-1)
    ...
    for part in split(model):                              # after the export
        if isinstance(part, OpaquePart):
            ensemble = opaques.held[part.handle]

Shapes may hold the traced tensors' own dimensions (`x.shape[0]`), so that a dynamic batch stays dynamic. The mechanism
is torch's public `torch.onnx.ops.symbolic_multi_out`, which works under `torch.export` and becomes an ONNX node of the
same name. Outside tracing it returns zeros: give the source model to callers that want numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..onnx_split import DOMAIN


@dataclass(frozen=True)
class Output:
    """What an opaque node returns: a dtype, and a shape of ints and dimensions of traced tensors."""

    dtype: torch.dtype
    shape: Sequence[Any]


class Opaques:
    """The opaque things of one trace, by handle.

    Attributes:
        held: handle ("0", "1", ...) -> the object given to `call`.
    """

    def __init__(self) -> None:
        self.held: dict[str, object] = {}

    def register(self, thing: object) -> str:
        """The handle of `thing`: the same object always has the same one."""
        for handle, held in self.held.items():
            if held is thing:
                return handle
        handle = str(len(self.held))
        self.held[handle] = thing
        return handle

    def call(self, op: str, thing: object, inputs: Sequence[torch.Tensor], outputs: Sequence[Output]) -> tuple[torch.Tensor, ...]:
        """Put one node `portside.<op>` into the traced graph and return its symbolic outputs.

        Args:
            op: operator name, e.g. "Trees" or "Onnx".
            thing: what the node stands for; found again by the node's attribute `handle`.
            inputs: tensors that it reads, in order.
            outputs: dtype and shape of each tensor that it returns.
        """
        return tuple(
            torch.onnx.ops.symbolic_multi_out(
                f"{DOMAIN}::{op}",
                list(inputs),
                {"handle": self.register(thing)},
                dtypes=[output.dtype for output in outputs],
                shapes=[list(output.shape) for output in outputs],
                version=1,
            )
        )
