"""Where in a module the values lie that a program holds in int8: found by what they hold on a few rows, not by names.

The plan says which nodes of the program multiply in int8 and which values are rounded for them; a call of the module that makes the same
numbers is the same value, whoever makes it: a layer, `+` in the user's code, a Relu that the program computes with the product before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from onnx import NodeProto

from ..runtimes.precision.onnx_nodes import MOVING, WEIGHTED, Graph
from ..runtimes.precision.onnx_static import held_values
from ..sdk.core.package import Package
from ..sdk.core.plan import PrecisionPlan
from ..sdk.core.signature import Array
from .calibration import Probe
from .qat_calls import CONVOLUTIONS, Call, Key

ALIKE = 1e-3
"""Two values are the same where they differ by at most this share of the largest number: two engines sum in different orders."""
UNSEEN = "the module does not compute it in a call that can be trained in int8"


@dataclass(frozen=True)
class Product:
    """A convolution or product that multiplies in int8.

    Attributes:
        node: its "stage/node" in the program.
        axis: of its weight in the module that counts what it puts out.
        biased: its bias is part of the node, and must have a code.
        reads: the value that it reads.
        enters: that value is made by float nodes, and rounded for int8 nodes alone.
    """

    node: str
    axis: int
    biased: bool
    reads: str
    enters: bool


@dataclass(frozen=True)
class Places:
    """What is rounded where.

    Attributes:
        products: call -> the product that it is.
        results: call -> the value that it makes, which every reader takes rounded.
        lost: "stage/node" -> why it cannot be trained in int8.
        modules: "stage/node" of a product -> dotted name of the module that it is called in.
    """

    products: Mapping[Key, Product] = field(default_factory=dict[Key, Product])
    results: Mapping[Key, str] = field(default_factory=dict[Key, str])
    lost: Mapping[str, str] = field(default_factory=dict[str, str])
    modules: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def values(self) -> list[str]:
        """All values that are rounded."""
        entering = [held.reads for held in self.products.values() if held.enters]
        return list(dict.fromkeys([*entering, *self.results.values()]))


def find_places(package: Package, graphs: Mapping[str, Graph], plan: PrecisionPlan, calls: Sequence[Call],
                wire: Mapping[str, Any]) -> Places:  # fmt: skip
    """Places of every int8-static node of a plan.

    Args:
        package: whose program it is; float.
        graphs: of its stages.
        plan: asks for int8-static, with ranges.
        calls: of the module, on the rows that `wire` holds.
        wire: those rows as a user sends them.
    """
    inner = _values(package, graphs, wire)
    places = Places()
    for stage, graph in graphs.items():
        names = {name for name, held in plan.stage(stage).nodes.items() if held == "int8-static"}
        found = _Stage(stage, graph, calls, inner)
        places = _joined(places, found.places(names, plan))
    return places


def _values(package: Package, graphs: Mapping[str, Graph], wire: Mapping[str, Any]) -> dict[str, Array]:
    """ "stage/value" -> what it holds, of all that nodes make which can be int8."""
    wanted = {stage: [name for node in graph.nodes if node.op_type not in MOVING for name in graph.results(node) if graph.free(name)]
              for stage, graph in graphs.items()}  # fmt: skip
    probe = Probe(package, {stage: list(dict.fromkeys(names)) for stage, names in wanted.items()})
    try:
        return probe.run(wire)[1]
    finally:
        probe.close()


def _joined(one: Places, other: Places) -> Places:
    return Places(*({**getattr(one, name), **getattr(other, name)} for name in ("products", "results", "lost", "modules")))


def source(graph: Graph, value: str) -> str:
    """The value before it was moved (reshaped, pooled by the largest): it has the same scale."""
    while (maker := graph.maker.get(value)) is not None and maker.op_type in MOVING:
        value = maker.input[0]
    return value


@dataclass
class _Stage:
    """One stage's graph beside the module's calls."""

    stage: str
    graph: Graph
    calls: Sequence[Call]
    inner: Mapping[str, Array]
    called: dict[str, Call] = field(default_factory=dict[str, Call])
    """Product's node -> the call that it is."""

    def places(self, names: set[str], plan: PrecisionPlan) -> Places:
        """Nodes that are not found, or whose results are not, stay float; what then is rounded is looked at again."""
        self.called = self._products(name for name in names if self._weighted(name))
        lost = {name for name in names if self._weighted(name) and name not in self.called}
        ranges = plan.stage(self.stage).ranges
        while True:
            held = held_values(self.graph, names - lost, ranges)
            results = {value: self._maker(value) for value, owned in held.items() if self._rounded(value, owned, names - lost)}
            missing = {name for name in names - lost if any(results.get(value, "") is None for value in self._results(name))}
            if not missing:
                break
            lost |= missing
        found = {name: self._product(name, held) for name in sorted(names - lost) if self._weighted(name)}
        return Places({self.called[name].key: held for name, held in found.items()},
                      {call.key: f"{self.stage}/{value}" for value, call in results.items() if call is not None},
                      {f"{self.stage}/{name}": UNSEEN for name in sorted(lost)},
                      {f"{self.stage}/{name}": self.called[name].key[0] for name in found})  # fmt: skip

    def _weighted(self, name: str) -> bool:
        return self.graph.named[name].op_type in WEIGHTED

    def _results(self, name: str) -> list[str]:
        return self.graph.results(self.graph.named[name])

    def _rounded(self, value: str, owned: bool, names: set[str]) -> bool:
        """It is rounded where it is made: unless it was moved there in int8, or enters a product, which rounds what it reads."""
        maker = self.graph.maker.get(value)
        if owned:
            return maker is not None and maker.op_type not in MOVING
        return maker is not None and any(reader.name in names and reader.op_type not in WEIGHTED for reader in self.graph.readers[value])

    def _product(self, name: str, held: Mapping[str, bool]) -> Product:
        node, call = self.graph.named[name], self.called[name]
        axis = 0 if call.key[1] in (*CONVOLUTIONS, "linear") else -1
        before = source(self.graph, node.input[0])
        reads = before if before in held else node.input[0]
        biased = self.graph.weight(node, 2) is not None
        return Product(f"{self.stage}/{name}", axis, biased, f"{self.stage}/{reads}", not held.get(before, False))

    def _products(self, names: Iterable[str]) -> dict[str, Call]:
        """Products by their weights; those of equal weights in the order in which they run."""
        free = [call for call in self.calls if call.weight is not None]
        found: dict[str, Call] = {}
        wanted = set(names)
        for node in self.graph.nodes:
            if node.name not in wanted:
                continue
            call = next((call for call in free if _same_weight(self.graph, node, call)), None)
            if call is not None:
                found[node.name] = call
                free.remove(call)
        return found

    def _maker(self, value: str) -> Call | None:
        """The first call that makes the value."""
        held = self.inner.get(f"{self.stage}/{value}")
        return None if held is None else next((call for call in self.calls if alike(call.value.numpy(), held)), None)


def _same_weight(graph: Graph, node: NodeProto, call: Call) -> bool:
    weight, own = graph.held(node), call.weight
    if own is None or own.numel() != weight.size:
        return False
    value = own.detach().numpy()
    return alike(value, weight) or (value.ndim == 2 and alike(value.T, weight))


def alike(one: Array, other: Array) -> bool:
    """The same numbers in the same order; shapes may differ by axes of one, and by how rows are counted."""
    if one.size != other.size or one.dtype.kind != "f":
        return False
    if one.shape != other.shape and [size for size in one.shape if size != 1] != [size for size in other.shape if size != 1]:
        flat = one.ndim != other.ndim and one.shape[-1:] == other.shape[-1:]
        if not flat:
            return False
    largest = float(np.abs(other).max()) if other.size else 0.0
    return float(np.abs(one.reshape(-1) - other.reshape(-1)).max()) <= ALIKE * largest


def without(places: Places, unseen: Iterable[Key]) -> Places:
    """Places without the calls that training never made; their nodes are lost."""
    gone = set(unseen)
    lost = {held.node: UNSEEN for key, held in places.products.items() if key in gone}
    products = {key: held for key, held in places.products.items() if key not in gone}
    results = {key: held for key, held in places.results.items() if key not in gone}
    return replace(places, products=products, results=results, lost={**places.lost, **lost})
