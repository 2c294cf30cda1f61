"""A stage's PrecisionPlan for TensorRT: the same classes as on any target, written as its strongly typed networks want them.

- int8-static: pairs of int8 about zero, scales per channel, biases in float32; as float8 (e4m3) where that is asked for.
- float16, int4-weights: `tensorrt_half.py`.
- int8-dynamic: TensorRT quantizes no activation per call, so these nodes stay in float32 and are named.

What no class can hold here is named under "kept", as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

from onnx import ModelProto

from ...sdk.core.package import Package
from ...sdk.core.plan import Precision, PrecisionPlan, plan_of
from ..onnx_extract import lift
from .onnx_lower import Achieved, graph_of
from .onnx_nodes import candidates
from .onnx_schemes import FLOAT8, INT8
from .onnx_static import lower_static
from .tensorrt_half import lower_blocks, lower_half

EightBits: TypeAlias = Literal["int8", "float8"]
EIGHT_BITS: tuple[EightBits, ...] = get_args(EightBits)
_OPSETS = {"int8": 13, "float8": 19, "int4": 21}
"""The first opset whose DequantizeLinear holds such codes."""
_NOT_HERE = {
    "int8-dynamic": "TensorRT quantizes no activation per call",
    "int8-static": "it cannot be computed in 8 bits here",
    "float16": "it has no weight to hold in float16",
    "int4-weights": "it is no product of a constant matrix",
}


class TensorRTPrecision:
    """The plan of a package, applied stage by stage while its program is assembled.

    Args:
        package: has the plan.
        eight: what 8-bit classes compute in.
    """

    def __init__(self, package: Package, eight: EightBits = "int8") -> None:
        self._plan = plan_of(package.content.plan)
        self._eight: EightBits = eight
        self._boundaries = package.content.boundaries
        self.achieved = Achieved(asked=self._plan.counts, kept=dict(self._plan.kept))

    @property
    def lossy(self) -> bool:
        """Some node of the stages lowered so far computes below float32."""
        return self.achieved.lossy

    def record(self) -> dict[str, Any]:
        """What the artifact keeps under `engine`; nothing for a package without a plan."""
        return {"precision": {**self.achieved.to_dict(), "eight bits": self._eight}} if self._plan.nodes else {}

    def __call__(self, stage: str, model: ModelProto) -> ModelProto:
        """The stage's model in the precision that the plan asks for."""
        plan = self._plan.stage(stage)
        if not plan.lossy:
            return model
        lowered, kept = lower(model, plan, self._boundaries, self._eight)
        self.achieved.nodes |= {f"{stage}/{name}": held for name, held in plan.nodes.items() if name not in kept and held != "float32"}
        self.achieved.kept |= {f"{stage}/{name}": why for name, why in kept.items()}
        return lowered


def lower(model: ModelProto, plan: PrecisionPlan, boundaries: Mapping[str, tuple[str, ...]],
          eight: EightBits = "int8") -> tuple[ModelProto, dict[str, str]]:  # fmt: skip
    """One stage in the precision of its plan, and node -> why for those that stayed float32.

    Args:
        model: one stage, float.
        plan: of that stage, without its name.
        boundaries: of the package.
        eight: what 8-bit classes compute in.

    Raises FormatError for a model of an old opset that onnx cannot convert.
    """
    classes: set[Precision] = {held for held in plan.nodes.values() if held != "float32"}
    kinds = [_OPSETS[eight]] * ("int8-static" in classes) + [_OPSETS["int4"]] * ("int4-weights" in classes)
    model = lift(model, max(kinds)) if kinds else model
    graph = graph_of(model, boundaries)
    able = {precision: set(candidates(graph, precision)) for precision in classes}
    able["int8-dynamic"] = set()
    if "int8-static" in able:
        able["int8-static"] = {name for name in able["int8-static"] if graph.named[name].op_type != "Gather"}
    kept = {name: _NOT_HERE[held] for name, held in plan.nodes.items() if held != "float32" and name not in able[held]}
    chosen = {held: {name for name, wanted in plan.nodes.items() if wanted == held and name not in kept} for held in classes}
    if static := chosen.get("int8-static", set[str]()):
        scheme = INT8 if eight == "int8" else FLOAT8
        model, missing = lower_static(graph, static, plan.ranges, plan.per_channel, means=plan.means, scheme=scheme)
        kept |= missing
    if blocks := chosen.get("int4-weights", set[str]()):
        model, missing = lower_blocks(graph_of(model, boundaries), blocks)
        kept |= missing
    if halves := chosen.get("float16", set[str]()):
        model = lower_half(graph_of(model, boundaries), halves)
    return model, kept
