"""From a graph's file to what can be loaded: every step's packages, the links between them, the plan; all checked.

`resolve` takes any deployment: one with a champion goes to cloud/deployment/resolving.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...sdk.core.codec.codec import Codec
from ...sdk.core.codec.step import WireField
from ...sdk.core.errors import PortsideError
from ...sdk.core.manifest import digest_of
from ...sdk.core.signature import Array, Signature
from ..deployment import resolving as single
from ..deployment.file import Deployment
from ..deployment.resolving import Resolved, ResolvedModel
from ..deployment.sections import Failover, Model
from ..deployment.steps import Step, TopK
from . import references
from .fitting import Part, RequestField
from .plan import Cut, Plan, StepPlan
from .reaching import Reach, in_order
from .references import REQUEST, Reference
from .wiring import Wiring


@dataclass(frozen=True)
class ResolvedStep:
    """One step whose packages exist.

    Attributes:
        resolved: the step as a deployment of its own.
        plan: the step as the plan sees it.
        feeds: field of its package -> where it comes from.
        default: what its fallback ends with, for one row, with names of categories; None: nothing.
    """

    settings: Step
    resolved: Resolved
    plan: StepPlan
    feeds: Mapping[str, Reference]
    default: Mapping[str, Array] | None


@dataclass(frozen=True)
class GraphCodec(Codec):
    """What doors ask a codec for: the fields of the request. Each step encodes for itself, and answers with names."""

    held: tuple[WireField, ...] = ()

    def wire_fields(self, signature: Signature) -> tuple[WireField, ...]:
        """The fields of the request."""
        return self.held


@dataclass(frozen=True)
class Front:
    """What stands in a champion's place behind the doors."""

    codec: Codec
    signature: Signature
    digest: str
    name: str
    settings: Model = field(default_factory=lambda: Model(package="."))


@dataclass(frozen=True)
class ResolvedGraph(Resolved):
    """A graph whose every step exists. `entries`: the steps' models.

    Attributes:
        steps: in an order in which each comes after those it needs.
        plan: what runs when, and where the answer comes from.
        fields: what callers send.
        front: what the doors see.
    """

    steps: tuple[ResolvedStep, ...]
    plan: Plan
    fields: Mapping[str, RequestField]
    front: Front

    @property
    def champion(self) -> Any:
        """The front: there is no single model."""
        return self.front

    @property
    def signature(self) -> Signature:
        """Fields of the request that are tensors, and the outputs of the answer."""
        return self.front.signature


def resolve(deployment: Deployment) -> Resolved:
    """Make every entry of a deployment exist, see cloud/deployment/resolving.py.

    Raises FormatError also for a graph whose steps do not fit together; names the line.
    """
    return resolve_graph(deployment) if deployment.step else single.resolve(deployment)


def resolve_graph(deployment: Deployment) -> ResolvedGraph:
    """The packages of a graph, and its plan. Raises PortsideError."""
    ends = times_of(deployment)
    resolved = {step.name: _resolved(deployment, step, ends) for step in deployment.step}
    parts = {step.name: _part(step, resolved[step.name]) for step in deployment.step}
    wiring = Wiring(parts, deployment.answer, deployment.place)
    plans = {step.name: _plan(step, wiring, parts, resolved[step.name]) for step in deployment.step}
    steps = in_order(list(plans.values()), deployment.place)
    cut = deployment.graph.top_k
    if cut is not None:
        wiring.row_number(cut.by, deployment.place("graph", "top_k"))
    answer = {name: references.sources(text) for name, text in deployment.answer.items()}
    reserve = 0.0 if ends is None or deployment.graph.deadline_ms is None else deployment.graph.deadline_ms - ends
    plan = Plan(steps, answer, deployment.graph.deadline_ms, reserve, _cut(cut))
    partial = frozenset(step.name for step in deployment.step if step.split is not None and not plans[step.name].default)
    Reach(plan, list(plans), partial, deployment.place).check()
    pinned = {name: one.digest for name, one in resolved.items()}
    digest = digest_of({"intent": deployment.digest, "steps": pinned})
    settings = {step.name: step for step in deployment.step}
    held = tuple(ResolvedStep(settings[step.name], resolved[step.name], step, wiring.feeds[step.name], _default(resolved[step.name]))
                 for step in steps)  # fmt: skip
    models = tuple(entry for one in held for entry in one.resolved.entries if isinstance(entry, ResolvedModel))
    single.check_features(deployment, models)
    return ResolvedGraph(deployment, models, digest, held, plan, wiring.fields, _front(deployment.name, wiring, digest))


def times_of(deployment: Deployment) -> float | None:
    """When the steps of a graph must have ended, in milliseconds from a request's arrival; None: no deadline."""
    graph = deployment.graph
    if graph.deadline_ms is None:
        return None
    return graph.deadline_ms - (graph.deadline_ms / 20 if graph.reserve_ms is None else graph.reserve_ms)


def _resolved(deployment: Deployment, step: Step, ends: float | None) -> Resolved:
    """The step as a deployment of its own. Errors name the step."""
    limits = [time for time in (step.deadline_ms, ends) if time is not None]
    times: dict[str, float] = {"deadline_ms": min(limits), "grace_ms": 0.0} if limits else {}
    failover = Failover(**times, breaker=step.breaker, chain=step.fallback)  # type: ignore[arg-type]
    own = Deployment(name=deployment.name, champion=step.model(), failover=failover, server=deployment.server, records=deployment.records)
    own._path = deployment.path
    try:
        return single.resolve(own, whole=False)
    except PortsideError as error:
        name = f"[[step]] {step.name!r}"
        error.what = error.what.replace("[champion]", name).replace("[[failover.chain]] number", f"{name}, fallback number")
        error.args = (error._message(),)
        raise


def _part(step: Step, resolved: Resolved) -> Part:
    model = resolved.champion
    fields = {wire.name: wire for wire in model.codec.wire_fields(model.signature)}
    return Part(step, fields, model.signature)


def _plan(step: Step, wiring: Wiring, parts: Mapping[str, Part], resolved: Resolved) -> StepPlan:
    inputs: dict[str, bool] = {}
    for source in wiring.feeds[step.name].values():
        if source.step != REQUEST:
            outputs = {spec.name: spec for spec in parts[source.step].signature.outputs}
            inputs[source.step] = inputs.get(source.step, False) or outputs[source.name].batch_axis is not None
    when = references.condition(step.when) if step.when else None
    return StepPlan(step.name, inputs, when, _cut(step.top_k), step.deadline_ms, _default(resolved) is not None)


def _cut(settings: TopK | None) -> Cut | None:
    if settings is None:
        return None
    by = tuple(source for source in references.sources(settings.by) if isinstance(source, Reference))
    return Cut(by, settings.k, settings.order == "largest")


def _default(resolved: Resolved) -> Mapping[str, Array] | None:
    """The default of a chain, with names of categories."""
    last: Any = resolved.entries[-1]
    return resolved.champion.codec.decode(last, resolved.signature) if isinstance(last, Mapping) else None


def _front(name: str, wiring: Wiring, digest: str) -> Front:
    inputs = tuple(held.spec for held in wiring.fields.values() if held.spec is not None)
    codec = GraphCodec(held=tuple(_shown(wiring.fields.values())))
    return Front(codec, Signature(inputs, wiring.outputs), digest, name)


def _shown(fields: Iterable[RequestField]) -> Iterable[WireField]:
    return (held.wire for held in fields)
