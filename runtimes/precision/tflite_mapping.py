"""Which operators of a `.tflite` file are which nodes of the plan: by their weights, ties by order.

A node whose weights were changed beyond recognition is taken for the operator of the same size at the same place, where as many
nodes of that size are left as operators. A mistake here costs precision at another layer than was asked; never an answer's meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .tflite_fingerprints import Fingerprint
from .tflite_operators import Operator


@dataclass(frozen=True)
class Placed:
    """Where the nodes of a plan went.

    Attributes:
        operators: node id -> its operator in each graph.
        missing: node id -> why it has none.
        guessed: ids that were placed by size and order alone.
    """

    operators: Mapping[str, tuple[Operator, ...]]
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    guessed: tuple[str, ...] = ()


def place(wanted: Iterable[str], prints: Sequence[Fingerprint], graphs: Sequence[Sequence[Operator]]) -> Placed:
    """Find the nodes `wanted` in every graph.

    Args:
        wanted: ids of nodes, all among the names of `prints`.
        prints: of all the program's nodes with weights, in order: those that are not wanted take their operators too.
        graphs: per signature, its operators.
    """
    found = [_in_graph(prints, operators) for operators in graphs]
    operators: dict[str, tuple[Operator, ...]] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        held = [matched[name] for matched, _ in found if name in matched]
        if graphs and len(held) == len(graphs):
            operators[name] = tuple(held)
        else:
            missing[name] = f"{len(held)} of {len(graphs)} signatures hold an operator with its weights"
    guessed = {name for _, guesses in found for name in guesses}
    return Placed(operators, missing, tuple(name for name in operators if name in guessed))


def _in_graph(prints: Sequence[Fingerprint], operators: Sequence[Operator]) -> tuple[dict[str, Operator], set[str]]:
    """(node -> operator, nodes placed by size and order)."""
    free = [operator for operator in operators if operator.print is not None]
    matched: dict[str, Operator] = {}
    for node in prints:
        same = [operator for operator in free if operator.print is not None and operator.print.same(node)]
        if same:
            matched[node.name] = same[0]
            free.remove(same[0])
        elif (twin := _twin(node, prints, matched)) is not None:
            matched[node.name] = twin
    guesses: set[str] = set()
    for size in dict.fromkeys(node.size for node in prints if node.name not in matched):
        nodes = [node.name for node in prints if node.name not in matched and node.size == size]
        left = [operator for operator in free if operator.print is not None and operator.print.size == size]
        if len(nodes) == len(left):
            matched |= dict(zip(nodes, left, strict=True))
            guesses.update(nodes)
    return matched, guesses


def _twin(node: Fingerprint, prints: Sequence[Fingerprint], matched: Mapping[str, Operator]) -> Operator | None:
    """The operator of another node with the same weights: the converter made one of two equal calls."""
    return next((matched[other.name] for other in prints if other.name in matched and other.same(node)), None)
