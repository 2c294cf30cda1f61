"""What a rollout is begun with: the policy of its file, the packages by digest and name, and how its records are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...sdk.core.errors import FormatError
from ...sdk.core.package import Package
from ...sdk.core.signature import TensorSpec
from ...sdk.opening import open as open_package
from ..deployment.automation import Automation
from ..deployment.file import Deployment
from ..deployment.resolving import reference_of
from ..deployment.rollout import Rollout
from ..deployment.sections import Model
from ..review.candidates import decided_output
from ..rollout_policy import Policy
from .units import About

DECIDED = ("i8", "u8", "i32", "i64", "bool", "string")
"""Outputs of these types are right or wrong; others are near or far."""


def section_of(deployment: Deployment) -> Rollout:
    """Its `[rollout]` section. Raises FormatError where there is none, or nothing to decide it by."""
    if deployment.rollout is None or deployment.champion is None:
        raise FormatError(f"{deployment.path.name} tries no challenger", got="no [rollout]",
                          fix='Say [rollout] challenger = "NAME:VERSION" beside the [champion].')  # fmt: skip
    if not deployment.records.enabled:
        raise FormatError(f"{deployment.place('rollout')}: a rollout is decided by records, and [records] enabled = false")
    return deployment.rollout


def digests_of(deployment: Deployment) -> tuple[str, ...]:
    """The packages that its file would try, as digests; none without the section. Raises PortsideError: one cannot be opened."""
    section = deployment.rollout
    return () if section is None else tuple(_open(deployment, model).digest for model in section.challengers)


def known(deployment: Deployment) -> tuple[Policy, dict[str, Any]]:
    """The policy, and what is stored beside it. Raises FormatError, PortsideError: a package that cannot be opened."""
    section, champion = section_of(deployment), deployment.champion
    assert champion is not None  # noqa: S101  section_of says so
    own, tried = _open(deployment, champion), [_open(deployment, model) for model in section.challengers]
    if same := [package.name for package in tried if package.digest == own.digest]:
        raise FormatError(f"{deployment.place('rollout')}: the challenger is the champion", got=same[0], expected="another package")
    if twice := [package.name for place, package in enumerate(tried) if package.digest in {one.digest for one in tried[:place]}]:
        raise FormatError(f"{deployment.place('rollout')}: a challenger stands twice", got=twice[0], expected="packages that differ")
    policy = Policy.of(section, tuple(package.digest for package in tried), deployment.failover.deadline_ms)
    spec = _output(deployment, own)
    return policy, {
        "champion": _about(deployment, champion, own),
        "challengers": [_about(deployment, model, package) for model, package in zip(section.challengers, tried, strict=True)],
        "late_ms": section.limits.latency_ms or deployment.failover.deadline_ms,
        "output": None if spec is None or section.accuracy == "off" else spec.name,
        "categories": [] if spec is None else list(spec.categories or ()), "floor": _floor(deployment.automation),
    }  # fmt: skip


def about_of(rollout: str, policy: Policy, stored: Mapping[str, Any]) -> About:
    """How records of a rollout are read, from what was stored."""
    return About(rollout, policy, stored["late_ms"], stored["output"], tuple(stored["categories"]), stored["floor"])


def _output(deployment: Deployment, package: Package) -> TensorSpec | None:
    """The output that labels are about, where it is right or wrong and records keep it."""
    specs = {spec.name: spec for spec in package.signature.outputs}
    kept = [spec for spec in specs.values() if not (spec.redact or spec.stays_on_device)]
    name = deployment.review.output or (decided_output(package.signature) if kept else None)
    spec = specs.get(name or "")
    return spec if spec in kept and (spec.categories is not None or spec.dtype in DECIDED) else None


def _floor(settings: Automation | None) -> float | None:
    """The least chance with which a person looks at a row."""
    if settings is None:
        return None
    dials = [(level, (settings.slices[name].check_share if name else None) or settings.check_share) for name, level, _ in settings.dials()]
    return min(share if level in ("partial", "full") else 1.0 for level, share in dials)


def _open(deployment: Deployment, model: Model) -> Package:
    return open_package(reference_of(deployment, model.package), model.digest, model.trust)


def _about(deployment: Deployment, model: Model, package: Package) -> dict[str, str]:
    """A store's name tells versions apart; that of a folder is no name."""
    named = package.name if (deployment.folder / model.package).exists() else model.package
    return {"digest": package.digest, "name": named}
