"""The pass that lowers precision: Package -> Package with a PrecisionPlan. The program's files stay what they are; runtimes lower."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..runtimes.onnx_weights import read_graph
from ..runtimes.precision.onnx_biases import channel_axis
from ..runtimes.precision.onnx_lower import graph_of
from ..runtimes.precision.onnx_nodes import WEIGHTED, Graph, candidates
from ..runtimes.precision.onnx_static import watched_values
from ..sdk.core.data import Data
from ..sdk.core.errors import InputError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.core.plan import PRECISIONS, Precision, PrecisionPlan
from .base import Ahead, PassContext
from .calibration import ROWS, Calibration, calibrate
from .derive import derive
from .foresight import check_nodes
from .histogram import Method
from .kept_steps import NOWHERE, KeptSteps
from .option_checks import check_choice, check_whole, words
from .settings import Settings
from .smoothing import Smoothing, find_smoothing


@dataclass(frozen=True)
class Quantize:
    """Lower the precision of a program.

        Quantize("int8-static", calibration="percentile", percentile=99.99)

    Attributes:
        precision: "float16", "int8-dynamic", "int8-static" or "int4-weights".
        calibration: how int8-static finds ranges: "min-max", "percentile", "entropy".
        percentile: of the method of that name.
        per_channel: int8 weights have a scale per output channel.
        keep: "stage/node" ids that stay float32.
        rows: rows of the data that calibration looks at.
        smooth: int8-dynamic divides channels of activations by factors first: nothing changes in float, and less is lost in int8.
    """

    kind: ClassVar[str] = "quantize"
    precision: Precision
    calibration: Method = "min-max"
    percentile: float = 99.99
    per_channel: bool = True
    keep: tuple[str, ...] = ()
    rows: int = ROWS
    smooth: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", words("keep", self.keep))
        _ = self.settings  # options that mean nothing are found here
        check_whole("rows", self.rows)
        check_choice("per_channel", self.per_channel, (True, False))
        check_choice("smooth", self.smooth, (True, False))

    @classmethod
    def of(cls, settings: Settings) -> Quantize:
        """The pass that makes what these settings say."""
        return cls(settings.precision, settings.method, settings.percentile, settings.per_channel, settings.kept, smooth=settings.smooth)

    @property
    def settings(self) -> Settings:
        """The choices that the ladder and the search share. Raises InputError for values that do not exist."""
        return Settings(self.precision, self.calibration, self.percentile, self.per_channel, tuple(self.keep), self.smooth)

    def run(self, package: Package, data: Data, context: PassContext) -> Package:
        """The package with a plan, derived from `package`.

        Raises:
            InputError: no rows to calibrate with.
            UnsupportedError: no node of the program can take the class, or one that `keep` names does not exist.
        """
        makes = Plans(package)
        steps = KeptSteps.of(context)
        calibration = makes.calibrate(data, self.rows, context.seed, context.progress, steps) if self.settings.calibrated else None
        smoothing = makes.smooth(data, context.seed, context.progress, steps) if self.settings.smoothed else None
        return derive(package, self.to_dict(), context.out, plan=makes.plan(self.settings, calibration, None, smoothing).to_dict())

    def look_ahead(self, ahead: Ahead) -> Ahead:
        """The same program with a plan. Raises as `run` does, for what is known."""
        settings, package = self.settings, ahead.package
        if package is not None and settings.precision != "float32":
            plans = Plans(package)
            plans.able(settings.precision)
            check_nodes(settings.kept, plans.known, ahead.changed)
        if (settings.calibrated or settings.smoothed) and not len(ahead.data):
            raise InputError("There are no rows to calibrate on", field="data", fix="Pass Data(inputs=...).")
        return replace(ahead, lowered=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what a recipe keeps."""
        named = {
            "calibration" if name == "method" else "keep" if name == "kept" else name: held
            for name, held in self.settings.to_dict().items()
        }
        return {"kind": self.kind, **named} | ({"rows": self.rows} if self.settings.calibrated else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Quantize:
        """Parse a recipe's step."""
        held = {name: value for name, value in data.items() if name != "kind"}
        return cls(keep=tuple(held.pop("keep", ())), **held)


class Plans:
    """Makes PrecisionPlans for one package: which nodes can take a class, and the ranges that they need."""

    def __init__(self, package: Package) -> None:
        self.package = package
        stages = [stage for stage in package.content.stages if stage.kind == "graph"]
        self.graphs: dict[str, Graph] = {stage.name: graph_of(read_graph(package, stage), package.content.boundaries) for stage in stages}

    def nodes(self, precision: Precision) -> list[str]:
        """ "stage/node" ids that can take the class, in the program's order."""
        if precision == "float32":
            return []
        return [f"{stage}/{name}" for stage, graph in self.graphs.items() for name in candidates(graph, precision)]

    @property
    def known(self) -> list[str]:
        """ "stage/node" ids of all nodes that have a name, in the program's order."""
        return [f"{stage}/{name}" for stage, graph in self.graphs.items() for name in graph.named]

    def able(self, precision: Precision) -> list[str]:
        """As `nodes`. Raises UnsupportedError where there are none."""
        if found := self.nodes(precision):
            return found
        raise UnsupportedError(f"No node of {self.package.name!r} can be {precision}", expected=", ".join(self.classes()),
                               fix="Choose one of these, or leave it in float32.")  # fmt: skip

    def classes(self) -> list[Precision]:
        """Classes that some node can take, float32 first."""
        return [precision for precision in PRECISIONS if precision == "float32" or self.nodes(precision)]

    def calibrate(self, data: Data, rows: int = ROWS, seed: int = 0,
                  progress: Callable[[int, int, str], None] = lambda done, of, what: None,
                  steps: KeptSteps = NOWHERE) -> Calibration:  # fmt: skip
        """Histograms of every value that int8-static could need, on whatever target."""
        static = self.nodes("int8-static")
        values = {stage: watched_values(graph, {name for name in graph.named if f"{stage}/{name}" in static})
                  for stage, graph in self.graphs.items()}  # fmt: skip
        return calibrate(self.package, data, values, rows, seed, progress, self._axes(static), steps)

    def _axes(self, static: Sequence[str]) -> dict[str, int]:
        """ "stage/value" -> the axis of its channels, of what int8-static products with weights read; not where they read others."""
        found: dict[str, set[int]] = {}
        for stage, graph in self.graphs.items():
            nodes = [node for name, node in graph.named.items() if f"{stage}/{name}" in static and node.op_type in WEIGHTED]
            for node in nodes:
                if graph.free(node.input[0]):
                    found.setdefault(f"{stage}/{node.input[0]}", set()).add(channel_axis(node))
        return {value: next(iter(axes)) for value, axes in found.items() if len(axes) == 1}

    def smooth(self, data: Data, seed: int = 0,
               progress: Callable[[int, int, str], None] = lambda done, of, what: None,
               steps: KeptSteps = NOWHERE) -> Smoothing:  # fmt: skip
        """Factors of every value that int8-dynamic products read."""
        return find_smoothing(self.package, self.graphs, self.nodes("int8-dynamic"), data, seed=seed, progress=progress, steps=steps)

    def _class(self, name: str, precision: Precision) -> Precision:
        """A lookup has no activations to calibrate: its rows are int8 with a scale each, whatever the products around it are."""
        stage, _, node = name.partition("/")
        lookup = self.graphs[stage].named[node].op_type == "Gather"
        return "int8-dynamic" if lookup and precision == "int8-static" else precision

    def plan(self, settings: Settings, calibration: Calibration | None = None, why: Mapping[str, str] | None = None,
             smoothing: Smoothing | None = None) -> PrecisionPlan:  # fmt: skip
        """The plan of these settings.

        Args:
            settings: class, calibration, nodes to keep.
            calibration: of int8-static.
            why: kept node -> the reason that the plan states; "asked for" where there is none.
            smoothing: of int8-dynamic, where the settings smooth.

        Raises UnsupportedError where no node takes the class, or `kept` names one that does not exist.
        """
        if settings.precision == "float32":
            return PrecisionPlan()
        able = self.able(settings.precision)
        check_nodes(settings.kept, self.known, changed=False)
        plan = PrecisionPlan({name: self._class(name, settings.precision) for name in able}, per_channel=settings.per_channel)
        plan = plan.keep({name: (why or {}).get(name, "asked for") for name in settings.kept if name in plan.nodes})
        if settings.smoothed and smoothing is not None:
            said = {"method": "smoothing", "rows": smoothing.rows, "data": smoothing.digest}
            return replace(plan, calibration=said, smoothing=smoothing.exponents)
        if not settings.calibrated or calibration is None:
            return plan
        ranges = calibration.ranges(settings.method, settings.percentile)
        said = calibration.describe(settings.method, settings.percentile)
        return replace(plan, ranges=ranges, calibration=said, means=calibration.means)
