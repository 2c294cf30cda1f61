"""`verify`: does an artifact answer like its package, and how well does it answer at all?

*Fidelity* holds the target's answers against references: on the contract's golden rows, and with `data` on held-out rows,
whose references and firm rows come from the package's own float program. *Quality* is measured where data has labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..sdk.core.contract import Contract, Rule
from ..sdk.core.data import Data
from ..sdk.core.errors import ContractError, MissingExtraError, PortsideError, StoreError, UnsupportedError
from ..sdk.core.package import Package
from ..sdk.store import Store
from .artifact import Artifact
from .base import CompileOptions, LoadOptions, Runtime, Session, installed, lack, runtime
from .bench import Timings, bench, golden
from .elsewhere import build_checked, compiler, unproven
from .evaluate import answers
from .fidelity import Fidelity, check
from .held_out import HeldOut
from .quality import Quality, measure
from .reference import Reference
from .report import Report, TargetReport
from .subjects import contract_for, contract_of, opened


def verify(subject: Artifact | Package | Path | str, data: Data | None = None, targets: str | Sequence[str] = "all", *,
           package: Package | None = None, trust: bool = False, measured: bool = False) -> Report:  # fmt: skip
    """Verify an artifact, or a package on its targets.

    Args:
        subject: an artifact, a package, or the folder of either.
        data: held-out rows: flips against the float program, and metrics where there are labels.
        targets: for a package: "all" that work here, or names. Each is compiled into a temporary folder. Targets that do not
            work here are listed as absent; where none does, the verdict is "failed".
        package: where an artifact came from; without it `data` only gives metrics.
        trust: host stages may run.
        measured: also measure latency, cold start and memory of every target, a few seconds each.

    Returns:
        Report: truthy only when the verdict of every target is "passed".

    Raises:
        FormatError, IntegrityError: not an artifact or package, altered, or without a contract.
        TrustError: host stages would have to run.
        UnsupportedError: a target that does not exist.
        MissingExtraError: a target that was named and does not work here.
    """
    held = opened(subject, trust)
    if isinstance(held, Artifact):
        job = Job(contract_for(held, package), data, package, trust, measured)
        return Report(held.name, held.package_digest, (job.artifact(held),))
    held.require_trust()
    names, absent = _targets(held, targets)
    for name in names:
        compiler(name)
    job = Job(contract_of(held), data, held, held.trusted, measured)
    try:
        with tempfile.TemporaryDirectory(prefix="portside-verify-") as folder:
            found = [job.package(held, name, Path(folder) / name, required=targets != "all") for name in names]
    except OSError as error:
        raise StoreError(f"The package cannot be compiled for verification: {error.strerror or error}", got=error.filename,
                         fix=f"Free some space in {tempfile.gettempdir()}, or set TMPDIR.") from error  # fmt: skip
    reports = tuple(report for report in found if isinstance(report, TargetReport))
    absent |= {name: lacks for name, lacks in zip(names, found, strict=True) if isinstance(lacks, str)}
    return Report(held.name, held.digest, reports, absent, required=targets != "all")


def _targets(package: Package, targets: str | Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Targets to ask, and those that are left out because they do not work here, each with its reason."""
    if targets != "all":
        return [targets] if isinstance(targets, str) else list(targets), {}
    lacks = {name: lack(kind()) for name, kind in sorted(installed().items()) if name != Reference.name}
    allowed = [name for name in lacks if all(not stage.only or name in stage.only for stage in package.content.stages)]
    only = "; ".join(sorted({stage.note or "a stage is restricted" for stage in package.content.stages if stage.only}))
    absent = {name: str(error) if name in allowed else only for name, error in lacks.items() if error or name not in allowed}
    return [name for name in allowed if name not in absent], absent


@dataclass
class Job:
    """One verification: what is asked of every target. Held-out cases are made for the first target and kept for the rest.

    Attributes:
        contract: golden rows and rules.
        data: held-out rows, or None.
        origin: the package; None for an artifact that stands alone.
        trust: host stages may run.
        measured: also measure speed and memory.
    """

    contract: Contract
    data: Data | None
    origin: Package | None
    trust: bool
    measured: bool
    held: HeldOut | None = None

    def package(self, package: Package, target: str, folder: Path, *, required: bool) -> TargetReport | str:
        """Compile the package for a target and ask the artifact; what compiling lacks here, where the target is not `required`.

        A device that runs a target need not be able to compile for it.
        """
        try:
            artifact = compiler(target).compile(package, CompileOptions(), folder)
        except UnsupportedError as error:
            return TargetReport(target, Fidelity(), refused=str(error))
        except MissingExtraError as error:
            if required:
                raise
            return str(error)
        return self.artifact(artifact)

    def artifact(self, artifact: Artifact) -> TargetReport:
        """Golden rows, held-out rows, quality, and what the engine costs."""
        rules, found = self.contract.rules, compiler(artifact.target)
        if (why := unproven(found)) is not None:
            return self._unproven(artifact, found, why)
        try:
            session = runtime(artifact.target).load(artifact.path, LoadOptions(trust=self.trust))
        except ContractError as error:  # a target that proves its engine where it is opened
            golden = error.report if isinstance(error.report, Fidelity) else Fidelity(fault=str(error))
            return TargetReport(artifact.target, golden, lossy=artifact.lossy, artifact=artifact.digest, size_bytes=artifact.size_bytes)
        try:
            golden = check(session, self.contract.cases, rules, artifact.lossy)
            rows, notes = (self.data, ()) if self.data is not None else _evidence(artifact, self.origin)
            report = TargetReport(
                artifact.target, golden, lossy=artifact.lossy, artifact=artifact.digest, size_bytes=artifact.size_bytes,
                weights_bytes=artifact.engine.get("weights_bytes", {}), notes=(*self.contract.notes, *notes),
            )  # fmt: skip
            report = report if rows is None else self._with_rows(report, session, rows)
        finally:
            session.close()
        return replace(report, timings=self._timings(artifact)) if self.measured and not golden.fault else report

    def _unproven(self, artifact: Artifact, found: Runtime, why: str) -> TargetReport:
        """What can be said of an artifact that cannot run here: what its build check says."""
        try:
            return unproven_report(artifact, why, build_checked(found, artifact.path))
        except UnsupportedError as error:
            return TargetReport(artifact.target, Fidelity(), refused=str(error))

    def _with_rows(self, report: TargetReport, session: Session, rows: Data) -> TargetReport:
        if self.origin is not None:
            self.held = self.held or HeldOut(self.origin, rows, self.contract.rules)
            report = replace(report, held_out=check(session, self.held.cases(), self.contract.rules, report.lossy, sampled=True))
        else:
            report = replace(report, notes=(*report.notes, "flips on held-out rows need the package beside the artifact"))
        return report if rows.labels is None else replace(report, quality=_quality(session, rows, self.contract.rules))

    def _timings(self, artifact: Artifact) -> Timings:
        return bench(artifact, golden(self.contract), batches=(1,), repeats=3, seconds=0.3, trust=self.trust)


def unproven_report(artifact: Artifact, why: str, checked: str) -> TargetReport:
    """Nothing was run: no figure, and no verdict but "not enough data"."""
    return TargetReport(
        artifact.target, Fidelity(), lossy=artifact.lossy, artifact=artifact.digest, size_bytes=artifact.size_bytes,
        weights_bytes=artifact.engine.get("weights_bytes", {}), notes=tuple(filter(None, (why, checked))), unproven=why,
    )  # fmt: skip


def _evidence(artifact: Artifact, package: Package | None) -> tuple[Data | None, tuple[str, ...]]:
    """The evidence set of a lossy artifact's package, which its decisions are judged on; and a note where it is absent."""
    if not artifact.lossy or package is None or package.content.evidence is None:
        return None, ()
    try:
        return Store().evidence(package.content.evidence), ()
    except StoreError as error:
        return None, (f"the package's evidence set is not in this store: {error}",)


def _quality(session: Session, data: Data, rules: Mapping[str, Rule]) -> Quality | None:
    """Metrics of the session's own answers; None where it raises, which fidelity reports."""
    try:
        return measure(data, answers(session, data), rules, session.info.signature)
    except PortsideError:
        return None
