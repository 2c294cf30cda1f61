"""A deployment's automation as the command line meets it: its plan, its records, without a server and without loading its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...sdk.core.errors import FormatError
from ...sdk.core.signature import Signature
from ...sdk.opening import open as open_package
from ..deployment.automation import Automation
from ..deployment.file import Deployment, read
from ..deployment.resolving import reference_of
from ..records.database import Database
from ..records.finding import place_of
from .gathering import Gathered, gather
from .judging import Promise, Watch, watch
from .plan import Plan, plan_of
from .score import usual
from .thresholds import REST


@dataclass(frozen=True)
class Setting:
    """What there is.

    Attributes:
        deployment, settings: the file, and its [automation].
        plan: with the thresholds in force.
        package, signature: of the champion.
    """

    deployment: Deployment
    settings: Automation
    plan: Plan
    package: str
    signature: Signature

    @property
    def name(self) -> str:
        """Of the deployment."""
        return self.deployment.name

    @property
    def path(self) -> Path:
        """Where thresholds are."""
        return self.deployment.folder / self.settings.thresholds

    def open(self) -> Database:
        """Its records. Raises FormatError where nothing was served yet."""
        return Database.open(place_of(self.deployment.path))

    def gathered(self, since_ms: int = 0, every_label: bool = False) -> Gathered:
        """Its labelled rows. Raises FormatError."""
        with self.open() as database:
            return gather(database, self.name, self.package, self.plan, since_ms=since_ms, every_label=every_label)

    def watched(self, found: Gathered, since_ms: int) -> dict[str, Watch]:
        """What checks say since then of what the model decided, by slice; of a deployment with a target."""
        target, settings = self.settings.target_error, self.settings
        if target is None:
            return {}
        promise = Promise(target, settings.delta / len(settings.dials()), settings.people_error)
        return {name: watch(found.rows.get(name, []), promise, since_ms) for name in (REST, *settings.slices)}


def setting_of(path: Path, anew: bool = False) -> Setting:
    """Read a deployment file.

    Args:
        path: the file.
        anew: thresholds are to be fitted: those that are there do not count, and a score is needed.

    Raises FormatError for one without [automation], or whose section does not fit its package.
    """
    deployment = read(path)
    settings, champion = deployment.automation, deployment.champion
    if settings is None or champion is None:
        raise FormatError(f"{deployment.path.name} says nothing of automation", expected="a section [automation] with a level",
                          fix="See docs/automation.md; begin with level = \"shadow\" or \"assist\".")  # fmt: skip
    package = open_package(reference_of(deployment, champion.package), champion.digest, champion.trust)
    chain = deployment.failover.chain
    default = bool(chain) and chain[-1].default is not None
    plan = plan_of(settings, deployment.review, package.signature, package.digest, deployment.folder, default, thresholds=not anew)
    if anew and plan.score is None:
        usual(package.signature)
    return Setting(deployment, settings, plan, package.digest, package.signature)
