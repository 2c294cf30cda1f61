"""A rough estimate of what a signature costs, from its file alone, so that it is the same on every machine that compiles.

It decides one thing: whether rows that fill no batch are better run one by one or as one padded batch. Small networks are all
overhead, and eight rows cost them what one does; a convolution costs eight times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from .plan import Plan
from .weights import open_model, operator_names

OPERATOR_NS, ELEMENT_NS, PICKED_NS, PRODUCT_NS = 250.0, 0.6, 4.0, 0.04
"""Per operator, per element that it makes (or picks), and per multiplication; fitted to one thread of an x86-64 server."""
_PICKING = ("GATHER", "GATHER_ND", "EMBEDDING_LOOKUP", "SELECT", "SELECT_V2")
_PRODUCTS = {"CONV_2D": (1, 2, 3), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1,), "BATCH_MATMUL": (), "TRANSPOSE_CONV": (1, 2, 3)}
"""Operator -> axes of its weights that one output element sums over."""


def filled(plan: Plan, file: Path) -> Plan:
    """The plan with its `fill`: from which share of the largest batch on padding it is cheaper than single rows."""
    if plan.batch is None:
        return plan
    by_batch = sorted(plan.signatures, key=lambda key: tuple(plan.signatures[key].values()))
    one, many = by_batch[0], max(by_batch, key=lambda key: plan.signatures[key][plan.batch or ""])
    rows = [plan.signatures[key][plan.batch] for key in (one, many)]
    if rows[0] == rows[1]:
        return plan
    costs = estimates(file)
    return replace(plan, fill=round(min(1.0, costs[many] / costs[one] * rows[0] / rows[1]), 2))


def estimates(file: Path) -> Mapping[str, float]:
    """Signature -> estimated ns of a call, in one thread."""
    model = open_model(file)
    names = operator_names(model)
    found: dict[str, float] = {}
    for place in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(place)
        found[signature.SignatureKey().decode()] = _estimate(model.Subgraphs(signature.SubgraphIndex()), names)
    return found


def _estimate(graph: Any, names: list[str]) -> float:
    total = 0.0
    for operator in (graph.Operators(place) for place in range(graph.OperatorsLength())):
        made = sum(_size(graph, place) for place in operator.OutputsAsNumpy())
        name = names[operator.OpcodeIndex()]
        each = PICKED_NS if name in _PICKING else ELEMENT_NS
        total += OPERATOR_NS + made * (each + PRODUCT_NS * _summed(graph, operator, name))
    return total


def _summed(graph: Any, operator: Any, name: str) -> int:
    if name == "BATCH_MATMUL":
        return int(_shape(graph, operator.Inputs(0))[-1])
    shape = _shape(graph, operator.Inputs(1)) if name in _PRODUCTS else []
    return prod(int(shape[axis]) for axis in _PRODUCTS.get(name, ())) if shape else 0


def _size(graph: Any, place: int) -> int:
    return prod(_shape(graph, place))


def _shape(graph: Any, place: int) -> list[int]:
    tensor = graph.Tensors(place)
    return [int(tensor.Shape(axis)) for axis in range(tensor.ShapeLength())]
