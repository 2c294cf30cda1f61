"""`check`: every release gate of a challenger, run here, before it comes near traffic. Nothing is changed and nothing is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...runtimes.verify import verify
from ...sdk.card import card, read_contract
from ...sdk.core.decisions import NOT_ENOUGH
from ...sdk.core.errors import ContractError, EngineError, FormatError, PortsideError, UnsupportedError
from ...sdk.core.package import Package
from ...sdk.opening import open as open_package
from ..deployment.file import Deployment
from ..deployment.gates import GateName
from ..deployment.resolving import ResolvedModel, check_inputs, check_outputs, reference_of, resolve_model
from ..deployment.sections import Model
from .benching import bench_gate
from .evidence import quality_gates, recent_gate
from .gates import NAMES, ReleaseGate, ReleaseGates

_BROKEN = (ContractError, EngineError, UnsupportedError)
"""Errors that are the challenger's own; any other says that something could not be asked."""


@dataclass(frozen=True)
class Pair:
    """A challenger beside the champion, both compiled and open as packages."""

    deployment: Deployment
    champion: ResolvedModel
    challenger: ResolvedModel
    champion_package: Package
    package: Package


def check(deployment: Deployment, challenger: Model | None = None, *, now_ms: int | None = None) -> ReleaseGates:
    """Run all gates.

    Args:
        deployment: its `[gates]` hold, its `[champion]` is what the challenger is held against.
        challenger: with its settings; None: the (first) one of `[rollout]`.
        now_ms: what "recent" ends with; None: now.

    Raises:
        FormatError: the deployment has no champion, or no challenger is named.
        PortsideError: a package that cannot be opened at all; a gate that does not hold is in what is returned.
    """
    settings = challenger or _named(deployment)
    if deployment.champion is None:
        raise FormatError("Gates hold a challenger against a champion", got=deployment.path.name, expected="a file with [champion]")
    champion = resolve_model(deployment, deployment.champion, "[champion]", deployment.place("champion"))
    package = open_package(reference_of(deployment, settings.package), settings.digest, settings.trust)
    unproven = tuple(deployment.gates.unproven)
    try:
        resolved = resolve_model(deployment, settings, "the challenger")
    except _BROKEN as error:
        return ReleaseGates(package.digest, champion.digest, _unopened(error), unproven, package.name)
    first = open_package(reference_of(deployment, deployment.champion.package), champion.digest, deployment.champion.trust)
    return _checked(Pair(deployment, champion, resolved, first, package), now_ms or time.time_ns() // 1_000_000)


def _checked(pair: Pair, now_ms: int) -> ReleaseGates:
    asked: dict[GateName, Callable[[], ReleaseGate]] = {
        "signature": lambda: _signature(pair), "card": lambda: _card(pair), "fidelity": lambda: _fidelity(pair),
        "recent": lambda: recent_gate(pair.deployment, pair.champion, pair.challenger, pair.package, now_ms),
        "bench": lambda: bench_gate(pair.deployment, pair.champion, pair.challenger),
    }  # fmt: skip
    left = pair.deployment.gates.leave_out
    found = {name: _asked(name, ask) for name, ask in asked.items() if name not in left}
    if not {"static", "expectations"} <= set(left):
        found |= _quality(pair)
    gates = tuple(found[name] if name not in left else ReleaseGate(name, "not asked", "[gates] leaves it out") for name in NAMES)
    return ReleaseGates(pair.challenger.digest, pair.champion.digest, gates, tuple(pair.deployment.gates.unproven), pair.package.name)


def _quality(pair: Pair) -> dict[GateName, ReleaseGate]:
    """Both gates that are asked on the static set."""
    try:
        static, expected = quality_gates(pair.deployment, pair.champion, pair.challenger, pair.champion_package, pair.package)
    except PortsideError as error:
        static, expected = _raised("static", error), ReleaseGate("expectations", "not asked", "the static set could not be answered")
    return {"static": static, "expectations": expected}


def _asked(name: GateName, ask: Callable[[], ReleaseGate]) -> ReleaseGate:
    try:
        return ask()
    except PortsideError as error:
        return _raised(name, error)


def _raised(name: GateName, error: PortsideError) -> ReleaseGate:
    return ReleaseGate(name, "failed" if isinstance(error, _BROKEN) else NOT_ENOUGH, str(error))


def _unopened(error: PortsideError) -> tuple[ReleaseGate, ...]:
    """A challenger that does not compile: its contract says why, and nothing else can be asked."""
    undecided = getattr(getattr(error, "report", None), "verdict", None) == NOT_ENOUGH
    fidelity = ReleaseGate("fidelity", NOT_ENOUGH if undecided else "failed", str(error))
    return tuple(fidelity if name == "fidelity" else ReleaseGate(name, "not asked", "there is no artifact") for name in NAMES)


def _named(deployment: Deployment) -> Model:
    if deployment.rollout is None:
        raise FormatError("The deployment names no challenger", got=f"{deployment.path.name} without [rollout]",
                          fix="Say [rollout] challenger = \"NAME:VERSION\", or name one.")  # fmt: skip
    return deployment.rollout.challengers[0]


def _signature(pair: Pair) -> ReleaseGate:
    try:
        check_outputs(pair.challenger.signature, pair.champion.signature, "challenger")
        check_inputs(pair.challenger, pair.champion, "challenger")
    except FormatError as error:
        return ReleaseGate("signature", "failed", str(error))
    takes = len(pair.challenger.codec.wire_fields(pair.challenger.signature))
    gives = len(pair.champion.signature.outputs)
    return ReleaseGate("signature", "passed", f"takes {takes} fields that callers send, answers with all {gives} outputs")


def _fidelity(pair: Pair) -> ReleaseGate:
    trust = pair.challenger.settings.trust
    found = verify(pair.challenger.artifact, package=pair.package, trust=trust)
    target = found.targets[0]
    rows, faults = target.golden.rows, [f"{check.output}: {check.judgement.note}" for check in target.golden.checks if not check.judgement]
    why = "; ".join([*faults, *([target.golden.fault] if target.golden.fault else [])]) or f"all outputs on {rows} golden rows"
    figures = {"target": target.target, "rows": rows, "parity": target.parity.to_dict(), "artifact": pair.challenger.artifact.digest}
    return ReleaseGate("fidelity", found.verdict, f"{why} on {target.target}", figures=figures)


def _card(pair: Pair) -> ReleaseGate:
    wanted = pair.deployment.gates.card
    if not wanted:
        return ReleaseGate("card", "not asked", "[gates] card is empty")
    lacking = [name for name in wanted if not _said(pair.package)[name]]
    text = card(pair.package)
    why = f"the card lacks {', '.join(lacking)}" if lacking else f"says {', '.join(wanted)}"
    return ReleaseGate("card", "failed" if lacking else "passed", why, figures={"lacking": lacking, "characters": len(text)})


def _said(package: Package) -> Mapping[str, Any]:
    fields, contract = package.manifest.annotations.fields, read_contract(package)
    noted = {name: fields.get(name) for name in ("licence", "description", "owner", "metrics")}
    return {**noted, "contract": contract is not None and contract.rows > 0, "evidence": package.content.evidence,
            "lineage": package.content.parents}  # fmt: skip
