"""A stage's PrecisionPlan on ONNX: every class lowered in the scheme that ONNX Runtime runs fast, and what was achieved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from onnx import ModelProto

from ...sdk.core.package import Package
from ...sdk.core.plan import Precision, PrecisionPlan, plan_of
from ..onnx_extract import lift
from .onnx_nodes import Graph, candidates
from .onnx_outer import split_differences
from .onnx_smooth import smooth
from .onnx_static import LARGEST, REDUCED, lower_static
from .onnx_weights import lower_weights

INT8_OPSET = 13
"""The first one whose DequantizeLinear has an axis; files of others can be older."""


@dataclass
class Achieved:
    """What a compile made of a plan.

    Attributes:
        asked: class -> nodes that the plan names.
        nodes: "stage/node" -> class that the file has.
        kept: "stage/node" -> why it stayed float32.
        smoothed: "stage/value" -> "folded" into constants, or "scaled" by a Mul.
    """

    asked: dict[str, int] = field(default_factory=dict[str, int])
    nodes: dict[str, str] = field(default_factory=dict[str, str])
    kept: dict[str, str] = field(default_factory=dict[str, str])
    smoothed: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def lossy(self) -> bool:
        """Some node computes below float32."""
        return bool(self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what an artifact records."""
        counts, smoothed = (dict(Counter(held.values())) for held in (self.nodes, self.smoothed))
        kept, nodes = (dict(sorted(held.items())) for held in (self.kept, self.nodes))
        found: dict[str, Any] = {"asked": self.asked, "achieved": counts, "kept": kept, "nodes": nodes}
        return found | ({"smoothed": smoothed} if smoothed else {})


class OnnxPrecision:
    """The plan of a package, applied stage by stage while its program is assembled.

    Args:
        package: has the plan.
        reduced: weights that are multiplied in int8 have 7 bits.
        notes: what the artifact says beside.
    """

    def __init__(self, package: Package, reduced: bool = False, notes: Sequence[str] = ()) -> None:
        self._reduced, self._notes = reduced, tuple(notes)
        self._plan = plan_of(package.content.plan)
        self._boundaries = package.content.boundaries
        self.achieved = Achieved(asked=self._plan.counts, kept=dict(self._plan.kept))

    @property
    def lossy(self) -> bool:
        """Some node of the stages lowered so far computes below float32."""
        return self.achieved.lossy

    def record(self) -> dict[str, Any]:
        """What the artifact keeps under `engine`; nothing for a package without a plan."""
        held = self.achieved.to_dict() | ({"reduced": self._reduced, "notes": list(self._notes)} if self._notes and self.integer else {})
        return {"precision": held} if self._plan.nodes else {}

    @property
    def integer(self) -> bool:
        """Some node multiplies in int8."""
        return any(held.startswith("int8") for held in self.achieved.nodes.values())

    def __call__(self, stage: str, model: ModelProto) -> ModelProto:
        """The stage's model in the precision that the plan asks for."""
        plan = self._plan.stage(stage)
        if not plan.lossy:
            return model
        model, how = smoothed(model, plan, self._boundaries)
        lowered, kept = lower(model, replace(plan, smoothing={}), self._boundaries, REDUCED if self._reduced else LARGEST)
        self.achieved.nodes |= {f"{stage}/{name}": held for name, held in plan.nodes.items() if name not in kept and held != "float32"}
        self.achieved.kept |= {f"{stage}/{name}": why for name, why in kept.items()}
        self.achieved.smoothed |= {f"{stage}/{name}": held for name, held in how.items()}
        return split_differences(lowered)


def lower(model: ModelProto, plan: PrecisionPlan, boundaries: Mapping[str, tuple[str, ...]],
          largest: int = LARGEST) -> tuple[ModelProto, dict[str, str]]:  # fmt: skip
    """One stage in the precision of its plan, and node -> why for those that stayed float32.

    Args:
        model: one stage, float.
        plan: of that stage, without its name.
        boundaries: of the package.
        largest: code of a weight that is multiplied in int8.

    Raises FormatError for a model of an old opset that onnx cannot convert to one that has scales per channel.
    """
    if any(held.startswith("int8") for held in plan.nodes.values()):
        model = lift(model, INT8_OPSET)
    model, _ = smoothed(model, plan, boundaries)
    graph = graph_of(model, boundaries)
    able = {precision: set(candidates(graph, precision)) for precision in set(plan.nodes.values()) - {"float32"}}
    kept = {name: _why(graph, name) for name, precision in plan.nodes.items() if precision != "float32" and name not in able[precision]}
    held: dict[str, Precision] = {name: precision for name, precision in plan.nodes.items() if name not in kept and precision != "float32"}
    static = {name for name, precision in held.items() if precision == "int8-static" and graph.named[name].op_type != "Gather"}
    if static:
        model, missing = lower_static(graph, static, plan.ranges, plan.per_channel, largest, plan.means)
        kept |= missing
    others: dict[str, Precision] = {name: precision for name, precision in held.items() if name not in static}
    return (lower_weights(graph_of(model, boundaries), others, plan.per_channel, largest), kept) if others else (model, kept)


def smoothed(model: ModelProto, plan: PrecisionPlan, boundaries: Mapping[str, tuple[str, ...]]) -> tuple[ModelProto, dict[str, str]]:
    """One stage, still float, with the values smoothed that its int8-dynamic products read; value -> how."""
    if not plan.smoothing:
        return model, {}
    graph = graph_of(model, boundaries)
    able = [name for name in candidates(graph, "int8-dynamic") if plan.nodes.get(name) == "int8-dynamic"]
    products = {name for name in able if graph.named[name].op_type != "Gather"}
    return smooth(graph, plan.smoothing, products, {name for names in boundaries.values() for name in names})


def graph_of(model: ModelProto, boundaries: Mapping[str, tuple[str, ...]]) -> Graph:
    """The graph between the features and the end of the model."""
    return Graph(model, boundaries.get("features", ()), boundaries.get("model", ()))


def _why(graph: Graph, name: str) -> str:
    node = graph.named.get(name)
    return "the stage has no such node" if node is None else f"{node.op_type} has no fast form in this class here"
