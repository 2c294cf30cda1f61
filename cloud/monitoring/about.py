"""What a monitor knows of the deployment that it watches: settings, signature, training profile, rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...sdk.core.errors import PortsideError
from ...sdk.core.manifest import PROFILE, digest_of
from ...sdk.core.package import Package
from ...sdk.core.profile import Profile
from ...sdk.core.signature import Signature
from ...sdk.core.window import packaged
from ...sdk.opening import open as open_package
from ..alerts.defaults import rules_of
from ..alerts.rule import Rule
from ..alerts.slo import Objective
from ..deployment.file import Deployment
from ..deployment.monitor import AlertRule, Monitor
from ..deployment.resolving import reference_of
from ..records.database import Database
from ..records.reading import signature_of

DAY_S = 86_400.0


@dataclass(frozen=True)
class About:
    """One watched deployment.

    Attributes:
        name: of the deployment.
        settings: its `[monitor]` section.
        folder: of its file; hooks are imported from there.
        signature: of its champion; None for a graph, whose outputs are taken as its records hold them.
        profile: of the training data, under the names that windows have; None where there is none.
        deadline_ms: of its failover.
        package: name of the champion, for people.
        champion: its digest; "" for a graph, and where whoever answered is taken as it.
        digest: of the champion and of how drift is judged; another one begins to judge anew.
    """

    name: str
    settings: Monitor
    folder: Path = Path()
    signature: Signature | None = None
    profile: Profile | None = None
    deadline_ms: float | None = None
    package: str = ""
    digest: str = ""
    champion: str = ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The alerts of this deployment."""
        return rules_of((_rule(rule) for rule in self.settings.alert if rule.enabled),
                        (rule.name for rule in self.settings.alert if not rule.enabled))  # fmt: skip

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is asked of it, with error budgets."""
        slo, found = self.settings.slo, list[tuple[str, float]]()
        found += [] if slo.availability is None else [("availability", slo.availability)]
        found += [] if slo.in_time is None else [("in_time", slo.in_time)]
        found += [(name, share) for name, (share, _) in slo.slow.items()]
        return tuple(Objective(name, share, slo.period_days * DAY_S) for name, share in found)


def about(deployment: Deployment, database: Database | None = None) -> About:
    """What is known of a deployment. `database`: where a server may have said what a graph's signature is.

    Raises PortsideError: a package that cannot be opened.
    """
    settings = deployment.monitor or Monitor()
    if deployment.champion is None:
        held = None if database is None else signature_of(database, deployment.name)
        return About(deployment.name, settings, deployment.folder, held, None, deployment.failover.deadline_ms, deployment.name,
                     judged_by(deployment.digest, settings))  # fmt: skip
    champion = deployment.champion
    package = open_package(reference_of(deployment, champion.package), champion.digest)
    return About(deployment.name, settings, deployment.folder, package.signature, profile_of(package), deployment.failover.deadline_ms,
                 package.name, judged_by(package.digest, settings), package.digest)  # fmt: skip


def judged_by(package: str, settings: Monitor) -> str:
    """What drift is judged by, as a digest."""
    return digest_of({"package": package, "drift": settings.drift.model_dump(), "reference": settings.reference,
                      "rows": settings.spans.rows, "slices": settings.slices})  # fmt: skip


def profile_of(package: Package) -> Profile | None:
    """The package's profile as windows name fields; None where it has none that can be read."""
    try:
        held = Profile.from_bytes(package.read(PROFILE))
    except PortsideError:
        return None
    return packaged(held, package.signature) if held.fields else None


def _rule(rule: AlertRule) -> Rule:
    return Rule(rule.name, rule.when, rule.subject, rule.above, rule.below, rule.for_s, rule.clear_s, rule.severity, rule.runbook)
