"""The plan's own ranges, for those values of a `.tflite` file that are values of the program too.

What a node with weights reads and writes is the same in both, unless the converter folded a scale into the weights. Its result is
taken behind the activation that follows it: that is fused into the operator, or cuts what the operator makes anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import GraphProto

from ...sdk.core.plan import Range
from .tflite_fingerprints import Fingerprint
from .tflite_mapping import Placed
from .tflite_ranges import as_range

_ACTIVATIONS = ("Relu", "Clip")
SAME_NORM = 1e-3
"""Weights whose norms differ by more than this share were scaled."""


def planned(graph: GraphProto, stage: str, ranges: Mapping[str, Range]) -> dict[str, tuple[Range | None, Range | None]]:
    """Node id -> the ranges of what it reads and of what it writes, where the plan has them.

    Args:
        graph: of the stage.
        stage: its name.
        ranges: "stage/value" -> range.
    """
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: dict[str, tuple[Range | None, Range | None]] = {}
    for node in graph.node:
        after = readers.get(node.output[0], [])
        activated = len(after) == 1 and after[0].op_type in _ACTIVATIONS
        made = after[0].output[0] if activated else node.output[0]
        found[f"{stage}/{node.name}"] = (ranges.get(f"{stage}/{node.input[0]}") if node.input else None, ranges.get(f"{stage}/{made}"))
    return found


def in_file(placed: Placed, prints: Mapping[str, Fingerprint], ranges: Mapping[str, tuple[Range | None, Range | None]]) -> dict[str, Any]:
    """Name of a tensor, "graph/number" -> its range, in the quantizer's own words.

    Args:
        placed: where the nodes are.
        prints: id -> its weights in the program.
        ranges: by node id, as `planned` returns.
    """
    found: dict[str, Any] = {}
    for name, ones in placed.operators.items():
        for one in ones:
            if one.print is None or abs(one.print.norm - prints[name].norm) > SAME_NORM * prints[name].norm:
                continue
            for tensors, held in zip((one.reads, one.makes), ranges.get(name, (None, None)), strict=True):
                if held is not None and len(tensors) == 1:
                    found[f"{one.graph}/{tensors[0]}"] = as_range(*held)
    return found
